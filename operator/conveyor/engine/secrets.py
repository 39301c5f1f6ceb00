"""Secrets as they were read a moment ago: hundreds of Repositories may name the same one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from conveyor.cluster.protocol import Cluster, Key

SECRET_SECONDS = 30.0
"""How long a Secret is believed before it is read again: a rotated token is in use within that time."""


@dataclass(frozen=True, slots=True)
class Read:
    """`at` is when, in seconds of the clock."""

    values: Mapping[str, str] = field(repr=False)
    at: float


class Secrets:
    def __init__(self, cluster: Cluster, clock: Callable[[], float]) -> None:
        self._cluster, self._clock = cluster, clock
        self._read: dict[Key, Read] = {}
        self._locks: dict[Key, asyncio.Lock] = {}

    async def get(self, key: Key) -> Read:
        """Whoever asks while it is being read waits for that. Raises as `Cluster.secret`, and then keeps nothing."""
        async with self._locks.setdefault(key, asyncio.Lock()):
            kept = self._read.pop(key, None)
            if kept is None or self._clock() - kept.at >= SECRET_SECONDS:
                at = self._clock()
                kept = Read(await self._cluster.secret(key), at)
            self._read[key] = kept
            return kept

    def forget(self, key: Key) -> None:
        """It is to be read anew."""
        self._read.pop(key, None)
        lock = self._locks.get(key)
        if lock is not None and not lock.locked():
            del self._locks[key]
