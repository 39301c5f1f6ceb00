"""An item whose Repository is missing or cannot be read: its run ends, it is Stalled, and goes on when it is back."""

from datetime import timedelta

import pytest

from conveyor.api.stages import Stage
from conveyor.api.workitem import Effect, StalledReason
from conveyor.pipeline.actions import LetGo, Settle, StopRun
from conveyor.pipeline.facts import JobState
from conveyor.pipeline.orphaned import decide_without_repository
from tests.unit.pipeline.builders import (
    MISSING,
    NOW,
    UNKNOWN,
    active_run,
    facts,
    item,
    job,
    orphan,
    settled,
    stalled,
    transition,
)

WHY = "there is no Repository shop"
AT_WORK = item(Stage.REVIEW, active_run=active_run(Stage.REVIEW))


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        (None, (Stage.CREATED, None, None)),
        (Stage.CREATED, (Stage.CREATED, "Forge", None)),
        (Stage.REVIEW, (Stage.REVIEW, "Person", "RepositoryMissing")),
        (Stage.DONE, (Stage.DONE, None, None)),
    ],
)
def test_item_waits_and_under_way_is_a_persons_matter(
    stage: Stage | None, expected: tuple[Stage, str | None, str | None]
) -> None:
    action = decide_without_repository(orphan(item(stage)), WHY)
    assert isinstance(action, Settle)
    waiting = action.status.waiting
    assert (action.status.stage, waiting and waiting.reason.value, action.status.stalled) == expected


@pytest.mark.parametrize("found", [job(JobState.ACTIVE), job(JobState.DELETING), UNKNOWN])
def test_run_is_stopped_until_it_is_known_to_be_gone(found: object) -> None:
    assert isinstance(decide_without_repository(orphan(AT_WORK, run_job=found), WHY), StopRun)


def test_run_that_is_gone_is_off_the_record_and_charged_to_nobody() -> None:
    action = decide_without_repository(orphan(AT_WORK, run_job=MISSING), WHY)
    assert isinstance(action, Settle)
    assert (action.status.active_run, action.status.stalled) == (None, "RepositoryMissing")
    assert action.status.attempts == AT_WORK.status.attempts
    assert action.status.last_run == AT_WORK.status.last_run


def test_run_that_has_ended_keeps_its_answer() -> None:
    action = decide_without_repository(orphan(AT_WORK, run_job=job()), WHY)
    assert isinstance(action, Settle)
    assert action.status.active_run == AT_WORK.status.active_run


def test_run_goes_on_while_the_repository_is_there_and_cannot_be_read() -> None:
    action = decide_without_repository(orphan(AT_WORK, missing=False, run_job=job(JobState.ACTIVE)), "it is broken")
    assert isinstance(action, Settle)
    assert action.status.active_run == AT_WORK.status.active_run


@pytest.mark.parametrize("reason", [StalledReason.DEPLOY_FAILED, StalledReason.RETRIES_EXHAUSTED])
def test_reason_that_only_a_person_ends_outlasts_the_missing_repository(reason: StalledReason) -> None:
    action = decide_without_repository(orphan(stalled(item(Stage.DEPLOY), reason)), WHY)
    assert isinstance(action, Settle)
    assert action.status.stalled == reason


def test_item_goes_on_when_its_repository_is_back() -> None:
    whole = stalled(item(Stage.REVIEW), StalledReason.REPOSITORY_MISSING)
    assert settled(whole).status.stage == Stage.TESTING


def test_intent_has_its_whole_time_again_when_its_repository_is_back() -> None:
    late = transition(Effect.MERGE, deadline_time=NOW - timedelta(hours=1))
    whole = stalled(item(Stage.DEPLOY_STAGING, transition=late), StalledReason.REPOSITORY_MISSING)
    status = settled(whole, facts()).status
    assert status.stalled is None
    assert status.transition is not None
    assert status.transition.deadline_time > NOW


def test_item_that_has_ended_is_let_go_all_the_same() -> None:
    assert decide_without_repository(orphan(item(Stage.DONE, held=True)), WHY) == LetGo()
