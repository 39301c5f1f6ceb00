"""Every verb in every stage: what it leads to on an item that stands well there, or the reason it is refused with.

How a verb fares with what is Stalled is in test_stalled, at an open gate in test_people, and the moves of `override`
in test_overriding.
"""

from __future__ import annotations

import pytest

from conveyor.api.annotations import Verb
from conveyor.api.objects import WorkItem
from conveyor.api.stages import Stage
from conveyor.api.workitem import Effect, TransitionJob
from conveyor.pipeline.actions import ReleaseLeases, Settle
from conveyor.pipeline.requests import unanswered
from tests.unit.pipeline.builders import (
    HOLDER,
    active_run,
    decided,
    item,
    settled,
    transition,
)
from tests.unit.pipeline.outcomes import outcome

TEXT = {Verb.OVERRIDE: "analysis>done by hand", Verb.RELEASE_LEASE: "its process hangs"}
NO_GATE, NOT_HELD = "no gate is open", "the item is not Stalled and asks nothing"
BACK = "-> development, charged Rejected, run developer"
RELEASED = "ReleaseLeases"


def told(whole: WorkItem, verb: Verb, text: str | None = None) -> WorkItem:
    request = f"r1 by=ann {TEXT.get(verb, 'why not') if text is None else text}"
    annotations = {f"request.conveyor.dev/{verb.value}": request}
    return whole.model_copy(update={"metadata": whole.metadata.model_copy(update={"annotations": annotations})})


def test_request_that_may_wait_for_a_lease_keeps_no_other_waiting() -> None:
    asked = {f"request.conveyor.dev/{verb}": "r1" for verb in (Verb.RETRY, Verb.REWORK)}
    whole = item(Stage.REVIEW)
    both = whole.model_copy(update={"metadata": whole.metadata.model_copy(update={"annotations": asked})})
    first = unanswered(both)
    assert first is not None
    assert first.verb == Verb.REWORK


def cannot_rework(stage: Stage) -> str:
    return f"an item in {stage} cannot be sent back to development"


def expected(stage: Stage, verb: Verb) -> str:
    """The table. What is no decision in a few words is the reason of the refusal."""
    if verb == Verb.RELEASE_LEASE:
        return RELEASED
    if stage in (Stage.DONE, Stage.CANCELLED):
        return f"the item is {stage}"
    return {
        Verb.APPROVE: NO_GATE,
        Verb.REJECT: NO_GATE,
        Verb.RESUME: NOT_HELD,
        Verb.RETRY: NOT_HELD,
        Verb.REWORK: BACK if stage in (Stage.REVIEW, Stage.TESTING, Stage.DEPLOY_STAGING) else cannot_rework(stage),
        Verb.REFRESH: "rests",
        Verb.OVERRIDE: "-> done" if stage == Stage.ANALYSIS else f"the item is in {stage}, not in analysis",
        Verb.UNFREEZE: "freezes are the Repository's: kubectl workitem unfreeze shop",
    }[verb]


@pytest.mark.parametrize("verb", Verb)
@pytest.mark.parametrize("stage", Stage)
def test_each_verb_in_each_stage_has_its_answer(stage: Stage, verb: Verb) -> None:
    whole = told(item(stage), verb)
    action = decided(whole)
    found = outcome(whole.status, action)
    if isinstance(action, Settle):
        (echo,) = action.status.handled_requests
        assert (echo.verb, echo.id) == (verb.value, "r1")
        found = found if echo.result == "Accepted" else echo.result.removeprefix("Refused: ")
    assert found == expected(stage, verb)


@pytest.mark.parametrize("verb", Verb)
def test_a_request_is_answered_once(verb: Verb) -> None:
    whole = told(item(Stage.ANALYSIS), verb)
    action = decided(whole)
    status = action.nothing.status if isinstance(action, ReleaseLeases) else settled(whole).status
    assert unanswered(whole) is not None
    assert unanswered(whole.model_copy(update={"status": status})) is None


# --- while something is at work

BUSY = (
    (Verb.REWORK, "the reviewer is at work"),
    (Verb.RESUME, NOT_HELD),
    (Verb.RETRY, NOT_HELD),
    (Verb.APPROVE, NO_GATE),
    (Verb.REJECT, "the reviewer is at work"),
)


@pytest.mark.parametrize(("verb", "why"), BUSY)
def test_a_run_at_work_is_not_disturbed(verb: Verb, why: str) -> None:
    whole = told(item(Stage.REVIEW, active_run=active_run(Stage.REVIEW, uid="job-uid")), verb)
    status = settled(whole).status
    assert status.handled_requests[0].result == f"Refused: {why}"
    assert status.active_run == whole.status.active_run


# --- release-lease


def released(whole: WorkItem) -> ReleaseLeases:
    action = decided(told(whole, Verb.RELEASE_LEASE))
    assert isinstance(action, ReleaseLeases)
    return action


def test_a_released_lease_fences_whoever_held_it() -> None:
    intent = transition(Effect.MERGE, holder="another/process", lease_used=True)
    before = item(Stage.DEPLOY_STAGING, transition=intent)
    after = released(before).released.status
    assert after.transition is not None
    assert (after.transition.id, after.transition.holder) == (intent.id, HOLDER)
    assert after.transition.fencing_token == after.fencing_token == intent.fencing_token + 1
    assert after.handled_requests[0].result == "Accepted"


def test_a_parked_intent_stays_parked_without_its_lease() -> None:
    whole = item(Stage.DEPLOY_STAGING, transition=transition(Effect.MERGE, phase="Unknown", lease_used=True))
    after = released(whole).released.status.transition
    assert after is not None
    assert after.phase == "Unknown"


def test_where_no_lease_is_there_nothing_changes_but_the_echo() -> None:
    job = TransitionJob(name="shop-et-17-production-0123456789", uid="job-uid")
    whole = item(Stage.DEPLOY, transition=transition(Effect.PRODUCTION, job=job))
    after = released(whole).nothing.status
    assert after.handled_requests[0].result == "Refused: no Lease of this item is there"
    assert after.transition == whole.status.transition


def test_a_forced_release_is_a_warning_that_names_who_and_why() -> None:
    (warning,) = [note for note in released(item(Stage.DEPLOY_STAGING)).released.notes if note.warning]
    assert (warning.reason, warning.text) == ("LeaseReleased", "its Leases are taken away by ann: its process hangs")


def test_it_is_decided_whoever_holds_the_intent() -> None:
    assert isinstance(
        decided(
            told(item(Stage.DEPLOY, transition=transition(Effect.PRODUCTION, holder="another")), Verb.RELEASE_LEASE)
        ),
        ReleaseLeases,
    )
