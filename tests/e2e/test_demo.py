"""The whole main job, with everything real but the tracker: one run of the demo, looked at from several sides.

Two operators carry it; whichever leads is killed in each merge, and the other goes on.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from examples.demo import report
from examples.demo.runner import Finished, run
from examples.demo.tickets import TICKETS
from examples.demo.world import World
from tests.cluster.api import Object
from tests.cluster.binaries import Say
from tests.e2e import ends
from tests.e2e.pair import Pair

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.gitea]
SECONDS = 1200
"""As long as a slow machine may take; `scripts/demo` says what a quiet one does."""
AT_LEAST = 2
"""Merges in which the leader is killed: two of the three tickets share a lane, so their merges follow one another."""


@pytest.fixture(scope="module")
async def world(anyio_backend: str, say: Say) -> AsyncIterator[World]:
    async with World(with_ingress=True, say=say) as world:
        yield world


@pytest.fixture(scope="module")
def pair(world: World) -> Pair:
    return Pair(world)


@pytest.fixture(scope="module")
async def finished(world: World, pair: Pair, say: Say) -> AsyncIterator[Finished]:
    async with pair.both():
        finished = await run(world, seconds=SECONDS, mishap=False, beside=pair.kill_in_merges())
        say(f"leader killed in mid-merge: next step after {', '.join(f'{it:.1f} s' for it in pair.seconds)}")
        if finished is None or not finished.passed:
            say(f"the demo's logs are kept in {world.keep_logs()}")
        if finished is None:
            pytest.fail("\n".join(report.unfinished(world)))
        yield finished


async def test_demo_ends_well(finished: Finished) -> None:
    assert [check for check in finished.checks if not check.passed] == []


async def test_leader_killed_in_each_merge_is_followed(pair: Pair, finished: Finished) -> None:
    assert len(pair.seconds) >= AT_LEAST


async def test_main_has_what_the_agents_did_in_their_order(world: World, finished: Finished, tmp_path: Path) -> None:
    ends.assert_merged_as_rehearsed(world, tmp_path)


async def test_every_role_and_deploy_had_one_job_each_time(world: World, finished: Finished) -> None:
    assert ends.jobs(world) == ends.JOBS


async def test_reviews_are_those_of_the_reviewer(world: World, finished: Finished) -> None:
    assert {ticket.key: ends.reviews(world, ticket) for ticket in TICKETS} == ends.REVIEWS


async def test_only_the_person_who_approves_is_spoken_to(world: World, finished: Finished) -> None:
    assert {ticket.key: len(ends.comments(world, ticket)) for ticket in TICKETS} == {"ET-1": 0, "ET-2": 0, "CAT-1": 1}


async def test_webhooks_were_taken_by_the_ingress(world: World, finished: Finished) -> None:
    """But for those that the tracker sent before there was an ingress: they have no answer."""
    (webhook,) = world.tracker.webhooks
    assert {attempt.status for attempt in webhook.attempts} - {None} == {202}


async def test_second_in_a_lane_starts_when_the_first_is_done(world: World, finished: Finished) -> None:
    assert _time(world, "shop-et-2", "analysis") >= _time(world, "shop-et-1", "done")


async def test_blocked_ticket_starts_when_the_other_is_done(world: World, finished: Finished) -> None:
    assert _time(world, "catalog-cat-1", "analysis") >= _time(world, "shop-et-1", "done")


def _time(world: World, item: str, stage: str) -> str:
    history: list[Object] = world.watched.status(item)["history"]
    return str(next(entry["time"] for entry in history if entry["to"] == stage))
