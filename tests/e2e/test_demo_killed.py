"""The operator is killed twenty times in one run, and the end is the same.

Half of the kills come at any moment, the others just after an intent was recorded. The moments are random; the seed is
printed, and CONVEYOR_TEST_SEED repeats the choices (not the machine's own timing).
"""

import asyncio
import os
import random
from collections import Counter
from pathlib import Path

import pytest

from examples.demo import report
from examples.demo.runner import run
from examples.demo.tickets import TICKETS
from examples.demo.watching import ITEMS
from examples.demo.world import World
from tests.cluster.api import Object
from tests.cluster.binaries import Say
from tests.e2e import ends

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.cluster, pytest.mark.gitea]
KILLS, WHILE_OPEN = 20, 8
SECONDS = 1200
"""As long as a slow machine may take; `scripts/demo` says what a quiet one does."""
LONGEST_WAIT = 6.0
"""Seconds that a kill waits for an intent at most: there are a dozen in a run."""


async def test_operator_killed_twenty_times_ends_in_the_same_result(say: Say, tmp_path: Path) -> None:
    seed = int(os.environ.get("CONVEYOR_TEST_SEED") or random.randrange(10**6))  # noqa: S311 - no secret
    say(f"seed {seed}")
    async with World(with_ingress=True, say=say) as world:
        killer = Killer(world, random.Random(seed))  # noqa: S311 - no secret
        finished = await run(world, seconds=SECONDS, mishap=False, beside=killer.kill())
        say(f"killed while open: {dict(killer.killed)}")
        try:
            assert finished is not None, "\n".join(report.unfinished(world))
            assert [check for check in finished.checks if not check.passed] == []
            assert killer.killed.total() == KILLS
            assert killer.killed.total() - killer.killed["nothing"] >= WHILE_OPEN
            assert ends.jobs(world) == ends.JOBS
            assert {ticket.key: ends.reviews(world, ticket) for ticket in TICKETS} == ends.REVIEWS
            assert {ticket.key: len(ends.reports(world, ticket)) for ticket in TICKETS} == dict.fromkeys(ends.JOBS, 1)
            assert {key: len(said) for key, said in spoken(world).items()} == {"ET-1": 0, "ET-2": 0, "CAT-1": 1}
            ends.assert_merged_as_rehearsed(world, tmp_path)
        except AssertionError:
            say(f"the demo's logs are kept in {world.keep_logs()}")
            raise


def spoken(world: World) -> dict[str, list[str]]:
    return {ticket.key: ends.comments(world, ticket) for ticket in TICKETS}


class Killer:
    """`killed` counts the kills by what was open in the API server just after them."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self._world, self._rng = world, rng
        self.killed: Counter[str] = Counter()

    async def kill(self) -> None:
        operator = self._world.operator.server
        while self.killed.total() < KILLS:
            await self._choose_moment()
            operator.kill()
            self.killed[await self._open()] += 1
            await asyncio.to_thread(operator.start)

    async def _choose_moment(self) -> None:
        """Each of these waits is part of the test's input: when the operator dies."""
        if self._rng.random() < 0.5:
            await asyncio.sleep(self._rng.uniform(0.2, 3.5))
            return
        try:
            async with asyncio.timeout(LONGEST_WAIT):
                await self._world.watched.until(lambda: any(map(transition, self._world.watched.items.values())))
        except TimeoutError:
            return
        await asyncio.sleep(self._rng.choice((0.0, self._rng.uniform(0.0, 0.4))))

    async def _open(self) -> str:
        """The intents and Jobs that the dead operator has left open, as the API server has them."""
        items = (await self._world.kube.request("GET", ITEMS))["items"]
        effects = {transition(item) for item in items} - {""}
        if effects:
            return "/".join(sorted(effects))
        return "Run" if any("activeRun" in item.get("status", {}) for item in items) else "nothing"


def transition(item: Object) -> str:
    return str(item.get("status", {}).get("transition", {}).get("effect", ""))
