"""Bringing a branch up to date with its base before the merge, by the forge's own rebase."""

from __future__ import annotations

from dataclasses import replace

from conveyor.api.stages import Stage
from conveyor.api.text import one_line
from conveyor.api.workitem import Cause, Transition, WaitingReason
from conveyor.pipeline.actions import Action, Note
from conveyor.pipeline.case import Case, with_status
from conveyor.pipeline.facts import PullRequest, Unknown
from conveyor.pipeline.gates import conflicting, rebased
from conveyor.pipeline.intents import apply_once, arrived, dropped, unread
from conveyor.pipeline.progress import back_to_review
from conveyor.pipeline.pulls import pull_trouble
from conveyor.pipeline.runs import rework

MAX_FILES = 20
"""How many files a conflict names."""


def rebase(case: Case, transition: Transition) -> Action:
    """Ours is a new head that has our base and our change. Any other new head is somebody's push."""
    want = transition.precondition
    match case.facts.pull:
        case Unknown() as unknown:
            return unread(case, transition, unknown, WaitingReason.FORGE)
        case PullRequest(state="open") as pull if pull_trouble(case) is None:
            pass
        case _:
            return dropped(case, "the pull request is no longer what was to be rebased")
    match case.facts.base_in_head:
        case Unknown() as unknown:
            return unread(case, transition, unknown, WaitingReason.FORGE)
        case has_base if pull.head_sha == want.head_sha:
            return dropped(case, "the branch is up to date") if has_base else _apply(case, transition)
        case has_base:
            return _moved(case, transition, pull, has_base=has_base)


def _moved(case: Case, transition: Transition, pull: PullRequest, *, has_base: bool) -> Action:
    want = transition.precondition
    match case.facts.change_id:
        case Unknown() as unknown if has_base:
            return unread(case, transition, unknown, WaitingReason.FORGE)
        case change if has_base and change == want.change_id:
            status = rebased(case.status, to=pull.head_sha, on=want.base_sha, now=case.now)
            text = f"{want.head_sha[:12]} is {pull.head_sha[:12]} now, on {want.base_sha[:12]}"
            action = arrived(case, transition, status, cause="the branch was rebased")
            return replace(action, notes=(Note("Rebased", text), *action.notes))
        case _:
            ended = _without_intent(case)
            return back_to_review(ended) or dropped(case, "the head moved")


def _apply(case: Case, transition: Transition) -> Action:
    if case.facts.conflict is None:
        return apply_once(case, transition)
    base = case.status.base_branch
    text = f"{case.status.branch} conflicts with {base}; both changed {_named(case.facts.conflict)}"
    ended = _without_intent(case)
    told = with_status(ended, conflicting(ended, text))
    return rework(told, Cause.CONFLICT, text, to=Stage.DEVELOPMENT)


def _named(files: tuple[str, ...]) -> str:
    if not files:
        return "what could not be read"
    more = f" and {len(files) - MAX_FILES} more" if len(files) > MAX_FILES else ""
    return one_line(", ".join(files[:MAX_FILES]), 800) + more


def _without_intent(case: Case) -> Case:
    return with_status(case, case.status.model_copy(update={"transition": None}))
