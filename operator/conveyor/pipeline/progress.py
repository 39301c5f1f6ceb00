"""The ways in which a stage comes to its next one, or waits at a gate."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from conveyor.api.stages import Stage
from conveyor.api.workitem import Cause, StalledReason, WaitingReason
from conveyor.pipeline.actions import Action
from conveyor.pipeline.case import Case, advanced, on_repository, settle, stall, wait, with_status
from conveyor.pipeline.facts import PullRequest, Unknown
from conveyor.pipeline.gates import evaluate, first_open, recorded
from conveyor.pipeline.people import ask
from conveyor.pipeline.pulls import head_moved
from conveyor.pipeline.review_gate import unreviewed
from conveyor.pipeline.runs import entered, rework, why_here
from conveyor.pipeline.words import Failed, NotEvaluated, head_sha

NEXT: Mapping[Stage, Stage] = {
    Stage.ANALYSIS: Stage.ARCHITECTURE,
    Stage.ARCHITECTURE: Stage.DEVELOPMENT,
    Stage.DEVELOPMENT: Stage.REVIEW,
    Stage.REVIEW: Stage.TESTING,
    Stage.TESTING: Stage.DEPLOY_STAGING,
}


SENT_BACK = (
    Cause.REVIEW,
    Cause.TESTING,
    Cause.REJECTED,
    Cause.CONFLICT,
    Cause.COVERAGE,
    Cause.IMAGE,
    Cause.STAGING,
)
"""What a commit is sent back for that another commit has to mend."""


def poll(case: Case) -> float:
    return case.policy.poll_seconds


def on_pull(case: Case) -> tuple[str, str]:
    pull = case.status.pull_request
    return ("PullRequest", f"#{pull.number}") if pull is not None else on_repository(case)


def changed_nothing(case: Case) -> Action | None:
    """Rework that left the head where it was sent back from is charged to the same cause again."""
    head = head_sha(case)
    for cause in SENT_BACK:
        charge = case.status.attempts_of(cause)
        if head and charge.count and charge.sha == head:
            return rework(case, cause, f"nothing was changed since: {_last_reason(case)}")
    return None


def _last_reason(case: Case) -> str:
    waiting = case.status.waiting
    return why_here(case) or (waiting.message if waiting is not None else "it was sent back")


def through_gates(case: Case, *, on_failure: Callable[[Case, str], Action]) -> Action:
    """To the next stage if all gates of this one hold, else what the first open gate calls for."""
    words = evaluate(case, case.stage)
    judged = with_status(case, recorded(case, case.status, words))
    held = first_open(words)
    if held is None:
        to = NEXT[case.stage]
        why = ", ".join(name for name, _ in words)
        return settle(
            judged, entered(judged, to, cause=why), after=0.0, cause="gates", notes=(advanced(judged, to, why),)
        )
    return held_at(judged, *held, on_failure=on_failure)


def held_at(case: Case, gate: str, word: Failed | NotEvaluated, *, on_failure: Callable[[Case, str], Action]) -> Action:
    match word:
        case Failed(reason=reason):
            return on_failure(case, reason)
        case NotEvaluated(waiting=WaitingReason.APPROVAL):
            return ask(case, gate)
        case NotEvaluated(reason=reason, silent=True, limit=limit):
            return stall(case, StalledReason.CI_SILENT, f"{reason}, {limit}", after=poll(case))
        case NotEvaluated(reason=reason, waiting=waiting):
            return wait(case, waiting, f"{gate}: {reason}", on=on_pull(case), after=poll(case))


def seen(case: Case, pull: PullRequest) -> Case:
    """With the head and change just read on record."""
    change = case.facts.change_id
    if isinstance(change, Unknown):
        change = case.status.change_id or "" if case.status.head_sha == pull.head_sha else ""
    status = case.status if case.status.head_sha == pull.head_sha else unreviewed(case.status)
    return with_status(case, status.model_copy(update={"head_sha": pull.head_sha, "change_id": change or None}))


def with_change(case: Case) -> Case:
    """With the change of the head on record, if it could not be read before."""
    match case.facts.pull:
        case PullRequest() as pull if case.status.change_id is None:
            return seen(case, pull)
        case _:
            return case


def back_to_review(case: Case) -> Action | None:
    match case.facts.pull:
        case PullRequest() as pull if head_moved(case, pull):
            text = f"somebody pushed {pull.head_sha[:12]}"
            return rework(case, Cause.HEAD_MOVED, text, to=Stage.REVIEW, status=seen(case, pull).status)
        case _:
            return None
