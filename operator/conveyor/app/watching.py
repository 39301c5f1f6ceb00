"""What the operator watches, and who is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from conveyor.cluster.client import sources
from conveyor.cluster.connection import Connection
from conveyor.cluster.protocol import JSONObject, Key, Kind
from conveyor.cluster.watch import Told, Watch
from conveyor.engine.hub import Hub
from conveyor.engine.resync import Resync

Tell = Callable[[JSONObject], None]


class Watching:
    """All watches of a process."""

    def __init__(
        self,
        hub: Hub,
        connection: Connection,
        *,
        namespaces: tuple[str, ...],
        heartbeat: tuple[Key, Tell],
        resync: Resync,
        failed: Callable[[BaseException], None],
    ) -> None:
        """`heartbeat`: the Lease by which the watch is proved alive, and who hears of it."""
        lease, beat = heartbeat
        told: dict[str, tuple[Tell, Tell]] = {
            Kind.REPOSITORY: (hub.repository_seen, hub.repository_gone),
            Kind.WORKITEM: (hub.item_seen, hub.item_gone),
            "jobs": (hub.job_seen, hub.job_gone),
            "leases": (beat, lambda _: None),
        }
        self._resync, self._all_begun = resync, asyncio.Event()
        self._not_begun: set[str] = set()
        self.parts: dict[str, Watch] = {}
        for resource, found in sources(namespaces, heartbeat=lease).items():
            for source in found:
                name = f"watch {source.path}"
                seen, gone = told[resource]
                begins = self._begins(name) if resource != "leases" else lambda: None
                self.parts[name] = Watch(connection, source, Told(seen, gone, begins, failed))

    def _begins(self, name: str) -> Callable[[], None]:
        self._not_begun.add(name)

        def begins() -> None:
            if self._all_begun.is_set():
                self._resync.ask()
            self._not_begun.discard(name)
            if not self._not_begun:
                self._all_begun.set()

        return begins

    async def begun(self) -> None:
        """Return when all watches have a beginning: what is listed after that leaves no gap before it."""
        await self._all_begun.wait()
