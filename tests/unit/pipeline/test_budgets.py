"""Budgets: what is charged to which cause, how often, and what a next attempt is called."""

from __future__ import annotations

from typing import Any

import pytest

from conveyor.api.answers import Verdict
from conveyor.api.stages import Role, Stage
from conveyor.api.workitem import Cause, HistoryEntry
from conveyor.pipeline.budgets import attempt_number, charged, exhausted, forgiven
from tests.unit.pipeline.builders import (
    AUTO,
    HEAD,
    NOW,
    attempts,
    facts,
    green,
    item,
    last_run,
    pull,
    repository,
    settled,
    sha,
    status,
)
from tests.unit.pipeline.outcomes import decide_row


@pytest.mark.parametrize(
    ("counts", "cause", "budget"),
    [
        ({"CI": 2}, Cause.CI, None),
        ({"CI": 3}, Cause.CI, "CI 3 of 3"),
        ({"CI": 3}, Cause.REVIEW, None),
        ({"CI": 3, "Review": 3}, Cause.TESTING, "total 6 of 6"),
        ({"CI": 3, "Review": 2, "Infrastructure": 3, "HeadMoved": 3}, Cause.TESTING, None),
        ({"CI": 3, "Review": 3}, Cause.INFRASTRUCTURE, None),
        ({"CI": 3, "Review": 3}, Cause.HEAD_MOVED, None),
        ({"BaseMoved": 4}, Cause.BASE_MOVED, None),
        ({"BaseMoved": 5}, Cause.BASE_MOVED, "BaseMoved 5 of 5"),
        ({"Rejected": 3}, Cause.REJECTED, "Rejected 3 of 3"),
    ],
)
def test_a_budget(counts: dict[str, int], cause: Cause, budget: str | None) -> None:
    assert exhausted(status(Stage.REVIEW, attempts=attempts(**counts)), AUTO.spec, cause) == budget


@pytest.mark.parametrize(
    ("retries", "counts", "cause", "is_used_up"),
    [
        ({"CI": 1}, {"CI": 1}, Cause.CI, True),
        ({"CI": 0}, {}, Cause.CI, True),
        ({"CI": 9, "total": 9}, {"CI": 8}, Cause.CI, False),
        ({"total": 1}, {"Review": 1}, Cause.CI, True),
        ({"BaseMoved": 1}, {"BaseMoved": 1}, Cause.BASE_MOVED, True),
    ],
)
def test_a_repository_sets_its_own_budgets(
    retries: dict[str, int], counts: dict[str, int], cause: Cause, *, is_used_up: bool
) -> None:
    spec = repository(retries=retries).spec
    assert (exhausted(status(Stage.REVIEW, attempts=attempts(**counts)), spec, cause) is not None) is is_used_up


def test_the_same_red_commit_is_charged_once_for_each_run_that_left_it_so() -> None:
    """The charge and the run that answers it are one write: nobody can see the one without the other."""
    red = facts(statuses=(green("failure"),))
    once = settled(item(Stage.DEVELOPMENT), red).status
    assert once.active_run is not None
    assert [(entry.cause, entry.count, entry.sha) for entry in once.attempts] == [(Cause.CI, 1, HEAD)]
    assert decide_row(item(Stage.DEVELOPMENT).model_copy(update={"status": once}), red) == "StartRun"


def test_without_a_slot_the_same_red_commit_is_charged_only_when_work_begins() -> None:
    red = facts(statuses=(green("failure"),), slot_free=False)
    assert settled(item(Stage.DEVELOPMENT), red).status.attempts == ()


def test_the_commit_charged_is_the_one_looked_at() -> None:
    moved = facts(pull=pull(head_sha=sha("foreign")))
    attempt = settled(item(Stage.TESTING), moved).status.attempts_of(Cause.HEAD_MOVED)
    assert (attempt.count, attempt.sha) == (1, sha("foreign"))


def test_at_the_cap_a_moved_head_is_not_taken_as_reviewed() -> None:
    whole = item(Stage.TESTING, attempts=attempts(HeadMoved=3))
    stopped = settled(whole, facts(pull=pull(head_sha=sha("foreign")))).status
    assert (stopped.stage, stopped.stalled, stopped.head_sha) == (Stage.TESTING, "RetriesExhausted", HEAD)


@pytest.mark.parametrize("stage", [Stage.ANALYSIS, Stage.DEVELOPMENT, Stage.REVIEW, Stage.TESTING])
def test_at_the_cap_the_item_stays_where_it_is(stage: Stage) -> None:
    full = attempts(Analysis=3, Development=3, Review=3, Testing=3)
    whole = item(stage, attempts=full, last_run=last_run(stage, Verdict.FAIL))
    assert decide_row(whole, facts()) == "Stalled RetriesExhausted"


def test_a_stop_at_the_cap_says_what_was_wrong_what_was_tried_and_what_to_do() -> None:
    whole = item(Stage.DEVELOPMENT, attempts=attempts(CI=3))
    waiting = settled(whole, facts(statuses=(green("failure"),))).status.waiting
    assert waiting is not None
    assert "CI is red: ci" in waiting.message
    assert "CI 3 of 3" in waiting.message
    assert "kubectl workitem retry shop-et-17" in waiting.message


def test_forgiven_counts_stay_as_entries() -> None:
    """The API server refuses a removed cause."""
    before = status(Stage.REVIEW, attempts=attempts(CI=3, Review=1))
    assert [(entry.cause, entry.count) for entry in forgiven(before).attempts] == [(Cause.CI, 0), (Cause.REVIEW, 0)]


def test_a_charge_touches_its_own_cause_alone() -> None:
    after = charged(status(Stage.REVIEW, attempts=attempts(CI=2)), Cause.REVIEW, HEAD)
    assert [(entry.cause, entry.count) for entry in after.attempts] == [(Cause.CI, 2), (Cause.REVIEW, 1)]


def sent_back(cause: Cause) -> tuple[HistoryEntry, ...]:
    entry = HistoryEntry(
        from_stage=Stage.REVIEW, to_stage=Stage.DEVELOPMENT, time=NOW, actor="x", cause=f"{cause.value}: no"
    )
    return (entry,)


@pytest.mark.parametrize(
    ("role", "counts", "fields", "number"),
    [
        (Role.ANALYST, {}, {}, 1),
        (Role.ANALYST, {"Analysis": 1, "Rejected": 1}, {}, 3),
        (Role.ARCHITECT, {"Analysis": 2, "Rejected": 1, "Architecture": 1}, {}, 2),
        (Role.DEVELOPER, {"Analysis": 2, "Rejected": 1}, {}, 1),
        (Role.DEVELOPER, {"CI": 1, "Review": 1, "Testing": 1}, {}, 4),
        (Role.DEVELOPER, {"Rejected": 2}, {"history": sent_back(Cause.REJECTED)}, 2),
        (Role.DEVELOPER, {"Infrastructure": 2, "HeadMoved": 1, "BaseMoved": 1}, {}, 1),
        (Role.REVIEWER, {"CI": 2, "Review": 1}, {}, 2),
        (Role.TESTER, {"Testing": 2, "Infrastructure": 3}, {}, 3),
    ],
)
def test_an_attempt_counts_what_was_sent_back_to_the_role(
    role: Role, counts: dict[str, int], fields: dict[str, Any], number: int
) -> None:
    assert attempt_number(status(Stage.DEVELOPMENT, attempts=attempts(**counts), **fields), role) == number
