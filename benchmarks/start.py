"""A start that is common to all: items kept back until the operator is at rest, and then let go at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from benchmarks import machine, naming
from conveyor.cluster.protocol import Key

WINDOW_SECONDS = 1.0
AT_REST = 0.15
"""The share of a core that operator and servers may take together: what polls takes half of that, and the tickets that
are looked at after a start more."""


class Start:
    """What is kept back is known by the item's number. `wake` is set by whoever can have one looked at."""

    def __init__(self, keeps: Callable[[int], bool]) -> None:
        self._keeps, self._begun = keeps, False
        self.kept: set[Key] = set()
        self.wake: Callable[[Key], None] | None = None

    def keeps_back(self, key: Key) -> bool:
        if self._begun or not self._keeps(naming.number_in(key.name)):
            return False
        self.kept.add(key)
        return True

    def let_go(self) -> None:
        self._begun = True
        for key in sorted(self.kept):
            if self.wake is None:
                raise RuntimeError("nobody said how to have an item looked at")
            self.wake(key)


async def at_rest(servers: Mapping[str, int], seen_all: Callable[[], bool]) -> None:
    """Return when all was seen, and a second went by in which this process and the servers did next to nothing."""
    while True:
        began, before = time.monotonic(), _cpu(servers)
        await asyncio.sleep(WINDOW_SECONDS)
        if seen_all() and _cpu(servers) - before < AT_REST * (time.monotonic() - began):
            return


def _cpu(servers: Mapping[str, int]) -> float:
    return time.process_time() + sum(machine.cpu_seconds(pid) for pid in servers.values())
