"""A deploy that would take a later one back: what is in production has this very commit in it already."""

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
    later = later_deploy(case.status, case.repository)
    if later is None:
        return None
    match case.facts.merge_in_production:
        case Unknown() as unknown:
            text = f"whether {later.sha[:12]}, which is deployed, came later could not be read: {unknown.reason}"
            return wait(case, WaitingReason.FORGE, text, on=on_repository(case), after=case.policy.poll_seconds)
        case True:
            text = (
                f"not deployed, for {later.sha[:12]} of {later.item or 'another item'} is, and has this commit in it: "
                "override to done to leave it so, or rework begins on a new branch"
            )
            return stall(case, StalledReason.DEPLOY_FAILED, text)
        case _:
            return None
