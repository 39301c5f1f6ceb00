"""What each stage does when nothing is under way: look at its facts, ask its gates, take one step."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from conveyor.api.stages import Stage
from conveyor.api.workitem import Cause, WaitingReason
from conveyor.pipeline.actions import Action
from conveyor.pipeline.admitting import created
from conveyor.pipeline.budgets import CAUSE_OF_STAGE
from conveyor.pipeline.case import Case, wait
from conveyor.pipeline.facts import PullRequest
from conveyor.pipeline.landing import deploy, deploy_staging
from conveyor.pipeline.progress import (
    back_to_review,
    changed_nothing,
    on_pull,
    poll,
    seen,
    through_gates,
    with_change,
)
from conveyor.pipeline.proposal import proposed
from conveyor.pipeline.pulls import head_moved, pull_trouble
from conveyor.pipeline.runs import begin, rework, role_passed, worked


def documents(case: Case) -> Action:
    first = role_passed(case) or changed_nothing(case)
    if first is not None:
        return first
    return through_gates(case, on_failure=lambda judged, why: rework(judged, CAUSE_OF_STAGE[judged.stage], why))


def development(case: Case) -> Action:
    first = pull_trouble(case) or role_passed(case) or proposed(case) or changed_nothing(case)
    if first is not None:
        return first
    match case.facts.pull:
        case PullRequest() as pull:
            return through_gates(seen(case, pull), on_failure=lambda judged, why: rework(judged, Cause.CI, why))
        case _:
            return wait(
                case, WaitingReason.FORGE, "the pull request could not be read", on=on_pull(case), after=poll(case)
            )


def review(case: Case) -> Action:
    trouble = pull_trouble(case) or proposed(case)
    if trouble is not None:
        return trouble
    match case.facts.pull:
        case PullRequest() as pull if head_moved(case, pull):
            text = "the branch has moved since the last review"
            return begin(case, reason=text, status=seen(case, pull).status)
        case _:
            pass
    first = role_passed(case)
    if first is not None:
        return first
    if _disagrees(case):
        text = "the reviewer says its review is posted, but the forge has none of this commit"
        return rework(case, Cause.INFRASTRUCTURE, text)
    judged = with_change(case)
    return through_gates(judged, on_failure=lambda again, why: rework(again, Cause.REVIEW, why, to=Stage.DEVELOPMENT))


def _disagrees(case: Case) -> bool:
    """Whether the reviewer claims a review that the forge does not have."""
    mine, said = case.policy.reviewer_login, ("APPROVED", "REQUEST_CHANGES", "COMMENT")
    match case.facts.reviews, case.facts.pull:
        case tuple() as reviews, PullRequest() as pull:
            words = [entry for entry in reviews if entry.state in said and entry.commit == pull.head_sha]
            return not any(not mine or entry.author == mine for entry in words)
        case _:
            return False


def testing(case: Case) -> Action:
    first = pull_trouble(case) or proposed(case) or back_to_review(case) or role_passed(case)
    if first is not None:
        return first
    last = worked(case)
    if last is not None and last.sha != case.status.head_sha:
        return rework(case, Cause.INFRASTRUCTURE, "the tester's answer is about another commit")
    judged = with_change(case)
    return through_gates(judged, on_failure=lambda again, why: rework(again, Cause.TESTING, why, to=Stage.DEVELOPMENT))


WORK: Mapping[Stage, Callable[[Case], Action]] = {
    Stage.CREATED: created,
    Stage.ANALYSIS: documents,
    Stage.ARCHITECTURE: documents,
    Stage.DEVELOPMENT: development,
    Stage.REVIEW: review,
    Stage.TESTING: testing,
    Stage.DEPLOY_STAGING: deploy_staging,
    Stage.DEPLOY: deploy,
}
