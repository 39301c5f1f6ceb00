"""A deploy that failed: first the freeze, then one claim, the way back, and what follows it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conveyor.api.objects import Repository, WorkItem
from conveyor.api.repository import Freeze, Production
from conveyor.api.stages import Stage
from conveyor.api.workitem import Effect, PullRequestRef, StalledReason, WorkItemStatus
from conveyor.pipeline.actions import Amend
from conveyor.pipeline.case import Facts, Policy
from conveyor.pipeline.decide import decide
from conveyor.pipeline.facts import JobState
from tests.unit.pipeline.builders import (
    BASE,
    HEAD,
    HOLDER,
    IMAGE,
    NOW,
    OLD_IMAGE,
    UNKNOWN,
    attempts,
    case,
    decided,
    effect_job,
    facts,
    gate,
    item,
    job,
    on_record,
    repository,
    settled,
    sha,
    stalled,
    transition,
)
from tests.unit.pipeline.outcomes import outcome

POD: dict[str, Any] = {"spec": {"containers": [{"name": "work", "image": "work:1"}]}}
BEFORE = Production(image=OLD_IMAGE, sha=sha("before"), revision="r1", item="shop-et-3")
FREEZE = Freeze(id="0123456789abcdef", reason="the deploy failed", item="shop-et-17", since_time=NOW)
FAILED = facts(effect_job=job(complete=False, reason="exit 1: container work"))
TIMED_OUT = facts(effect_job=job(complete=False, reason="DeadlineExceeded"))
NODE_LOST = facts(effect_job=job(complete=False, reason="NodeLost", disrupted=True))
PASSED = facts(effect_job=job())


def shop(
    *, production: Production | None = BEFORE, freezes: tuple[Freeze, ...] = (FREEZE,), **deploy: Any
) -> Repository:
    whole = {"template": POD, "rollbackTemplate": POD} | deploy
    return on_record(repository(deploy=whole), production=production, freezes=freezes)


ROLLS_BACK = shop()
HOLDS = shop(onFailure="Hold")


def at_work(
    effect: Effect, *, spec: dict[str, Any] | None = None, status: dict[str, Any] | None = None, **fields: Any
) -> WorkItem:
    intent = transition(effect, job=effect_job(effect, uid="job-uid"), **fields)
    return item(Stage.DEPLOY, transition=intent, spec=spec, **(status or {}))


def row(whole: WorkItem, known: Facts, of: Repository = ROLLS_BACK) -> str:
    return outcome(whole.status, decided(whole, known, of=of))


def after(whole: WorkItem, known: Facts, of: Repository = ROLLS_BACK) -> WorkItem:
    """The item with what was decided stored."""
    return whole.model_copy(update={"status": settled(whole, known, of=of).status})


def told(whole: WorkItem, verb: str) -> WorkItem:
    asked = {"annotations": {f"request.conveyor.dev/{verb}": "1 by=lead mend it"}}
    return whole.model_copy(update={"metadata": whole.metadata.model_copy(update=asked)})


DEPLOYING, ROLLING_BACK = at_work(Effect.PRODUCTION), at_work(Effect.ROLLBACK, reason="the deploy failed")

# --- the claim


@pytest.mark.parametrize("known", [FAILED, TIMED_OUT, NODE_LOST], ids=["failed", "timed out", "node lost"])
def test_repository_is_frozen_before_anything_else(known: Facts) -> None:
    action = decided(DEPLOYING, known, of=shop(freezes=()))
    assert isinstance(action, Amend)
    assert action.freeze is not None
    freeze = action.freeze
    assert (freeze.id, freeze.item, freeze.scope) == ("0123456789abcdef", "shop-et-17", "merge")
    assert "the deploy of" in freeze.reason


def test_freeze_that_somebody_cleared_meanwhile_is_not_made_again() -> None:
    cleared = FREEZE.model_copy(update={"cleared_time": NOW, "cleared_by": "anna"})
    assert row(DEPLOYING, FAILED, shop(freezes=(cleared,))) == "intends Rollback"


def test_with_freezes_switched_off_none_is_made() -> None:
    policy = Policy(holder=HOLDER, freeze=False)
    action = decide(case(DEPLOYING, FAILED, of=shop(freezes=()), policy=policy))
    assert outcome(DEPLOYING.status, action) == "intends Rollback"


def test_one_write_ends_the_deploy_and_claims_the_way_back() -> None:
    status = settled(DEPLOYING, FAILED, of=ROLLS_BACK).status
    intent, word = status.transition, status.gate("deploy_status")
    assert intent is not None
    assert word is not None
    assert (intent.effect, intent.from_stage, intent.previous_image) == (Effect.ROLLBACK, Stage.DEPLOY, OLD_IMAGE)
    assert intent.id != "0123456789abcdef"
    assert "exit 1: container work" in intent.reason
    assert (word.passed, word.head_sha) == (False, HEAD)


@pytest.mark.parametrize(
    ("of", "says"),
    [
        (shop(rollbackTemplate={}), "no deploy.rollbackTemplate"),
        (shop(production=None), "no image is on record"),
        (shop(production=BEFORE.model_copy(update={"image": ""})), "no image is on record"),
    ],
    ids=["no template", "nothing was deployed before", "no image of what was"],
)
def test_without_a_way_back_the_item_stays_for_a_person(of: Repository, says: str) -> None:
    status = settled(DEPLOYING, FAILED, of=of).status
    assert (status.stalled, status.transition, status.stage) == (StalledReason.ROLLBACK_FAILED, None, Stage.DEPLOY)
    assert status.waiting is not None
    assert says in status.waiting.message


@pytest.mark.parametrize(
    ("whole", "known", "of", "to"),
    [
        (DEPLOYING, FAILED, ROLLS_BACK, Stage.DEVELOPMENT),
        (DEPLOYING, TIMED_OUT, ROLLS_BACK, Stage.DEVELOPMENT),
        (DEPLOYING, FAILED, HOLDS, Stage.DEPLOY),
        (DEPLOYING, NODE_LOST, ROLLS_BACK, Stage.DEPLOY),
        (at_work(Effect.PRODUCTION, status={"attempts": attempts(Deploy=3)}), FAILED, ROLLS_BACK, Stage.DEPLOY),
    ],
    ids=["rework", "timed out: rework", "hold", "a lost node is not the work's fault", "the budget is used up"],
)
def test_what_follows_the_way_back_is_decided_with_its_claim(
    whole: WorkItem, known: Facts, of: Repository, to: Stage
) -> None:
    intent = settled(whole, known, of=of).status.transition
    assert intent is not None
    assert intent.to_stage == to


def test_job_that_may_still_be_at_work_is_not_rolled_back_over() -> None:
    for state in (JobState.ACTIVE, JobState.DELETING):
        assert row(DEPLOYING, facts(effect_job=job(state))) == "Production goes on"


# --- its end


def holding(**fields: Any) -> WorkItem:
    return at_work(Effect.ROLLBACK, to_stage=Stage.DEPLOY, reason="the deploy failed", **fields)


@pytest.mark.parametrize(
    ("whole", "known", "of", "expected"),
    [
        (ROLLING_BACK, PASSED, ROLLS_BACK, "charged Deploy, intends CutBranch"),
        (ROLLING_BACK, PASSED, HOLDS, "charged Deploy, intends CutBranch"),
        (holding(), PASSED, ROLLS_BACK, "Rollback ended, Stalled DeployFailed"),
        (holding(), PASSED, HOLDS, "Rollback ended, Stalled DeployFailed"),
        (ROLLING_BACK, FAILED, ROLLS_BACK, "Rollback ended, Stalled RollbackFailed"),
        (ROLLING_BACK, TIMED_OUT, ROLLS_BACK, "Rollback ended, Stalled RollbackFailed"),
        (ROLLING_BACK, NODE_LOST, ROLLS_BACK, "Rollback ended, Stalled RollbackFailed"),
        (ROLLING_BACK, facts(effect_job=job(), base_head=UNKNOWN), ROLLS_BACK, "Rollback goes on"),
        (at_work(Effect.ROLLBACK, spec={"suspend": True}), PASSED, ROLLS_BACK, "Rollback goes on"),
        (at_work(Effect.ROLLBACK, spec={"cancel": True}), PASSED, ROLLS_BACK, "charged Deploy, intends CutBranch"),
    ],
    ids=[
        "passed: the work begins again",
        "what the claim said counts, whatever the Repository says now",
        "passed, and held",
        "passed, and held by the Repository",
        "failed",
        "timed out",
        "its node was lost",
        "the base cannot be read yet",
        "suspended, the work does not begin",
        "cancel waits until it has ended",
    ],
)
def test_rollback(whole: WorkItem, known: Facts, of: Repository, expected: str) -> None:
    assert row(whole, known, of) == expected


def test_work_begins_again_on_a_new_branch_with_nothing_produced() -> None:
    produced = {
        "gates": (gate("deploy_status", passed=False), gate("image_fresh")),
        "image": IMAGE,
        "revision": "r2",
        "pull_request": PullRequestRef(number=7, url="u"),
    }
    status = settled(at_work(Effect.ROLLBACK, reason="it failed", status=produced), PASSED, of=ROLLS_BACK).status
    intent = status.transition
    assert intent is not None
    assert (status.branch, status.base_sha, intent.precondition.base_sha) == ("feature/ET-17-a-cart-r1", BASE, BASE)
    nothing = (status.pull_request, status.gates, status.head_sha, status.change_id, status.merge_sha, status.image)
    assert nothing == (None, (), None, None, None, None)
    assert (status.revision, intent.effect, intent.to_stage) == (None, Effect.CUT_BRANCH, Stage.DEVELOPMENT)
    assert intent.reason == "Deploy: it failed"


def test_developer_is_told_why_the_work_begins_again() -> None:
    cutting = after(ROLLING_BACK, PASSED)
    status = settled(cutting, facts(branch_head=BASE), of=ROLLS_BACK).status
    assert status.stage == Stage.DEVELOPMENT
    assert status.active_run is not None
    assert status.active_run.reason == "Deploy: the deploy failed"
    assert status.active_run.attempt == 2
    assert status.history[-1].cause == "Deploy: the deploy failed"


def test_cancel_ends_the_item_once_the_rollback_has_ended() -> None:
    cutting = after(at_work(Effect.ROLLBACK, spec={"cancel": True}), PASSED)
    assert row(cutting, facts(branch_head=None)) == "-> cancelled"


def test_what_is_in_production_after_a_rollback_is_on_record() -> None:
    """Nothing changes unless another deploy came in between, with the serial gate off."""
    overtaken = shop(production=BEFORE.model_copy(update={"image": IMAGE, "item": "shop-et-18"}))
    action = decided(ROLLING_BACK, PASSED, of=overtaken)
    assert isinstance(action, Amend)
    assert action.production == Production(image=OLD_IMAGE, sha="")


@pytest.mark.parametrize(("whole", "of"), [(holding(), HOLDS), (ROLLING_BACK, ROLLS_BACK)])
def test_rolled_back_and_done_exclude_each_other(whole: WorkItem, of: Repository) -> None:
    """Whatever the deploy's Job may still say, nobody asks it any more."""
    for known in (PASSED, FAILED):
        assert settled(whole, known, of=of).status.stage != Stage.DONE


# --- verbs


DEPLOY_FAILED = stalled(item(Stage.DEPLOY), StalledReason.DEPLOY_FAILED)
ROLLBACK_FAILED = stalled(item(Stage.DEPLOY), StalledReason.ROLLBACK_FAILED, "the deploy failed; so did going back")


@pytest.mark.parametrize(
    ("whole", "of", "expected"),
    [
        (DEPLOY_FAILED, ROLLS_BACK, "Stalled DeployFailed"),
        (ROLLBACK_FAILED, ROLLS_BACK, "Stalled RollbackFailed"),
        (told(DEPLOY_FAILED, "resume"), ROLLS_BACK, "Stalled DeployFailed"),
        (told(ROLLBACK_FAILED, "retry"), ROLLS_BACK, "intends Rollback"),
        (told(DEPLOY_FAILED, "rework"), ROLLS_BACK, "charged Rejected, intends CutBranch"),
        (told(ROLLBACK_FAILED, "rework"), ROLLS_BACK, "charged Rejected, intends CutBranch"),
        (told(ROLLING_BACK, "rework"), ROLLS_BACK, "Rollback goes on"),
        (told(item(Stage.DEPLOY, spec={"suspend": True}), "rework"), ROLLS_BACK, "rests"),
    ],
)
def test_person_and_a_deploy_that_failed(whole: WorkItem, of: Repository, expected: str) -> None:
    assert row(whole, facts(), of) == expected


def test_rework_whose_base_cannot_be_read_is_kept_until_it_can() -> None:
    whole = told(DEPLOY_FAILED, "rework")
    kept = settled(whole, facts(base_head=UNKNOWN), of=ROLLS_BACK)
    assert (kept.status.stalled, kept.status.handled_requests) == (StalledReason.DEPLOY_FAILED, ())
    assert kept.after is not None
    assert row(whole, facts(), ROLLS_BACK) == "charged Rejected, intends CutBranch"


def test_retry_deploys_again_by_a_new_intent_with_counts_at_zero() -> None:
    spent = DEPLOY_FAILED.model_copy(
        update={"status": DEPLOY_FAILED.status.model_copy(update={"attempts": attempts(Deploy=3)})}
    )
    cleared = after(told(spent, "retry"), facts())
    assert (cleared.status.stalled, [it.count for it in cleared.status.attempts]) == (None, [0])
    assert row(cleared, facts()) == "intends Production"


def test_retry_with_nothing_to_go_back_to_deploys_again() -> None:
    of = shop(production=None)
    cleared = after(told(ROLLBACK_FAILED, "retry"), facts(), of)
    assert row(cleared, facts(), of) == "intends Production"


def parked(effect: Effect, **fields: Any) -> WorkItem:
    return stalled(at_work(effect, phase="Unknown", **fields), StalledReason.EFFECT_UNKNOWN)


def test_retry_of_a_parked_rollback_rolls_back_again_and_deploys_nothing() -> None:
    status = settled(told(parked(Effect.ROLLBACK, reason="it failed"), "retry"), facts(), of=ROLLS_BACK).status
    intent = status.transition
    assert intent is not None
    assert (intent.effect, intent.to_stage, intent.reason) == (Effect.ROLLBACK, Stage.DEVELOPMENT, "it failed")
    assert intent.id != "0123456789abcdef"
    assert intent.job is not None
    assert intent.job.uid is None


def test_retry_of_a_parked_deploy_deploys_again() -> None:
    cleared = after(told(parked(Effect.PRODUCTION), "retry"), facts())
    assert row(cleared, facts()) == "intends Production"


@pytest.mark.parametrize("reason", [StalledReason.PRIOR_WORK_FOUND, StalledReason.EFFECT_UNKNOWN])
def test_retry_of_a_branch_that_could_not_be_cut_cuts_one_and_deploys_nothing(reason: StalledReason) -> None:
    cutting = after(ROLLING_BACK, PASSED)
    held = told(stalled(cutting, reason), "retry")
    status: WorkItemStatus = settled(held, facts(branch_head=sha("somebody's")), of=ROLLS_BACK).status
    assert status.transition is not None
    assert (status.transition.effect, status.transition.to_stage) == (Effect.CUT_BRANCH, Stage.DEVELOPMENT)
    taken = reason == StalledReason.PRIOR_WORK_FOUND
    assert status.branch == ("feature/ET-17-a-cart-r2" if taken else "feature/ET-17-a-cart-r1")


def test_failures_are_told_at_bounded_length() -> None:
    long = json.dumps({"conveyor": 1, "verdict": "fail", "summary": "x" * 2000})
    status = settled(DEPLOYING, facts(effect_job=job(message=long)), of=ROLLS_BACK).status
    assert WorkItemStatus.model_validate(status.dump()) == status
