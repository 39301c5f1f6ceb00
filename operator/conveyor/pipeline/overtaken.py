"""A deploy that would take a later one back: what is in production has this very commit in it already.

It is not begun: the item is done with that one. Where one ends beside a later one all the same, the record of what is
deployed stays as it is.
"""

from __future__ import annotations

from conveyor.api.objects import Repository
from conveyor.api.repository import Production
from conveyor.api.stages import Stage
from conveyor.api.workitem import Effect, StalledReason, WaitingReason, WorkItemStatus
from conveyor.pipeline.actions import Action
from conveyor.pipeline.case import Case, advanced, on_repository, settle, stall, wait
from conveyor.pipeline.facts import Unknown
from conveyor.pipeline.job_kinds import JOB_KINDS
from conveyor.pipeline.monitoring import watched
from conveyor.pipeline.runs import entered

GATE = JOB_KINDS[Effect.PRODUCTION].gate


def later_deploy(status: WorkItemStatus, repository: Repository) -> Production | None:
    """What is deployed, where it may have been merged later; the commit that ours stands on was merged before."""
    production = repository.status.production
    if production is None or production.sha in ("", status.merge_sha, status.base_sha):
        return None
    return production


def overtaken(case: Case) -> Action | None:
    """What becomes of a commit that is not to be deployed any more; None where nothing that came after it is.

    One that was never tried went to production with the later one, and is done. Where its own deploy failed or went
    back, "done" would say that it did not: a person decides.
    """
    if case.status.gate(GATE) is None and case.facts.merge_in_production is True:
        return _went_along(case)
    return _later(
        case,
        "not deployed, for {later} is, and has this commit in it: "
        "override to done to leave it so, or rework begins on a new branch",
    )


def _went_along(case: Case) -> Action | None:
    later = later_deploy(case.status, case.repository)
    if later is None:
        return None
    text = f"deployed with {later.sha[:12]} of {later.item or 'another item'}, which has this commit in it"
    status = watched(case, entered(case, Stage.DONE, cause=text))
    status = status.model_copy(update={"revision": later.revision})
    return settle(case, status, after=0.0, cause="deployed", notes=(advanced(case, Stage.DONE, text),))


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
