"""One run of the demo in a `World`, for `scripts/demo` and for tests."""

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from examples.demo import lead
from examples.demo.mishap import Mishap
from examples.demo.story import Story, story
from examples.demo.tickets import TICKETS
from examples.demo.verdict import Check, checks, is_over
from examples.demo.world import World, background


@dataclass(frozen=True)
class Finished:
    stories: tuple[Story, ...]
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)


async def run(
    world: World, *, seconds: float, mishap: bool = True, beside: Coroutine[Any, Any, None] | None = None
) -> Finished | None:
    """Start the tickets and see them through; None where that took longer than `seconds`.

    `beside` runs as long as the tickets are under way. With `mishap` the operator is killed in the middle of a merge.
    """
    lead.start_tickets(world.tracker)
    scene = Mishap()
    companions = [lead.approve(world.tracker), *([beside] if beside is not None else [])]
    companions += [scene.happen(world)] if mishap else []
    async with background(*companions):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await world.watched.until(lambda: is_over(world))
                return await asyncio.to_thread(_judge, world, scene if mishap else None)
    return None


def _judge(world: World, mishap: Mishap | None) -> Finished:
    stories = tuple(story(world, ticket) for ticket in TICKETS)
    return Finished(stories, tuple(checks(world, stories, mishap)))
