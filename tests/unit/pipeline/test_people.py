"""Human gates and tickets: what counts as a verdict, and what only looks like one."""

from __future__ import annotations

from typing import Any

import pytest

from conveyor.api.answers import Verdict
from conveyor.api.objects import WorkItem
from conveyor.api.stages import Stage
from conveyor.api.workitem import StalledReason
from conveyor.pipeline.case import Facts
from conveyor.pipeline.people import later
from tests.unit.pipeline.builders import (
    HEAD,
    LATER,
    OPENED,
    PERSON,
    TICKET,
    UNKNOWN,
    approval,
    attempts,
    digest,
    facts,
    gate,
    item,
    last_run,
    pull,
    seen,
    settled,
    sha,
    stalled,
    ticket,
)
from tests.unit.pipeline.outcomes import decide_row

OTHER = sha("other")


def asking(stage: Stage = Stage.ANALYSIS, **fields: Any) -> WorkItem:
    """A ticket's item at an open gate, the ticket set to its waiting state."""
    name = "analysis_approved" if stage == Stage.ANALYSIS else "deploy_approved"
    shown = "Needs Input" if stage == Stage.ANALYSIS else "Awaiting Deploy"
    values: dict[str, Any] = {"source": True, "approval": approval(name), "tracker": seen(shown)}
    return item(stage, **(values | fields))


def told(whole: WorkItem, verb: str, text: str = "") -> WorkItem:
    annotations = {f"request.conveyor.dev/{verb}": f"r1 by=lead {text}"}
    return whole.model_copy(update={"metadata": whole.metadata.model_copy(update={"annotations": annotations})})


def obey(whole: WorkItem, known: Facts) -> str:
    """What comes of it once the verdict is stored."""
    first = settled(whole, known, of=PERSON)
    if first.moved is not None or first.status.active_run is not None:
        return decide_row(whole, known, of=PERSON)
    return decide_row(whole.model_copy(update={"status": first.status}), known, of=PERSON)


VERDICTS = (
    ("approved after the gate opened", asking(), facts(ticket=ticket("Approved")), "-> architecture, run architect"),
    ("approved for deploy", asking(Stage.DEPLOY_STAGING), facts(ticket=ticket("Approved")), "intends Merge"),
    ("rejected in analysis", asking(), facts(ticket=ticket("Rejected")), "charged Rejected, run analyst"),
    (
        "rejected before the merge",
        asking(Stage.DEPLOY_STAGING),
        facts(ticket=ticket("Rejected")),
        "-> development, charged Rejected, run developer",
    ),
    (
        "rejected without a slot it waits, and is not forgotten",
        asking(),
        facts(ticket=ticket("Rejected"), slot_free=False),
        "waits RunSlot",
    ),
    (
        "a verdict from before the gate opened",
        asking(),
        facts(ticket=ticket("Approved", updated=OPENED)),
        "waits Approval",
    ),
    ("a state we set ourselves", asking(tracker=seen("Approved")), facts(ticket=ticket("Approved")), "waits Approval"),
    (
        "a state that stood there before we could show ours",
        asking(tracker=seen("Approved", indicated="")),
        facts(ticket=ticket("Approved")),
        "waits Approval",
    ),
    ("a ticket edited since is asked anew", asking(), facts(ticket=ticket("Approved", text="more")), "waits Approval"),
    ("our own writing that moves the ticket's time", asking(), facts(ticket=ticket("Needs Input")), "waits Approval"),
    ("another state says nothing", asking(), facts(ticket=ticket("In Progress")), "waits Approval"),
    ("a ticket that cannot be read says nothing", asking(), facts(ticket=UNKNOWN), "waits Approval"),
    (
        "states that cannot be read say nothing",
        asking(),
        facts(ticket=ticket("Approved"), states=UNKNOWN),
        "waits Approval",
    ),
    (
        "without an open gate a verdict says nothing",
        asking(approval=None),
        facts(ticket=ticket("Approved")),
        "waits Approval",
    ),
)


@pytest.mark.parametrize(
    ("whole", "known", "expected"), [row[1:] for row in VERDICTS], ids=[row[0] for row in VERDICTS]
)
def test_a_ticket_at_a_gate(whole: WorkItem, known: Facts, expected: str) -> None:
    assert obey(whole, known) == expected


def test_deploy_is_approved_for_its_head() -> None:
    status = settled(asking(Stage.DEPLOY_STAGING), facts(ticket=ticket("Approved")), of=PERSON).status
    word = status.gate("deploy_approved")
    assert word is not None
    assert (word.passed, word.head_sha, status.approval) == (True, HEAD, None)


def test_a_gate_opens_with_the_tickets_own_time_and_text() -> None:
    opened = settled(asking(approval=None), facts(ticket=ticket("Analysis")), of=PERSON).status
    assert opened.approval is not None
    assert (opened.approval.opened_time, opened.approval.text_digest) == (LATER, digest(TICKET))
    assert opened.tracker is not None
    assert (opened.tracker.state, opened.tracker.indicated_state) == ("id-Analysis", "")


def test_a_gate_is_not_opened_for_a_ticket_that_cannot_be_read() -> None:
    assert decide_row(asking(approval=None), facts(ticket=UNKNOWN), of=PERSON) == "waits Tracker"


def test_a_gate_is_not_opened_for_a_commit_that_cannot_be_read() -> None:
    assert settled(asking(approval=None), facts(pull=UNKNOWN, branch_head=UNKNOWN), of=PERSON).status.approval is None


@pytest.mark.parametrize(
    "known",
    [
        facts(ticket=ticket("Approved", text="more")),
        facts(ticket=ticket("Needs Input"), pull=UNKNOWN, branch_head=OTHER),
    ],
    ids=["an edited ticket", "a pushed commit"],
)
def test_a_gate_is_opened_anew_for(known: Facts) -> None:
    before = asking()
    after = settled(before, known, of=PERSON).status
    assert after.approval is not None
    assert after.approval != before.status.approval
    assert after.approval.opened_time == LATER


APPROVED = settled(asking(Stage.DEPLOY_STAGING), facts(ticket=ticket("Approved")), of=PERSON).status


def test_an_approval_is_for_the_text_that_was_shown() -> None:
    whole = asking(Stage.DEPLOY_STAGING).model_copy(update={"status": APPROVED})
    assert decide_row(whole, facts(ticket=ticket("Approved")), of=PERSON) == "intends Merge"
    assert decide_row(whole, facts(ticket=ticket("Approved", text="more")), of=PERSON) == "waits Approval"


def test_an_approval_of_an_edited_text_opens_the_gate_for_the_new_one() -> None:
    whole = asking(Stage.DEPLOY_STAGING).model_copy(update={"status": APPROVED})
    again = settled(whole, facts(ticket=ticket("Approved", text="more")), of=PERSON).status
    assert again.approval is not None
    assert again.approval.text_digest not in ("", APPROVED.gate("deploy_approved").text_digest)  # type: ignore[union-attr]


def test_after_a_push_to_an_open_deploy_gate_the_commit_is_reviewed_first() -> None:
    known = facts(pull=pull(head_sha=OTHER), ticket=ticket("Awaiting Deploy"))
    assert decide_row(asking(Stage.DEPLOY_STAGING), known, of=PERSON) == "-> review, charged HeadMoved, run reviewer"


def test_a_yes_to_an_older_commit_does_not_let_a_newer_one_pass() -> None:
    whole = item(Stage.ANALYSIS, gates=(gate("analysis_approved", head_sha=OTHER, change_id=""),))
    assert decide_row(whole, facts(), of=PERSON) == "waits Approval"


def test_a_rejection_at_the_cap_stays_and_a_retry_lets_it_work() -> None:
    whole, known = asking(attempts=attempts(Rejected=3)), facts(ticket=ticket("Rejected"))
    stopped = settled(whole, known, of=PERSON).status
    assert (stopped.stalled, stopped.approval) == (StalledReason.RETRIES_EXHAUSTED, whole.status.approval)
    held = whole.model_copy(update={"status": stopped})
    assert decide_row(held, known, of=PERSON) == "Stalled RetriesExhausted"
    again = facts(ticket=ticket("To Analyse"))
    resumed = settled(held, again, of=PERSON).status
    assert resumed.stalled is None
    assert {attempt.count for attempt in resumed.attempts} == {0}


# --- starting states


def waiting_for_answer(**fields: Any) -> WorkItem:
    asks = last_run(Stage.REVIEW, Verdict.BLOCKED, question="which one?")
    values: dict[str, Any] = {"source": True, "last_run": asks, "tracker": seen("Needs Input")}
    return item(Stage.REVIEW, **(values | fields))


def test_a_starting_state_answers_a_question() -> None:
    assert settled(waiting_for_answer(), facts(ticket=ticket("To Analyse"))).status.waiting is None


@pytest.mark.parametrize(
    ("tracker", "updated"),
    [(seen("To Analyse", indicated=""), LATER), (seen("To Analyse", indicated="id-Blocked"), OPENED)],
    ids=["never shown anything else", "heard already"],
)
def test_a_starting_state_counts_once(tracker: Any, updated: str) -> None:
    whole = waiting_for_answer(tracker=tracker)
    assert decide_row(whole, facts(ticket=ticket("To Analyse", updated=updated))) == "waits Person"


def test_a_starting_state_set_again_counts_again() -> None:
    whole = waiting_for_answer(tracker=seen("To Analyse", indicated="id-Needs Input"))
    assert obey(whole, facts(ticket=ticket("To Analyse"))) == "run reviewer"


def test_a_starting_state_gives_used_up_retries_a_new_budget() -> None:
    whole = stalled(
        item(Stage.REVIEW, source=True, tracker=seen("Blocked"), attempts=attempts(Review=3)),
        StalledReason.RETRIES_EXHAUSTED,
    )
    status = settled(whole, facts(ticket=ticket("To Analyse"), pull=UNKNOWN)).status
    assert {attempt.count for attempt in status.attempts} == {0}


def test_a_starting_state_does_not_deploy_again() -> None:
    whole = stalled(item(Stage.DEPLOY, source=True, tracker=seen("Blocked")), StalledReason.DEPLOY_FAILED)
    assert decide_row(whole, facts(ticket=ticket("To Analyse"))) == "Stalled DeployFailed"


def test_a_starting_state_of_an_item_that_goes_on_says_nothing() -> None:
    whole = item(Stage.REVIEW, source=True, tracker=seen("Code Review"))
    assert decide_row(whole, facts(ticket=ticket("To Analyse"))) == "-> testing, run tester"


def test_a_new_state_of_the_ticket_is_recorded_once() -> None:
    whole, known = waiting_for_answer(), facts(ticket=ticket("Backlog"))
    first = settled(whole, known).status
    assert first.tracker is not None
    assert (first.tracker.state, first.tracker.ticket_updated_time) == ("id-Backlog", LATER)
    assert settled(whole.model_copy(update={"status": first}), known).status == first


@pytest.mark.parametrize(
    ("time", "than", "is_later"),
    [
        ("2026-03-02T11:00:00.000001Z", "2026-03-02T11:00:00Z", True),
        ("2026-03-02T11:00:00Z", "2026-03-02T11:00:00.000001Z", False),
        ("2026-03-02T13:00:00+02:00", "2026-03-02T11:30:00Z", False),
        ("2026-03-02T11:00:00Z", "2026-03-02T11:00:00Z", False),
        ("zzz", "2026-03-02T11:00:00Z", True),
    ],
)
def test_the_trackers_times_are_compared_as_times(time: str, than: str, *, is_later: bool) -> None:
    assert later(time, than) is is_later


# --- verbs


def test_an_approval_by_verb_is_echoed_and_counts() -> None:
    status = settled(told(asking(), "approve"), facts(), of=PERSON).status
    assert [(entry.verb, entry.id, entry.result) for entry in status.handled_requests] == [
        ("approve", "r1", "Accepted")
    ]
    word = status.gate("analysis_approved")
    assert word is not None
    assert word.passed


def test_a_verb_is_carried_out_once() -> None:
    once = settled(told(asking(), "refresh"), facts(), of=PERSON)
    again = told(asking(handled_requests=once.status.handled_requests), "refresh")
    assert settled(again, facts(), of=PERSON).status.handled_requests == once.status.handled_requests


REFUSED = (
    ("approve without a gate", item(Stage.REVIEW), "approve"),
    ("reject without a gate", item(Stage.REVIEW), "reject"),
    ("approve of a text edited since", asking(approval=approval("analysis_approved", text_digest="00")), "approve"),
    ("rework before there is anything to rework", item(Stage.ANALYSIS), "rework"),
    ("rework after the merge", item(Stage.DEPLOY), "rework"),
    ("rework while suspended", item(Stage.REVIEW, spec={"suspend": True}), "rework"),
    ("resume of what goes on", item(Stage.REVIEW), "resume"),
    ("retry of what is done", item(Stage.DONE), "retry"),
    ("unfreeze of an item", item(Stage.REVIEW), "unfreeze"),
    ("override", item(Stage.REVIEW), "override"),
)


@pytest.mark.parametrize(("whole", "verb"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused_with_a_reason(whole: WorkItem, verb: str) -> None:
    status = settled(told(whole, verb), facts(), of=PERSON).status
    assert status.handled_requests[0].result.startswith("Refused: ")
    assert status.stage == whole.status.stage


def test_a_rejection_by_verb_waits_for_a_slot_and_is_then_carried_out() -> None:
    whole = told(asking(), "reject", "too thin")
    held = settled(whole, facts(slot_free=False), of=PERSON).status
    assert held.handled_requests == ()
    run = settled(whole.model_copy(update={"status": held}), facts(), of=PERSON).status.active_run
    assert run is not None
    assert "too thin" in run.reason


def test_rework_by_verb_goes_back_to_development() -> None:
    action = settled(told(item(Stage.TESTING), "rework", "wrong colour"), facts())
    assert action.status.stage == Stage.DEVELOPMENT
    assert action.status.active_run is not None
    assert "wrong colour" in action.status.active_run.reason
