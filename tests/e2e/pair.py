"""Two operators carry the demo's tickets; whichever leads is killed in each merge, and the other goes on."""

import asyncio
import functools
import time
import urllib.request
from pathlib import Path

import pytest

from examples.demo import programs, report
from examples.demo.runner import run
from examples.demo.tickets import TICKETS
from examples.demo.world import World
from tests.cluster.binaries import Say
from tests.e2e import ends

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.gitea]
SECONDS = 420
NEXT_STEP_SECONDS = 30.0
AT_LEAST = 2
"""Merges in which the leader is killed: two of the three tickets share a lane, so their merges follow one another."""


async def test_leader_killed_in_each_merge_is_followed_and_everything_happens_once(say: Say, tmp_path: Path) -> None:
    async with World(with_ingress=True, say=say) as world:
        pair = Pair(world)
        await pair.start()
        try:
            finished = await run(world, seconds=SECONDS, mishap=False, beside=pair.kill_in_merges())
            say(f"leader killed in mid-merge: next step after {', '.join(f'{it:.1f} s' for it in pair.seconds)}")
            assert finished is not None, "\n".join(report.unfinished(world))
            assert [check for check in finished.checks if not check.passed] == []
            assert ends.jobs(world) == ends.JOBS
            ends.assert_merged_as_rehearsed(world, tmp_path)
            assert len(pair.seconds) >= AT_LEAST
            assert max(pair.seconds) <= NEXT_STEP_SECONDS
        except AssertionError:
            say(f"the demo's logs are kept in {world.keep_logs()}")
            raise
        finally:
            await asyncio.to_thread(pair.second.server.stop)


class Pair:
    """`seconds`: from each kill until somebody else wrote the item's next step."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.second = programs.operator(world.directory / "second", world.control.kubeconfig)
        self.seconds: list[float] = []

    async def start(self) -> None:
        (self._world.directory / "second").mkdir()
        await asyncio.to_thread(self.second.server.start)

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
