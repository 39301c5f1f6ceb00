"""Break-glass: which moves there are, what ends first, what is refused and why, and what the item is left with."""

from __future__ import annotations

from typing import Any

import pytest

from conveyor.api.objects import WorkItem
from conveyor.api.stages import TERMINAL, Stage, edge_allowed
from conveyor.api.workitem import Effect, Override, StalledReason, TransitionJob, WaitingReason
from conveyor.pipeline.actions import Settle
from conveyor.pipeline.facts import JobState
from conveyor.pipeline.lane import Lane
from conveyor.pipeline.overriding import USAGE, Move, read_move
from conveyor.pipeline.wants import Want, wants
from tests.unit.pipeline.builders import (
    AUTO,
    BASE,
    BRANCH,
    DEVELOPER,
    HEAD,
    MISSING,
    NOW,
    UNKNOWN,
    active_run,
    approval,
    decided,
    facts,
    item,
    job,
    last_run,
    merged_pull,
    seen,
    settled,
    stalled,
    ticket,
    transition,
)
from tests.unit.pipeline.outcomes import Row, decide_row, table

UNDER_WAY = [stage for stage in Stage if stage not in TERMINAL and stage != Stage.CREATED]


def told(whole: WorkItem, move: str, *, reason: str = "by hand", request: str = "r1") -> WorkItem:
    text = f"{request} by=ann@example.org {move} {reason}".rstrip()
    annotations = {"request.conveyor.dev/override": text}
    return whole.model_copy(update={"metadata": whole.metadata.model_copy(update={"annotations": annotations})})


def result(whole: WorkItem, **known: Any) -> str:
    return settled(whole, facts(**known)).status.handled_requests[0].result


# --- the text


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("review>done merged by hand", Move(Stage.REVIEW, Stage.DONE, "merged by hand")),
        ("deploy-staging > development  no", Move(Stage.DEPLOY_STAGING, Stage.DEVELOPMENT, "no")),
        ("review>done a\nb", Move(Stage.REVIEW, Stage.DONE, "a\nb")),
        ("review>done", USAGE),
        ("review>done   ", USAGE),
        ("done merged by hand", USAGE),
        (">done merged", USAGE),
        ("", USAGE),
    ],
)
def test_a_move_is_read_or_the_usage_said(text: str, read: Move | str) -> None:
    assert read_move(text) == read


def test_an_unknown_stage_is_named_with_those_that_there_are() -> None:
    found = read_move("review>staging why not")
    assert isinstance(found, str)
    assert found.startswith("there is no stage staging: created, analysis, ")


# --- every pair of stages


@pytest.mark.parametrize("end", Stage)
@pytest.mark.parametrize("start", UNDER_WAY)
def test_an_item_under_way_gets_everywhere_but_back_to_created_and_unmerged_into_deploy(
    start: Stage, end: Stage
) -> None:
    action = settled(told(item(start), f"{start}>{end}"))
    refused = end in (start, Stage.CREATED) or end == Stage.DEPLOY
    assert action.status.stage == (start if refused else end)
    word = action.status.override
    assert (word is None) == refused
    if word is not None:
        assert (word.from_stage, word.to_stage, word.by, word.reason) == (start, end, "ann@example.org", "by hand")
        assert edge_allowed(start, end, new_override=True)


@pytest.mark.parametrize("start", sorted(TERMINAL))
def test_an_ended_item_stays_ended(start: Stage) -> None:
    status = settled(told(item(start), f"{start}>development")).status
    assert (status.stage, status.handled_requests[0].result) == (start, f"Refused: the item is {start}")


REFUSED: list[tuple[str, WorkItem, str]] = [
    ("from elsewhere", told(item(Stage.REVIEW), "testing>done"), "the item is in review, not in testing"),
    (
        "to where it is",
        told(item(Stage.REVIEW), "review>review"),
        "the item is in review already: retry lets its work begin again",
    ),
    (
        "to the beginning",
        told(item(Stage.REVIEW), "review>created"),
        "nothing goes back to created: cancel the item and create another",
    ),
    (
        "unmerged to deploy",
        told(item(Stage.TESTING), "testing>deploy"),
        "nothing is merged: deploy needs status.mergeSHA",
    ),
    ("without a reason", told(item(Stage.REVIEW), "review>done", reason=""), USAGE),
]


@pytest.mark.parametrize(("whole", "why"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_makes_no_sense_is_refused_with_its_reason(whole: WorkItem, why: str) -> None:
    status = settled(whole).status
    assert (status.handled_requests[0].result, status.stage) == (f"Refused: {why}"[:256], whole.status.stage)
    assert status.override is None


def test_an_id_opens_the_edge_once() -> None:
    used = Override(id="r1", from_stage=Stage.REVIEW, to_stage=Stage.TESTING)
    whole = told(item(Stage.REVIEW, override=used), "review>done")
    assert result(whole) == "Refused: id r1 was used for the last override: take another"
    assert settled(told(item(Stage.REVIEW, override=used), "review>done", request="r2")).status.stage == Stage.DONE


# --- what ends first


def production(phase: str = "Prepared", uid: str | None = "job-uid") -> WorkItem:
    intent = transition(Effect.PRODUCTION, phase=phase, job=TransitionJob(name="shop-et-17-production-0", uid=uid))
    return told(item(Stage.DEPLOY, transition=intent), "deploy>done")


def reviewed_now() -> WorkItem:
    return told(item(Stage.REVIEW, active_run=active_run(Stage.REVIEW, uid="job-uid")), "review>development")


def opening() -> WorkItem:
    return told(item(Stage.DEVELOPMENT, transition=transition(Effect.OPEN_PULL_REQUEST)), "development>architecture")


def building(effect: Effect = Effect.IMAGE) -> WorkItem:
    recorded = TransitionJob(name=f"shop-et-17-{effect.value.lower()}-0123456789", uid="job-uid")
    whole = item(Stage.DEPLOY_STAGING, transition=transition(effect, job=recorded))
    return told(whole, "deploy-staging>development")


def for_good(effect: Effect) -> WorkItem:
    recorded = TransitionJob(name="shop-et-17-rollback-0", uid="job-uid") if effect == Effect.ROLLBACK else None
    return told(item(Stage.DEPLOY, transition=transition(effect, job=recorded)), "deploy>done")


def merging(phase: str = "Prepared") -> WorkItem:
    intent = transition(Effect.MERGE, phase=phase)
    return told(item(Stage.DEPLOY_STAGING, transition=intent), "deploy-staging>development")


ENDS: list[Row] = [
    ("a run at work is stopped", reviewed_now(), facts(run_job=job(JobState.ACTIVE)), "StopRun"),
    ("a run that is ending is stopped on", reviewed_now(), facts(run_job=job(JobState.DELETING)), "StopRun"),
    ("a run that cannot be read is stopped", reviewed_now(), facts(run_job=UNKNOWN), "StopRun"),
    ("a run that is gone", reviewed_now(), facts(run_job=MISSING), "-> development, run developer"),
    ("a run that has ended", reviewed_now(), facts(run_job=job()), "-> development, run developer"),
    ("a pull request about to be opened", opening(), facts(), "-> architecture, run architect"),
    ("an image at work is stopped", building(), facts(effect_job=job(JobState.ACTIVE)), "StopEffect"),
    ("an image that is gone", building(), facts(effect_job=MISSING), "-> development, run developer"),
    ("staging at work is stopped", building(Effect.STAGING), facts(effect_job=job(JobState.ACTIVE)), "StopEffect"),
    ("staging, unread", building(Effect.STAGING), facts(effect_job=UNKNOWN), "StopEffect"),
    ("a ratchet under way", for_good(Effect.RATCHET), facts(), "Ratchet goes on"),
    ("a rollback under way", for_good(Effect.ROLLBACK), facts(effect_job=job(JobState.ACTIVE)), "Rollback goes on"),
    ("a merge under way", merging(), facts(), "Merge goes on"),
    ("a merge that nobody can tell about", merging("Unknown"), facts(), "-> development, run developer"),
    ("a deploy under way", production(), facts(effect_job=job(JobState.ACTIVE)), "Production goes on"),
    ("a parked deploy at work", production("Unknown"), facts(effect_job=job(JobState.ACTIVE)), "Production goes on"),
    ("a parked deploy, unread", production("Unknown"), facts(effect_job=UNKNOWN), "Production goes on"),
    ("a parked deploy whose Job is gone", production("Unknown"), facts(effect_job=MISSING), "-> done"),
    ("a parked deploy whose Job has ended", production("Unknown"), facts(effect_job=job()), "-> done"),
]


@table(ENDS)
def test_what_is_at_work_ends_first_or_the_override_is_refused(whole: WorkItem, known: Any, expected: str) -> None:
    assert decide_row(whole, known) == expected


def test_a_refusal_says_what_is_under_way_and_what_to_do() -> None:
    assert result(merging()) == ("Refused: Merge is under way: it ends, or is parked for a person; ask again then")
    assert result(production("Unknown"), effect_job=job(JobState.ACTIVE)) == (
        "Refused: Production: Job shop-et-17-production-0 may still be at work: wait for its end or delete it, "
        "then ask again"
    )


def test_a_request_that_waits_for_a_run_to_end_has_no_answer_yet() -> None:
    action = decided(reviewed_now(), facts(run_job=job(JobState.ACTIVE)))
    assert not isinstance(action, Settle)


def test_an_intent_that_is_given_up_is_told_and_stays_in_the_history() -> None:
    action = settled(opening())
    assert action.status.transition is None
    assert action.status.history[-1].transition_id == "0123456789abcdef"
    assert [note.reason for note in action.notes] == ["RequestAccepted", "TransitionSuperseded", "Overridden"]


# --- what it is left with


def test_history_says_who_and_why() -> None:
    action = settled(told(item(Stage.REVIEW), "review>testing", reason="the reviewer is broken"))
    entry = action.status.history[-1]
    assert (entry.from_stage, entry.to_stage) == (Stage.REVIEW, Stage.TESTING)
    assert (entry.actor, entry.cause) == ("ann@example.org", "override: the reviewer is broken")
    assert action.moved is not None
    assert action.moved.cause == "override"
    (warning,) = [note for note in action.notes if note.warning]
    assert warning.text == "review -> testing by ann@example.org: the reviewer is broken"


def test_a_stall_an_open_gate_and_a_question_end() -> None:
    asks = last_run(Stage.ANALYSIS, question="which one?")
    whole = stalled(
        item(Stage.ANALYSIS, approval=approval("analysis_approved"), last_run=asks), StalledReason.RETRIES_EXHAUSTED
    )
    status = settled(told(whole, "analysis>architecture")).status
    assert (status.stalled, status.approval) == (None, None)
    assert status.last_run is not None
    assert status.last_run.question == ""


CLAIMS: list[Row] = [
    ("a role works at once", told(item(Stage.TESTING), "testing>review"), facts(), "-> review, run reviewer"),
    (
        "or waits for a slot",
        told(item(Stage.TESTING), "testing>review"),
        facts(slot_free=False),
        "-> review, waits RunSlot",
    ),
    (
        "or until it is no longer held",
        told(item(Stage.TESTING, spec={"suspend": True}), "testing>review"),
        facts(),
        "-> review, waits Suspended",
    ),
    ("deploy-staging asks its gates", told(item(Stage.REVIEW), "review>deploy-staging"), facts(), "-> deploy-staging"),
    ("what is merged is deployed", told(item(Stage.TESTING, merge_sha=HEAD), "testing>deploy"), facts(), "-> deploy"),
    ("what is merged can be left there", told(item(Stage.DEPLOY), "deploy>cancelled"), facts(), "-> cancelled"),
]


@table(CLAIMS)
def test_the_stage_is_entered_as_any_other(whole: WorkItem, known: Any, expected: str) -> None:
    assert decide_row(whole, known) == expected


def test_gates_before_it_count_as_they_stand() -> None:
    before = item(Stage.DEPLOY_STAGING)
    assert settled(told(before, "deploy-staging>testing")).status.gates == before.status.gates


def test_from_deploy_development_starts_over_on_a_branch_of_its_own() -> None:
    whole = stalled(item(Stage.DEPLOY, revision="r"), StalledReason.ROLLBACK_FAILED)
    status = settled(told(whole, "deploy>development")).status
    assert (status.stage, status.branch, status.base_sha) == (Stage.DEVELOPMENT, f"{BRANCH}-r1", BASE)
    assert (status.pull_request, status.merge_sha, status.head_sha, status.revision) == (None, None, None, None)
    assert status.transition is not None
    assert (status.transition.effect, status.transition.to_stage) == (Effect.CUT_BRANCH, Stage.DEVELOPMENT)
    cut = whole.model_copy(update={"status": status})
    assert decide_row(cut, facts(branch_head=None)) == "Apply CutBranch"
    assert decide_row(cut, facts(branch_head=BASE)) == "run developer, CutBranch ended"


def test_from_deploy_with_the_base_unread_it_waits_to_be_answered() -> None:
    whole = told(item(Stage.DEPLOY), "deploy>development")
    status = settled(whole, facts(base_head=UNKNOWN)).status
    assert (status.stage, status.handled_requests) == (Stage.DEPLOY, ())
    assert status.waiting is not None
    assert status.waiting.reason == WaitingReason.FORGE


def test_from_deploy_without_a_base_it_is_refused() -> None:
    whole = told(item(Stage.DEPLOY), "deploy>development")
    assert result(whole, base_head=None) == "Refused: branch main is not there"


# --- ways out that the table of reasons names


def test_what_an_agent_merged_is_done_by_a_persons_word() -> None:
    whole = stalled(item(Stage.REVIEW), StalledReason.MERGED_BY_AGENT)
    status = settled(told(whole, "review>done"), facts(pull=merged_pull(DEVELOPER))).status
    assert (status.stage, status.stalled, status.merge_sha) == (Stage.DONE, None, HEAD)


def prior_work(**fields: Any) -> WorkItem:
    return stalled(item(Stage.CREATED, branch=BRANCH, **fields), StalledReason.PRIOR_WORK_FOUND)


def test_prior_work_is_gone_on_with() -> None:
    status = settled(told(prior_work(), "created>development"), facts(branch_head=HEAD)).status
    assert (status.stage, status.branch, status.base_branch) == (Stage.DEVELOPMENT, BRANCH, "main")
    assert (status.base_sha, status.transition) == (BASE, None)
    assert status.active_run is not None


def test_prior_work_that_is_finished_is_done() -> None:
    assert decide_row(told(prior_work(), "created>done"), facts(branch_head=HEAD)) == "-> done"


def test_without_admission_the_branch_is_cut_in_the_stage_that_was_named() -> None:
    whole = told(item(Stage.CREATED), "created>analysis")
    status = settled(whole, facts(branch_head=None)).status
    assert status.stage == Stage.ANALYSIS
    assert status.transition is not None
    cut = whole.model_copy(update={"status": status})
    assert decide_row(cut, facts(branch_head=BASE)) == "run analyst, CutBranch ended"


@pytest.mark.parametrize("unread", ["branch_head", "base_head"])
def test_without_admission_what_is_unread_is_no_branch(unread: str) -> None:
    whole = told(item(Stage.CREATED), "created>analysis")
    assert result(whole, **{unread: UNKNOWN}).endswith("could not be read now: ask again")


@pytest.mark.parametrize("start", [Stage.CREATED, Stage.DEPLOY])
def test_what_the_move_needs_is_read_for_it(start: Stage) -> None:
    whole = item(start, source=True, tracker=seen())
    asked = told(whole, f"{start}>development")
    quiet = wants(whole, AUTO, Lane(), look_at_ticket=False)
    assert {Want.BASE, Want.BRANCH} <= wants(asked, AUTO, Lane(), look_at_ticket=False) - quiet
    answered = settled(asked, facts(branch_head=HEAD, ticket=ticket("In Progress"))).status
    assert answered.handled_requests[0].time == NOW
