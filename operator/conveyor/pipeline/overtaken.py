"""A deploy that would take a later one back: what is in production has this very commit in it already.

It is not begun; and where one ends beside a later one all the same, the record of what is deployed stays as it is.
"""

from __future__ import annotations

from conveyor.api.objects import Repository
from conveyor.api.repository import Production
from conveyor.api.workitem import StalledReason, WaitingReason, WorkItemStatus
from conveyor.pipeline.actions import Action
from conveyor.pipeline.case import Case, on_repository, stall, wait
from conveyor.pipeline.facts import Unknown


def later_deploy(status: WorkItemStatus, repository: Repository) -> Production | None:
    """What is deployed, where it may have been merged later; the commit that ours stands on was merged before."""
    production = repository.status.production
    if production is None or production.sha in ("", status.merge_sha, status.base_sha):
        return None
    return production


def overtaken(case: Case) -> Action | None:
    """Why this commit is not to be deployed; None where nothing that came after it is."""
    return _later(
        case,
        "not deployed, for {later} is, and has this commit in it: "
        "override to done to leave it so, or rework begins on a new branch",
    )


def outrun(case: Case, status: WorkItemStatus) -> Action | None:
    """What becomes of a deploy that ended well beside a later one; None where nothing came after it."""
    return _later(
        case,
        "deployed, and so was {later} meanwhile, which has this commit in it: look at which of the two runs; "
        "override to done once the later one does",
        status=status.model_copy(update={"transition": None}),
    )


def _later(case: Case, text: str, *, status: WorkItemStatus | None = None) -> Action | None:
    later = later_deploy(case.status, case.repository)
    if later is None:
        return None
    match case.facts.merge_in_production:
        case Unknown() as unknown:
            unread = f"whether {later.sha[:12]}, which is deployed, came later could not be read: {unknown.reason}"
            return wait(case, WaitingReason.FORGE, unread, on=on_repository(case), after=case.policy.poll_seconds)
        case True:
            named = f"{later.sha[:12]} of {later.item or 'another item'}"
            return stall(case, StalledReason.DEPLOY_FAILED, text.format(later=named), status=status)
        case _:
            return None
