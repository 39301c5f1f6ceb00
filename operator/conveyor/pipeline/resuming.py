"""Going on with an item that stands still for a person: resume, and retry with all counts at 0."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from conveyor.api.stages import Stage
from conveyor.api.workitem import Effect, Gate, StalledReason, Transition, WorkItemStatus
from conveyor.pipeline.actions import Settle
from conveyor.pipeline.budgets import forgiven
from conveyor.pipeline.case import Case, settle, unstalled, with_status
from conveyor.pipeline.intents import Target, intended, looked_at_again
from conveyor.pipeline.job_gates import without_failures
from conveyor.pipeline.rolling_back import nothing_to_go_back_to, roll_back
from conveyor.pipeline.starting_over import next_branch
from conveyor.pipeline.superseding import effect_is_over

WAY_OUT: Mapping[str, str] = {
    StalledReason.DEPLOY_FAILED: "retry deploys again, rework begins on a new branch",
    StalledReason.ROLLBACK_FAILED: "look at production, then retry, or rework",
    StalledReason.MERGED_BY_AGENT: "check the merge, then override to done",
    StalledReason.MERGED_LATE: "override to deploy, or to done to leave it, or rework on a new branch",
    StalledReason.DEPENDENCY_CYCLE: "take one of them out of dependsOn",
    StalledReason.DEPENDENCY_CANCELLED: "take it out of dependsOn",
}
"""Where going on as if nothing had happened is no way out."""
DEPLOY_ENDED = (StalledReason.DEPLOY_FAILED, StalledReason.ROLLBACK_FAILED)
"""After the merge, with nothing at work any more."""
NOT_OF_THE_STAGE = frozenset({Effect.CUT_BRANCH, Effect.ROLLBACK})
"""Effects that another one's end calls for; only the first branch of all is the stage's own."""


def resume(case: Case) -> Settle | None:
    """Clear what holds the item and decide again; counts stay. None where nothing holds it, or more than that."""
    return None if case.status.stalled in WAY_OUT else _cleared(case)


def _cleared(case: Case) -> Settle | None:
    status, last = case.status, case.status.last_run
    asks = last is not None and bool(last.question) and status.active_run is None
    if status.stalled is None and not asks:
        return None
    if last is not None and last.question:
        status = status.model_copy(update={"last_run": last.model_copy(update={"question": ""})})
    match case.status.stalled:
        case StalledReason.PULL_REQUEST_CLOSED:
            status = status.model_copy(update={"pull_request": None})
        case StalledReason.BASE_RENAMED:
            accepted = {"base_branch": case.spec.forge.default_branch, "gates": (), "approval": None}
            status = status.model_copy(update=accepted)
        case StalledReason.EFFECT_UNKNOWN if status.transition is not None:
            status = status.model_copy(update={"transition": looked_at_again(case, status.transition)})
        case _:
            pass
    return settle(case, unstalled(case, status).model_copy(update={"waiting": None}), after=0.0)


def retry(case: Case) -> Settle | None:
    """As resume, with all counts at 0, and a new run or a new intent. None where nothing holds the item.

    An intent whose Job is there, or may be, stays: beside a new one's it could still begin.
    """
    resumed = _cleared(case) if case.status.stalled in DEPLOY_ENDED else resume(case)
    if resumed is None:
        return None
    status, transition = forgiven(resumed.status), case.status.transition
    match case.status.stalled:
        case StalledReason.ROLLBACK_FAILED if not nothing_to_go_back_to(case):
            why = case.status.waiting.message if case.status.waiting is not None else "the deploy failed"
            return roll_back(with_status(case, status), why[:500], by_itself=True)
        case StalledReason.EFFECT_UNKNOWN if transition is None or effect_is_over(case, transition):
            status = _intended_again(case, status, transition)
        case StalledReason.PRIOR_WORK_FOUND:
            renamed = status.model_copy(update={"branch": next_branch(status)})
            status = _intended_again(case, renamed, transition)
        case StalledReason.CI_SILENT:
            status = status.model_copy(update={"gates": tuple(_waited_anew(case, status))})
        case StalledReason.RETRIES_EXHAUSTED:
            status = without_failures(status)
        case _:
            pass
    return replace(resumed, status=status)


def _waited_anew(case: Case, status: WorkItemStatus) -> Iterator[Gate]:
    """The gates with the time limits for CI's word begun once more."""
    for gate in status.gates:
        if gate.name == "branch_mergeable":
            yield gate.model_copy(update={"checked_time": case.now})
        elif gate.name != "ci_green":
            yield gate


def _intended_again(case: Case, status: WorkItemStatus, transition: Transition | None) -> WorkItemStatus:
    """Without the intent: its stage decides anew. What the stage would not come to again by itself gets a new one."""
    if transition is None or transition.effect not in NOT_OF_THE_STAGE or case.stage == Stage.CREATED:
        return status.model_copy(update={"transition": None})
    target = Target(
        effect=transition.effect,
        to=transition.to_stage,
        head_sha=transition.precondition.head_sha,
        base_sha=transition.precondition.base_sha,
        reason=transition.reason,
    )
    return intended(case, status, target)


def nothing_to_resume(case: Case) -> str:
    """Why resume and retry are refused."""
    stalled = case.status.stalled or ""
    return f"{stalled}: {WAY_OUT[stalled]}" if stalled in WAY_OUT else "the item is not Stalled and asks nothing"
