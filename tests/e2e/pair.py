"""Two operators; whichever leads is killed in each merge, and the other goes on."""

import asyncio
import functools
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from examples.demo import programs
from examples.demo.tickets import TICKETS
from examples.demo.world import World


class Pair:
    """`seconds`: from each kill until somebody else wrote the item's next step."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.second = programs.operator(world.directory / "second", world.control.kubeconfig)
        self.seconds: list[float] = []

    @asynccontextmanager
    async def both(self) -> AsyncIterator[None]:
        (self._world.directory / "second").mkdir()
        await asyncio.to_thread(self.second.server.start)
        try:
            yield
        finally:
            await asyncio.to_thread(self.second.server.stop)

    async def kill_in_merges(self) -> None:
        """Once for each item; two that merge in one moment are one."""
        left = {ticket.item for ticket in TICKETS}
        while left:
            await self._world.watched.until(lambda: any(map(self._is_merging, left)))
            leader = await asyncio.to_thread(self._leader)
            leader.server.kill()
            item = min(left, key=lambda item: not self._is_merging(item))
            began, before = time.monotonic(), self._step(item)
            left.remove(item)
            await self._world.watched.until(functools.partial(self._has_moved, item, before))
            self.seconds.append(time.monotonic() - began)
            await asyncio.to_thread(leader.server.start)

    def _is_merging(self, item: str) -> bool:
        return bool(self._world.watched.status(item).get("transition", {}).get("effect") == "Merge")

    def _has_moved(self, item: str, before: tuple[object, object]) -> bool:
        return self._step(item) != before

    def _step(self, item: str) -> tuple[object, object]:
        status = self._world.watched.status(item)
        return status.get("stage"), status.get("transition")

    def _leader(self) -> programs.Program:
        pair = (self._world.operator, self.second)
        return next(program for program in pair if _leads(program))


def _leads(program: programs.Program) -> bool:
    with urllib.request.urlopen(f"{program.url}/metrics", timeout=5) as answer:  # noqa: S310 - our own address
        return b"conveyor_leader 1.0" in answer.read()
