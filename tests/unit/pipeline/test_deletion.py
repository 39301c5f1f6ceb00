"""An item that somebody deletes: what it began is ended or read to its end, nothing is begun, its ticket is told."""

from datetime import timedelta

import pytest

from conveyor.api.objects import WorkItem
from conveyor.api.repository import Production
from conveyor.api.stages import Stage
from conveyor.api.workitem import Effect, TransitionJob, WorkItemStatus
from conveyor.pipeline.actions import Action, Amend, Apply, Farewell, LetGo, Settle, StopEffect, StopRun
from conveyor.pipeline.amending import amended
from conveyor.pipeline.case import Facts
from conveyor.pipeline.deletion import IN_FLIGHT, deleted_orphan
from conveyor.pipeline.effects import EFFECTS
from conveyor.pipeline.facts import JobState
from conveyor.pipeline.indication import LogicalState
from conveyor.pipeline.wants import Want, wants
from tests.unit.pipeline.builders import (
    AUTO,
    HEAD,
    MISSING,
    NOW,
    OPEN_LANE,
    UNKNOWN,
    active_run,
    decided,
    facts,
    item,
    job,
    merged_pull,
    on_record,
    orphan,
    pull,
    transition,
)

AT_ONCE, LATER = NOW, NOW + IN_FLIGHT + timedelta(seconds=1)
RUN, GIVEN = TransitionJob(name="job", uid="job-uid"), TransitionJob(name="job")
GIVEN_UP = (Effect.CUT_BRANCH, Effect.OPEN_PULL_REQUEST, Effect.REBASE)
BY_JOB = (Effect.IMAGE, Effect.STAGING)


def gone(action: Action) -> LetGo:
    assert isinstance(action, LetGo), action
    return action


def text(action: Action) -> str:
    farewell = gone(action).farewell
    return farewell.text if farewell is not None else ""


def test_item_that_began_nothing_is_let_go_and_its_ticket_hears_nothing() -> None:
    assert gone(decided(item(Stage.CREATED, held=True, deleted=NOW))).farewell is None


def test_item_that_we_do_not_hold_is_left_alone() -> None:
    whole = item(Stage.REVIEW, deleted=NOW)
    assert decided(whole) == Settle(whole.status)


def test_item_under_way_is_let_go_and_its_ticket_is_blocked_with_what_is_left() -> None:
    action = decided(item(Stage.REVIEW, held=True, deleted=NOW))
    assert gone(action).farewell == Farewell(
        LogicalState.BLOCKED,
        "WorkItem shop-et-17 was deleted in review: work on this ticket has ended. "
        "Left for people: branch feature/ET-17-a-cart, pull request #7.",
    )


def test_request_of_a_person_is_not_carried_out_any_more() -> None:
    whole = item(Stage.REVIEW, held=True, deleted=NOW, annotations={"request.conveyor.dev/rework": "r1"})
    assert isinstance(decided(whole), LetGo)


@pytest.mark.parametrize("state", [JobState.ACTIVE, JobState.DELETING])
def test_run_is_stopped_until_it_is_gone(state: JobState) -> None:
    whole = item(Stage.REVIEW, held=True, deleted=NOW, active_run=active_run(Stage.REVIEW))
    assert isinstance(decided(whole, facts(run_job=job(state))), StopRun)
    assert isinstance(decided(whole, facts(run_job=UNKNOWN)), StopRun)
    assert isinstance(decided(whole, facts(run_job=MISSING)), LetGo)


@pytest.mark.parametrize("effect", GIVEN_UP)
def test_intent_on_the_forge_is_given_up_at_once_and_never_applied(effect: Effect) -> None:
    whole = item(Stage.DEVELOPMENT, held=True, deleted=NOW, transition=transition(effect))
    for known in (facts(), Facts()):
        assert f"{effect.value} was given up" in text(decided(whole, known))


@pytest.mark.parametrize("effect", BY_JOB)
def test_job_of_an_intent_that_is_given_up_is_stopped_until_it_is_gone(effect: Effect) -> None:
    whole = item(Stage.DEPLOY_STAGING, held=True, deleted=NOW, transition=transition(effect, job=RUN))
    assert isinstance(decided(whole, facts(effect_job=job(JobState.ACTIVE))), StopEffect)
    assert isinstance(decided(whole, facts(effect_job=UNKNOWN)), StopEffect)
    assert isinstance(decided(whole, facts(effect_job=MISSING)), LetGo)


# --- merge

MERGING = item(Stage.DEPLOY_STAGING, held=True, deleted=NOW, transition=transition(Effect.MERGE))


def test_merge_that_did_not_happen_is_not_begun_any_more_once_no_request_can_land() -> None:
    early = decided(MERGING, now=AT_ONCE)
    assert isinstance(early, Settle)
    assert early.status == MERGING.status
    assert early.after == pytest.approx(IN_FLIGHT.total_seconds(), abs=1)
    assert "Merge was not begun any more" in text(decided(MERGING, now=LATER))


@pytest.mark.parametrize("open_still", [True, False], ids=["the pull request is open", "it is marked merged"])
def test_merge_that_happened_is_put_on_record_and_nothing_follows_it(open_still: bool) -> None:
    found = facts(head_in_base=True, pull=pull() if open_still else merged_pull("operator"))
    action = decided(MERGING, found)
    assert isinstance(action, Settle)
    status = action.status
    assert (status.stage, status.merge_sha) == (Stage.DEPLOY, HEAD)
    assert (status.transition, status.active_run) == (None, None)
    assert action.after == 0.0


def test_item_that_is_merged_and_not_deployed_says_so() -> None:
    assert f"Merged as {HEAD[:12]}, and not deployed" in text(decided(item(Stage.DEPLOY, held=True, deleted=NOW)))


def test_merge_that_cannot_be_read_is_read_until_its_deadline_and_then_told_to_be_unknown() -> None:
    unread = facts(head_in_base=UNKNOWN)
    assert isinstance(decided(MERGING, unread), Settle)
    late = decided(MERGING, unread, now=NOW + timedelta(minutes=13))
    assert [note.reason for note in gone(late).notes] == ["EffectUnknown"]
    assert "nobody can tell whether Merge" in gone(late).notes[0].text


def test_parked_merge_is_told_to_be_unknown() -> None:
    whole = item(Stage.DEPLOY_STAGING, held=True, deleted=NOW, transition=transition(Effect.MERGE, phase="Unknown"))
    assert gone(decided(whole)).notes[0].warning


# --- deploy

DEPLOYING = item(Stage.DEPLOY, held=True, deleted=NOW, transition=transition(Effect.PRODUCTION, job=RUN))


def test_deploy_that_was_not_begun_is_not_begun_any_more() -> None:
    whole = item(Stage.DEPLOY, held=True, deleted=NOW, transition=transition(Effect.PRODUCTION, job=GIVEN))
    assert isinstance(decided(whole, now=AT_ONCE), Settle)
    assert "Production was not begun any more" in text(decided(whole, now=LATER))


def test_deploy_under_way_is_waited_for() -> None:
    action = decided(DEPLOYING, facts(effect_job=job(JobState.ACTIVE)))
    assert isinstance(action, Settle)
    assert action.status.transition == DEPLOYING.status.transition
    assert action.after is not None


def test_deploy_that_passes_is_put_on_record() -> None:
    status = to_the_end(DEPLOYING.status, facts(effect_job=job()))
    assert (status.stage, status.transition) == (Stage.DONE, None)


def test_deploy_that_fails_is_put_on_record_and_nothing_follows_it() -> None:
    status = to_the_end(DEPLOYING.status, facts(effect_job=job(complete=False, reason="exit 1")))
    assert (status.stage, status.transition) == (Stage.DEPLOY, None)


def to_the_end(status: WorkItemStatus, known: Facts) -> WorkItemStatus:
    """What is stored until the item is let go; what is put on the Repository is taken as done."""
    of = AUTO
    for _ in range(5):
        whole = DEPLOYING.model_copy(update={"status": status})
        action = decided(whole, known, of=of)
        match action:
            case LetGo():
                return status
            case Settle():
                status = action.status
            case Amend():
                of = of.model_copy(update={"status": amended(of.status, action)})
            case _:
                raise AssertionError(action)
    raise AssertionError("it does not come to its end")


def test_item_that_is_done_by_then_shows_that_on_its_ticket() -> None:
    assert gone(decided(item(Stage.DONE, held=True, deleted=NOW))).farewell == Farewell(LogicalState.DONE, "")


# --- bounds


@pytest.mark.parametrize(
    "whole",
    [
        item(Stage.REVIEW, held=True, deleted=NOW, active_run=active_run(Stage.REVIEW)),
        item(Stage.DEPLOY_STAGING, held=True, deleted=NOW, transition=transition(Effect.STAGING, job=RUN)),
        DEPLOYING,
        MERGING,
    ],
    ids=["run", "staging", "deploy", "merge"],
)
def test_whatever_does_not_end_the_item_goes_when_its_time_is_over(whole: WorkItem) -> None:
    never = facts(run_job=job(JobState.DELETING), effect_job=job(JobState.ACTIVE), head_in_base=UNKNOWN)
    action = gone(decided(whole, never, now=NOW + timedelta(seconds=7201)))
    assert [note.reason for note in action.notes] == ["DeletionForced"]


# --- what is read


def test_only_what_was_begun_is_read() -> None:
    def read(whole: WorkItem) -> frozenset[Want]:
        return wants(whole, AUTO, OPEN_LANE, look_at_ticket=True)

    assert read(item(Stage.REVIEW, held=True, deleted=NOW)) == frozenset()
    assert read(item(Stage.REVIEW, deleted=NOW, active_run=active_run(Stage.REVIEW))) == {Want.RUN_JOB}
    assert read(DEPLOYING) == {Want.EFFECT_JOB}
    later = on_record(AUTO, production=Production(image="cart:8", sha="c" * 40, item="pear"))
    assert wants(DEPLOYING, later, OPEN_LANE, look_at_ticket=True) == {Want.EFFECT_JOB, Want.MERGE_IN_PRODUCTION}
    assert read(MERGING) == {Want.PULL, Want.BASE, Want.HEAD_IN_BASE}
    assert read(item(Stage.CREATED, deleted=NOW, transition=transition(Effect.CUT_BRANCH))) == frozenset()


# --- without its Repository


def test_without_its_repository_a_deploy_is_waited_for_and_its_end_told() -> None:
    at_work = orphan(DEPLOYING, effect_job=job(JobState.ACTIVE))
    assert isinstance(deleted_orphan(at_work), Settle)
    ended = orphan(DEPLOYING, effect_job=job(complete=False, reason="exit 1"))
    assert "Production failed (exit 1), and its Repository is gone" in text(deleted_orphan(ended))


def test_without_its_repository_nobody_can_tell_of_a_merge() -> None:
    assert [note.reason for note in gone(deleted_orphan(orphan(MERGING))).notes] == ["EffectUnknown"]


def test_without_its_repository_a_run_is_stopped() -> None:
    whole = item(Stage.REVIEW, held=True, deleted=NOW, active_run=active_run(Stage.REVIEW))
    assert isinstance(deleted_orphan(orphan(whole, run_job=job(JobState.ACTIVE))), StopRun)
    assert isinstance(deleted_orphan(orphan(whole, run_job=MISSING)), LetGo)


# --- nothing is applied


@pytest.mark.parametrize("effect", list(EFFECTS))
def test_nothing_is_ever_applied(effect: Effect) -> None:
    intent = transition(effect)
    whole = item(intent.from_stage, held=True, deleted=NOW, transition=intent)
    for known in (facts(), facts(branch_head=None, pull=None), facts(head_in_base=True), Facts()):
        for moment in (AT_ONCE, LATER):
            action = decided(whole, known, now=moment)
            assert not isinstance(action, Apply)
            assert not isinstance(action, Settle) or action.status.transition in (None, intent)
