"""The pull request of an item: opened where there is something to propose, adopted where it is open already."""

from __future__ import annotations

from conveyor.api.objects import WorkItem
from conveyor.api.stages import Stage
from conveyor.api.workitem import Cause, Effect, PullRequestRef, StalledReason, WaitingReason
from conveyor.pipeline.actions import Action, Note
from conveyor.pipeline.case import Case, settle, stall, wait
from conveyor.pipeline.facts import PullRequest, Unknown
from conveyor.pipeline.intents import Target, intended
from conveyor.pipeline.runs import rework


def is_unproposed(item: WorkItem) -> bool:
    """Whether an item whose work is to be proposed has no pull request on record."""
    stages = (Stage.DEVELOPMENT, Stage.REVIEW, Stage.TESTING, Stage.DEPLOY_STAGING)
    return item.status.stage in stages and item.status.pull_request is None


def proposed(case: Case) -> Action | None:
    """None where a pull request is on record, else how to come to one."""
    if not is_unproposed(case.item):
        return None
    match case.facts.pull:
        case Unknown(reason=reason):
            text = f"the pull request could not be read: {reason}"
            return wait(case, WaitingReason.FORGE, text, after=case.policy.poll_seconds)
        case PullRequest() as pull if case.stage == Stage.DEVELOPMENT:
            reference = PullRequestRef(number=pull.number, url=pull.url[:2048])
            status = case.status.model_copy(update={"pull_request": reference})
            return settle(case, status, after=0.0, notes=(Note("PullRequestFound", f"#{pull.number} {pull.url}"),))
        case _:
            return _propose(case)


def _propose(case: Case) -> Action:
    """After development what is reviewed was another pull request: the new one is reviewed anew."""
    match case.facts.branch_head, case.facts.changed:
        case Unknown(reason=reason), _:
            text = f"the branch could not be read: {reason}"
            return wait(case, WaitingReason.FORGE, text, after=case.policy.poll_seconds)
        case None, _:
            text = f"branch {case.status.branch} is gone: push it again"
            return stall(case, StalledReason.BRANCH_GONE, text, after=60.0)
        case _, Unknown(reason=reason):
            text = f"the changes could not be read: {reason}"
            return wait(case, WaitingReason.FORGE, text, after=case.policy.poll_seconds)
        case str(), ():
            to = None if case.stage == Stage.DEVELOPMENT else Stage.DEVELOPMENT
            return rework(case, Cause.DEVELOPMENT, "the branch changes nothing", to=to)
        case str() as head, _:
            to = Stage.DEVELOPMENT if case.stage == Stage.DEVELOPMENT else Stage.REVIEW
            target = Target(effect=Effect.OPEN_PULL_REQUEST, to=to, head_sha=head)
            return settle(case, intended(case, case.status, target), after=0.0)
