"""Long walks from created to done in a world where much goes wrong, and what holds at each step of them."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conveyor.api.stages import Stage
from conveyor.pipeline.budgets import NOT_IN_TOTAL, cap
from conveyor.pipeline.facts import JobState
from tests.unit.pipeline.builders import REVIEWER, repository
from tests.unit.pipeline.luck import GOOD, Luck, chance
from tests.unit.pipeline.simulation import World

WALK = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SEEDS = st.integers(min_value=0, max_value=2**32)
COVERED = {"approval": {"analysis": "Auto", "deploy": "Auto"}, "coverage": {"enabled": True}}
PERSON = {"approval": {"analysis": "Person", "deploy": "Person"}}


def walk(seed: int, steps: int, *, person: bool = False, luck: Luck | None = None) -> World:
    of = repository(active=False, gates=PERSON if person else COVERED)
    world = World(chance(seed), luck or Luck(), of=of)
    for _ in range(steps):
        world.step()
        check(world)
    return world


def check(world: World) -> None:
    status = world.status
    at_work = [name for name, job in world.jobs.items() if job.state == JobState.ACTIVE]
    assert len(at_work) <= 1, f"at work at once: {at_work}"
    assert len(world.merges) <= 1
    for attempt in status.attempts:
        assert attempt.count <= cap(world.of.spec, attempt.cause)
    assert sum(attempt.count for attempt in status.attempts if attempt.cause not in NOT_IN_TOTAL) <= 6
    for head in world.merges:
        assert world.commits[head].ci == "success"
        assert world.commits[head].tested
        reviewed = {review.commit for review in world.reviews if review.author == REVIEWER}
        assert reviewed & set(world.lineage(head)), "the change that was merged was never reviewed"
    if status.stage == Stage.DEPLOY:
        assert status.merge_sha == world.base
        if status.transition is None and world.of.spec.gates.coverage.enabled:
            assert world.of.status.coverage is not None
            assert world.of.status.coverage.percent == 80


@WALK
@given(SEEDS, st.booleans())
def test_a_walk_with_much_going_wrong_breaks_no_rule(seed: int, person: bool) -> None:
    walk(seed, 150, person=person)


@WALK
@given(SEEDS)
def test_no_job_is_ever_created_twice(seed: int) -> None:
    """But for a run whose Job somebody deleted before anyone saw it."""
    luck = Luck(meddling=0)
    world = walk(seed, 150, luck=luck)
    assert len(world.created) == len(set(world.created))


@WALK
@given(SEEDS, st.booleans())
def test_once_all_goes_well_the_item_comes_to_its_end(seed: int, person: bool) -> None:
    world = walk(seed, 60, person=person)
    world.luck = GOOD
    for _ in range(400):
        if world.status.stage == Stage.DONE:
            break
        world.step()
        check(world)
    assert world.status.stage == Stage.DONE, (world.status.stage, world.status.waiting, world.status.stalled)


@pytest.mark.parametrize("seed", range(5))
def test_with_nothing_going_wrong_each_role_works_once(seed: int) -> None:
    world = World(chance(seed), GOOD)
    while world.status.stage != Stage.DONE:
        world.step()
        assert len(world.status.history) < 20
    roles = [name.removeprefix("shop-et-17-").split("-")[0] for name in world.created]
    assert roles == ["analyst", "architect", "developer", "reviewer", "tester", "production"]
    assert not world.status.attempts
