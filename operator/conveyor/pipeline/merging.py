"""Bringing a tested commit to the base branch, once."""

from __future__ import annotations

from conveyor.api.stages import Stage
from conveyor.api.workitem import Transition, WaitingReason
from conveyor.pipeline.actions import Action, Apply, Note, Settle
from conveyor.pipeline.case import Case, advanced, on_repository, settle, wait
from conveyor.pipeline.coverage import with_ratchet
from conveyor.pipeline.facts import PullRequest, Unknown
from conveyor.pipeline.intents import apply_once, dropped, unread
from conveyor.pipeline.runs import entered


def merge(case: Case, transition: Transition) -> Action:
    """Proven by the base branch alone; a pull request that a crash left open is then marked merged."""
    head = transition.precondition.head_sha
    wanted = (head, case.status.base_branch)
    match case.facts.head_in_base:
        case Unknown() as unknown:
            return unread(case, transition, unknown, WaitingReason.FORGE)
        case True:
            return _merged(case, transition, transition.precondition.head_sha)
        case _:
            pass
    match case.facts.pull:
        case Unknown() as unknown:
            return unread(case, transition, unknown, WaitingReason.FORGE)
        case PullRequest(merged=True) as pull if (pull.head_sha, pull.base) == wanted:
            return _merged(case, transition, pull.merge_sha or head)  # by a person, in a style of their own
        case PullRequest(state="open") as pull if (pull.head_sha, pull.base) == wanted:
            pass
        case _:
            return dropped(case, "the pull request is no longer what was to be merged")
    match case.facts.base_head:
        case Unknown() as unknown:
            return unread(case, transition, unknown, WaitingReason.FORGE)
        case base if base != transition.precondition.base_sha:
            return dropped(case, "the base moved before the merge")
        case _:
            return _frozen(case, transition) or apply_once(case, transition)


def merge_freeze(case: Case) -> str:
    """Why nothing may be merged now; empty where it may."""
    freeze = case.facts.lane.freeze
    return f"merges are frozen: {freeze.reason}" if freeze is not None and freeze.scope == "merge" else ""


def _frozen(case: Case, transition: Transition) -> Action | None:
    """Not sent while merges are frozen. A request of before may still land until the deadline; then the intent ends,
    so that the item holds nothing that the mend needs, and is decided anew after the thaw.
    """
    text = merge_freeze(case)
    if not text or transition.phase == "Unknown":
        return None
    if case.now >= transition.deadline_time:
        return dropped(case, text)
    after = case.policy.poll_seconds
    return wait(case, WaitingReason.REPOSITORY_FROZEN, text, on=on_repository(case), after=after)


def _merged(case: Case, transition: Transition, sha: str) -> Action:
    match case.facts.pull:
        case _ if case.now >= transition.deadline_time or case.facts.refusal:
            pass
        case Unknown() as unknown:
            return unread(case, transition, unknown, WaitingReason.FORGE)
        case PullRequest(state="open"):
            return Apply(transition)  # the base has it: what is left of the merge is to close the pull request
        case _:
            pass
    return merged(case, head=transition.precondition.head_sha, sha=sha, cause="merged")


def merged(case: Case, *, head: str, sha: str, cause: str, notes: tuple[Note, ...] = ()) -> Settle:
    """The result of our merge of that head: what is merged is deployed."""
    update = {"merge_sha": sha, "head_sha": head, "active_run": None}
    status = entered(case, Stage.DEPLOY, cause=cause, status=case.status.model_copy(update=update))
    notes = (*notes, advanced(case, Stage.DEPLOY, cause))
    return settle(case, with_ratchet(case, status), after=0.0, cause="merged", notes=notes)
