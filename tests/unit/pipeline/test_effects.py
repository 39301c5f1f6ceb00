"""Intents: how they are taken over, parked, proven, and what supersedes them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from conveyor.api.objects import WorkItem
from conveyor.api.stages import Stage
from conveyor.api.workitem import Effect, StalledReason, TransitionJob
from conveyor.engine import effects as carried_out
from conveyor.pipeline.case import Facts
from conveyor.pipeline.effects import EFFECTS
from conveyor.pipeline.facts import JobState
from tests.unit.pipeline.builders import (
    BASE,
    HEAD,
    HOLDER,
    NOW,
    UNKNOWN,
    facts,
    item,
    job,
    merged_pull,
    pull,
    settled,
    stalled,
    ticket,
    transition,
)
from tests.unit.pipeline.outcomes import Row, decide_row, table

PARKED = {"phase": "Unknown"}
UNPROPOSED: dict[str, Any] = {"pull_request": None, "head_sha": None, "change_id": None}


def opening(**fields: object) -> WorkItem:
    return item(Stage.DEVELOPMENT, transition=transition(Effect.OPEN_PULL_REQUEST, **fields), **UNPROPOSED)


def parked(stage: Stage, effect: Effect, **fields: object) -> WorkItem:
    produced: dict[str, Any] = UNPROPOSED if effect == Effect.OPEN_PULL_REQUEST else {}
    produced = {"branch": "feature/ET-17-a-cart"} if effect == Effect.CUT_BRANCH else produced
    whole = item(stage, transition=transition(effect, **(PARKED | fields)), **produced)
    return stalled(whole, StalledReason.EFFECT_UNKNOWN)


CREATED = TransitionJob(name="shop-et-17-production-0123456789", uid="job-uid")
LATE = NOW + timedelta(hours=1)

ROWS: tuple[Row, ...] = (
    ("no pull request yet: it is opened", opening(), facts(pull=None), "Apply OpenPullRequest"),
    ("an open pull request is the result", opening(), facts(), "OpenPullRequest ended"),
    ("a pull request that cannot be read is waited for", opening(), facts(pull=UNKNOWN), "OpenPullRequest goes on"),
    (
        "cancel ends what can still be taken back",
        item(Stage.DEVELOPMENT, transition=transition(Effect.OPEN_PULL_REQUEST), spec={"cancel": True}),
        facts(),
        "-> cancelled",
    ),
    (
        "a merge by a person ends an open intent before the merge",
        item(Stage.REVIEW, transition=transition(Effect.OPEN_PULL_REQUEST)),
        facts(pull=merged_pull()),
        "-> done",
    ),
    (
        "a parked branch that is there after all goes on",
        parked(Stage.CREATED, Effect.CUT_BRANCH),
        facts(branch_head=BASE),
        "-> analysis, run analyst",
    ),
    (
        "a parked branch that is not there stays parked",
        parked(Stage.CREATED, Effect.CUT_BRANCH),
        facts(branch_head=None),
        "CutBranch goes on, Stalled EffectUnknown",
    ),
    (
        "a parked branch that cannot be read stays parked",
        parked(Stage.CREATED, Effect.CUT_BRANCH),
        facts(branch_head=UNKNOWN),
        "CutBranch goes on, Stalled EffectUnknown",
    ),
    (
        "a parked pull request that is there after all goes on",
        parked(Stage.DEVELOPMENT, Effect.OPEN_PULL_REQUEST),
        facts(),
        "OpenPullRequest ended",
    ),
    (
        "a parked merge that is on the base goes on",
        parked(Stage.DEPLOY_STAGING, Effect.MERGE),
        facts(head_in_base=True, pull=merged_pull()),
        "-> deploy",
    ),
    (
        "a parked merge that cannot happen any more ends",
        parked(Stage.DEPLOY_STAGING, Effect.MERGE),
        facts(pull=pull(state="closed")),
        "Merge ended",
    ),
    (
        "a parked merge that may still happen stays parked",
        parked(Stage.DEPLOY_STAGING, Effect.MERGE),
        facts(),
        "Merge goes on, Stalled EffectUnknown",
    ),
    (
        "a parked deploy whose Job is at work goes on",
        parked(Stage.DEPLOY, Effect.PRODUCTION, job=CREATED),
        facts(effect_job=job(JobState.ACTIVE)),
        "Production goes on",
    ),
    (
        "a parked deploy whose Job failed freezes its repository",
        parked(Stage.DEPLOY, Effect.PRODUCTION, job=CREATED),
        facts(effect_job=job(complete=False)),
        "Amend",
    ),
    (
        "a parked deploy whose Job vanished stays parked",
        parked(Stage.DEPLOY, Effect.PRODUCTION, job=CREATED),
        facts(),
        "Production goes on, Stalled EffectUnknown",
    ),
)


def test_every_effect_is_followed_and_carried_out() -> None:
    """The ratchet is a write to the Repository, and never applied."""
    assert set(EFFECTS) == set(Effect)
    assert set(carried_out.EFFECTS) == set(Effect) - {Effect.RATCHET}


@table(ROWS)
def test_an_intent(whole: WorkItem, known: Facts, expected: str) -> None:
    assert decide_row(whole, known) == expected


def test_taking_over_raises_the_token_before_anything_is_done() -> None:
    whole = opening(holder="a process that is gone")
    status = settled(whole, facts(pull=None)).status
    assert status.transition is not None
    assert (status.fencing_token, status.transition.fencing_token, status.transition.holder) == (5, 5, HOLDER)


def test_taking_over_keeps_the_id_and_the_job_that_were_recorded() -> None:
    """Computed anew after the merge, they would be another Job's, and the commit be deployed again."""
    left = transition(Effect.PRODUCTION, job=CREATED, holder="a process that is gone")
    mine = settled(item(Stage.DEPLOY, transition=left, merge_sha=HEAD), facts()).status.transition
    assert mine is not None
    assert (mine.holder, mine.id, mine.job) == (HOLDER, left.id, CREATED)


def test_what_was_left_behind_for_long_is_gone_on_with() -> None:
    """The time nobody looked does not count."""
    whole = opening(holder="a process that is gone", deadline_time=NOW - timedelta(hours=1))
    adopted = whole.model_copy(update={"status": settled(whole, facts(pull=None)).status})
    assert decide_row(adopted, facts(pull=None)) == "Apply OpenPullRequest"


def test_an_effect_that_does_not_happen_until_its_deadline_is_parked() -> None:
    action = settled(opening(), facts(pull=None), now=LATE)
    assert action.status.stalled == StalledReason.EFFECT_UNKNOWN
    assert action.status.transition is not None
    assert action.status.transition.phase == "Unknown"
    assert action.after == 60.0


def test_what_cannot_be_read_is_waited_for_beyond_the_deadline_and_then_parked() -> None:
    whole, unread = opening(), facts(pull=UNKNOWN)
    assert decide_row(whole, unread, now=NOW + timedelta(minutes=5)) == "OpenPullRequest goes on"
    assert decide_row(whole, unread, now=LATE) == "OpenPullRequest goes on, Stalled EffectUnknown"


def test_a_new_intent_has_a_new_id_and_never_a_lower_token() -> None:
    first = settled(item(Stage.DEPLOY_STAGING)).status
    again = item(Stage.DEPLOY_STAGING, runs=first.runs, fencing_token=first.fencing_token)
    second = settled(again).status
    assert first.transition is not None
    assert second.transition is not None
    assert first.transition.id != second.transition.id
    assert second.transition.fencing_token > first.transition.fencing_token


def test_a_pull_request_opened_in_place_of_another_is_reviewed_anew() -> None:
    intent = transition(Effect.OPEN_PULL_REQUEST, from_stage=Stage.TESTING, to_stage=Stage.REVIEW)
    whole = item(Stage.TESTING, transition=intent, pull_request=None)
    assert decide_row(whole, facts(pull=pull(number=9))) == "-> review, run reviewer"


def test_a_ticket_cancelled_in_mid_merge_does_not_end_it() -> None:
    whole = item(Stage.DEPLOY_STAGING, source=True, transition=transition(Effect.MERGE))
    assert decide_row(whole, facts(ticket=ticket("Cancelled"))) == "Apply Merge"


def test_a_refusal_is_told_and_tried_again_later() -> None:
    action = settled(opening(), facts(pull=None, refusal="the head is protected"))
    assert action.status.waiting is not None
    assert "the head is protected" in action.status.waiting.message
    assert action.after is not None


def test_the_head_of_a_new_pull_request_is_on_record() -> None:
    status = settled(opening()).status
    assert status.pull_request is not None
    assert (status.pull_request.number, status.head_sha) == (7, HEAD)
