"""Whether the watch is alive, measured: touch a Lease, and see how soon its event comes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from conveyor.cluster.protocol import Cluster, JSONObject, Key
from conveyor.web.errors import OutsideError

logger = logging.getLogger(__name__)

BEAT_SECONDS = 5.0
ANNOTATION = "conveyor.dev/heartbeat"


class Listener(Protocol):
    """What `Health` is told; times are monotonic seconds."""

    def heartbeat_touched(self, at: float) -> None: ...
    def heartbeat_seen(self, at: float) -> None: ...


class Heartbeat:
    """A touch that the API server acknowledged and that no watch reports means that the watch is deaf."""

    def __init__(
        self,
        cluster: Cluster,
        lease: Key,
        listener: Listener,
        *,
        failed: Callable[[BaseException], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`failed` is told of what must not happen."""
        self._cluster, self._lease, self._listener = cluster, lease, listener
        self._failed, self._clock = failed, clock

    async def run(self, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        while True:
            try:
                await self._cluster.touch_heartbeat(self._lease, value=f"{self._clock():.3f}")
            except OutsideError as error:
                logger.info("heartbeat not stored", extra={"error": type(error).__name__})
            except Exception as error:  # noqa: BLE001 the loop's edge
                self._failed(error)
            else:
                self._listener.heartbeat_touched(self._clock())
            await sleep(BEAT_SECONDS)

    def seen(self, lease: JSONObject) -> None:
        """The watch reports the Lease."""
        if lease["metadata"].get("name") == self._lease.name:
            self._listener.heartbeat_seen(self._clock())
