"""After a deploy that failed: the way back, and what follows it.

The rollback claims first: one conditional write puts its intent in the place of the deploy's, so that "rolled back" and
"done" exclude each other. What follows it is decided in that write too, as the stage that the intent goes to.
"""

from __future__ import annotations

from conveyor.api.repository import Production
from conveyor.api.stages import Stage
from conveyor.api.workitem import Cause, Effect, StalledReason, Transition, WaitingReason, WorkItemStatus
from conveyor.pipeline.actions import Action, Amend, Note, Settle
from conveyor.pipeline.answers import EffectEnding
from conveyor.pipeline.budgets import charged, exhausted
from conveyor.pipeline.case import Case, settle, stall, wait
from conveyor.pipeline.intents import Target, intended
from conveyor.pipeline.job_kinds import is_wanted
from conveyor.pipeline.runs import suspended
from conveyor.pipeline.starting_over import started_over


def roll_back(case: Case, why: str, *, by_itself: bool) -> Settle:
    """Claim the way back; without one the item stays as it is. `by_itself`: whether the work is to blame."""
    missing = nothing_to_go_back_to(case)
    if missing:
        return _given_up(case, f"{why}; nothing was rolled back, for {missing}")
    to = Stage.DEVELOPMENT if by_itself and not _held(case) else Stage.DEPLOY
    target = Target(effect=Effect.ROLLBACK, to=to, head_sha=case.status.merge_sha or "", reason=why)
    note = Note("RollingBack", why, warning=True)
    return settle(case, intended(case, case.status, target), after=0.0, notes=(note,))


def nothing_to_go_back_to(case: Case) -> str:
    """Why a rollback is not possible; empty where it is."""
    production = case.repository.status.production
    if not is_wanted(case.spec, Effect.ROLLBACK):
        return "the Repository has no deploy.rollbackTemplate"
    if production is None or not production.image:
        return "no image is on record that was in production before"
    return ""


def _held(case: Case) -> str:
    """Why the work does not begin again by itself after a rollback; empty where it does."""
    if case.spec.deploy.on_failure == "Hold":
        return "deploy.onFailure is Hold"
    budget = exhausted(case.status, case.spec, Cause.DEPLOY)
    return f"the budget is used up ({budget})" if budget is not None else ""


def rolled_back(case: Case, transition: Transition, ending: EffectEnding) -> Action:
    if not ending.passed:
        tried = f"going back to {transition.previous_image} failed: {ending.summary[:200]}"
        return _given_up(case, f"{transition.reason}; {tried}")
    production = case.repository.status.production
    if production is None or production.image != transition.previous_image:
        back = Production(image=transition.previous_image, sha="", revision=ending.revision)
        return Amend(production=back, replaces=production)
    text = f"{transition.reason}; rolled back to {transition.previous_image}"
    if transition.to_stage != Stage.DEVELOPMENT:
        why = _held(case) or "the work is not to blame"
        way_out = "retry deploys it again, rework begins on a new branch"
        return _stay(case, StalledReason.DEPLOY_FAILED, f"{text}; {why}: {way_out}")
    return _mend(case, transition, text)


def _mend(case: Case, transition: Transition, text: str) -> Action:
    """The work begins again: the rollback's intent gives way to that of a new branch."""
    if case.item.spec.suspend:
        return wait(case, WaitingReason.SUSPENDED, f"{text}; {suspended(case)}")
    reason = f"{Cause.DEPLOY.value}: {transition.reason}"
    status = started_over(case, charged(case.status, Cause.DEPLOY, ""), Stage.DEVELOPMENT, reason=reason)
    if not isinstance(status, WorkItemStatus):
        waits = f"{text}; {case.status.base_branch} could not be read to begin again"
        return wait(case, WaitingReason.FORGE, waits, after=case.policy.poll_seconds)
    return settle(case, status, after=0.0, notes=(Note("RolledBack", text, warning=True),))


def _given_up(case: Case, text: str) -> Settle:
    return _stay(case, StalledReason.ROLLBACK_FAILED, f"{text}: look at production")


def _stay(case: Case, reason: StalledReason, text: str) -> Settle:
    ended = case.status.model_copy(update={"transition": None})
    return stall(case, reason, text, status=ended)
