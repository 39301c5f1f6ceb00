"""The whole main job, with everything real but the tracker: one run of the demo, looked at from several sides."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from examples.demo.runner import Finished, run
from examples.demo.tickets import TICKETS
from examples.demo.world import World
from tests.cluster.api import Object
from tests.cluster.binaries import Say
from tests.e2e import ends

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.gitea]
SECONDS = 240


@pytest.fixture(scope="module")
async def world(anyio_backend: str, say: Say) -> AsyncIterator[World]:
    async with World(with_ingress=True, say=say) as world:
        yield world


@pytest.fixture(scope="module")
async def finished(world: World, say: Say) -> Finished:
    finished = await run(world, seconds=SECONDS)
    if finished is None or not finished.passed:
        say(f"the demo's logs are kept in {world.keep_logs()}")
    if finished is None:
        pytest.fail(f"the demo did not end within {SECONDS} s")
    return finished


async def test_demo_ends_well(finished: Finished) -> None:
    assert [check for check in finished.checks if not check.passed] == []


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
