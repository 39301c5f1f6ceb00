"""The branch of an item and its pull request: cut and opened once."""

from __future__ import annotations

from dataclasses import replace

from conveyor.api.stages import Stage
from conveyor.api.workitem import PullRequestRef, StalledReason, Transition, WaitingReason
from conveyor.pipeline.actions import Action, Note
from conveyor.pipeline.case import Case, stall
from conveyor.pipeline.facts import PullRequest, Unknown
from conveyor.pipeline.intents import STARTED_OVER, apply_once, arrived, unread
from conveyor.pipeline.review_gate import unreviewed


def cut_branch(case: Case, transition: Transition) -> Action:
    want = transition.precondition.base_sha
    match case.facts.branch_head:
        case Unknown() as unknown:
            return unread(case, transition, unknown, WaitingReason.FORGE)
        case None:
            return apply_once(case, transition)
        case head if head == want:
            cause = "admitted" if case.stage == Stage.CREATED else transition.reason or STARTED_OVER
            return arrived(case, transition, case.status, cause=cause)
        case head:
            text = f"branch {case.status.branch} is there at {head}, not at {want}: somebody else's; retry starts over"
            return stall(case, StalledReason.PRIOR_WORK_FOUND, text, after=60.0)


def open_pull_request(case: Case, transition: Transition) -> Action:
    match case.facts.pull:
        case Unknown() as unknown:
            return unread(case, transition, unknown, WaitingReason.FORGE)
        case None:
            return apply_once(case, transition)
        case pull:
            return _opened(case, transition, pull)


def _opened(case: Case, transition: Transition, pull: PullRequest) -> Action:
    """On record. After development it is a new one in place of another, and nobody has reviewed it."""
    reference = PullRequestRef(number=pull.number, url=pull.url[:2048])
    known = case.status.change_id if case.status.head_sha == pull.head_sha else None
    produced = {"pull_request": reference, "head_sha": pull.head_sha, "change_id": known}
    status = unreviewed(case.status).model_copy(update=produced)
    action = arrived(case, transition, status, cause=f"pull request #{pull.number} was opened")
    note = Note("PullRequestOpened", f"#{pull.number} {pull.url}")
    return replace(action, notes=(note, *action.notes))
