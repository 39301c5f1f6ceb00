"""Going on with an item that stands still for a person: resume, and retry with all counts at 0."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from conveyor.api.workitem import Gate, StalledReason, WorkItemStatus
from conveyor.pipeline.actions import Settle
from conveyor.pipeline.budgets import forgiven
from conveyor.pipeline.case import Case, settle, unstalled
from conveyor.pipeline.intents import looked_at_again
from conveyor.pipeline.starting_over import next_branch

WAY_OUT: Mapping[str, str] = {
    StalledReason.DEPLOY_FAILED: "retry deploys again",
    StalledReason.ROLLBACK_FAILED: "look at production, then retry",
    StalledReason.MERGED_BY_AGENT: "check the merge, then override to done",
    StalledReason.DEPENDENCY_CYCLE: "take one of them out of dependsOn",
    StalledReason.DEPENDENCY_CANCELLED: "take it out of dependsOn",
}
"""Where going on as if nothing had happened is no way out."""


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
    """As resume, with all counts at 0, and a new run or a new intent. None where nothing holds the item."""
    deploys = (StalledReason.DEPLOY_FAILED, StalledReason.ROLLBACK_FAILED)
    resumed = _cleared(case) if case.status.stalled in deploys else resume(case)
    if resumed is None:
        return None
    status = forgiven(resumed.status)
    match case.status.stalled:
        case StalledReason.EFFECT_UNKNOWN:
            status = status.model_copy(update={"transition": None})
        case StalledReason.PRIOR_WORK_FOUND:
            status = status.model_copy(update={"transition": None, "branch": next_branch(status)})
        case StalledReason.CI_SILENT:
            status = status.model_copy(update={"gates": tuple(_waited_anew(case, status))})
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


def nothing_to_resume(case: Case) -> str:
    """Why resume and retry are refused."""
    stalled = case.status.stalled or ""
    return f"{stalled}: {WAY_OUT[stalled]}" if stalled in WAY_OUT else "the item is not Stalled and asks nothing"
