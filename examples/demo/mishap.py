"""The scene in which the operator dies: killed with a merge on record whose end nobody knows."""

import asyncio
import time
from dataclasses import dataclass

from examples.demo.watching import Watched
from examples.demo.world import World
from tests.cluster.api import Object


@dataclass
class Mishap:
    """What happened, once it has: `item` had its merge intent open; `seconds` later it took its next right step."""

    item: str = ""
    seconds: float = 0.0

    async def happen(self, world: World) -> None:
        """Once, at the first merge: SIGKILL, start again, and wait until the item has gone on."""
        watched, operator = world.watched, world.operator.server
        await watched.until(lambda: bool(merging(watched)))
        operator.kill()
        began, self.item = time.monotonic(), next(iter(merging(watched)), "")
        world.say(f"the operator was killed while {self.item or 'an item'} was being merged; it is started again")
        await asyncio.to_thread(operator.start)
        await watched.until(lambda: self.item not in merging(watched))
        self.seconds = time.monotonic() - began
        world.say(f"{self.item} went on {self.seconds:.1f} s after the kill")


def merging(watched: Watched) -> list[str]:
    """Items whose merge is recorded as intended, and its result is not."""
    return [name for name, item in watched.items.items() if _effect(item) == "Merge"]


def _effect(item: Object) -> str:
    return str(item.get("status", {}).get("transition", {}).get("effect", ""))
