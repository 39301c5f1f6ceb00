"""The end of an item that somebody deletes: nothing is begun any more, and nothing that was begun is left behind.

| under way | what becomes of it |
|---|---|
| a run; an intent of branch, pull request, rebase, image, staging | ended: its Job is deleted and confirmed gone |
| merge, ratchet, production, rollback: it happened, or its Job works | read until its end, and put on record |
| the same, and it did not happen | not done any more; a request on its way has `IN_FLIGHT` to land and be seen |
| the same, and nobody can tell until its deadline | an Event says so |

Whatever does not end, all of this takes `Policy.ceiling_seconds` at the longest. The ticket is told what it came to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from conveyor.api.stages import TERMINAL, Stage
from conveyor.api.workitem import Effect, Transition, WorkItemStatus
from conveyor.pipeline.actions import Action, Apply, Ending, Farewell, LetGo, Note, Settle
from conveyor.pipeline.case import SOON, Case, Orphan, Situation
from conveyor.pipeline.effects import EFFECTS
from conveyor.pipeline.facts import JobFact, JobState, Unknown
from conveyor.pipeline.indication import LogicalState
from conveyor.pipeline.superseding import NEVER_SUPERSEDED, end_first

IN_FLIGHT = timedelta(seconds=60)
"""How long after the deletion an effect may still land: twice the time-out of the request that asks for it."""
WHY = "the item is being deleted"
A = TypeVar("A", bound=Action)


def deleted(case: Case) -> Action:
    return _ended(case, lambda transition: _followed(case, transition))


def deleted_orphan(orphan: Orphan) -> Settle | Ending:
    """Without its Repository: a Job is waited for, and of anything else nobody can tell."""
    return _ended(orphan, lambda transition: _waited_for(orphan, transition))


def _ended(case: Situation, follow: Callable[[Transition], A]) -> A | Settle | Ending:
    transition = case.status.transition
    if case.now > _deletion(case) + timedelta(seconds=case.policy.ceiling_seconds):
        return _let_go(case, "what was under way did not end in time", reason="DeletionForced")
    lasts = transition is not None and transition.effect in NEVER_SUPERSEDED
    if not lasts and (first := end_first(case, WHY)) is not None:
        return first
    if transition is None:
        return _let_go(case, "")
    if lasts and transition.phase == "Unknown":
        return _unknown(case, transition)
    return follow(transition) if lasts else _let_go(case, f"{transition.effect.value} was given up")


def _deletion(case: Situation) -> datetime:
    return case.item.metadata.deletion_timestamp or case.now


# --- what lasts


def _followed(case: Case, transition: Transition) -> Action:
    action = _follow(case, transition, refusal="")
    if isinstance(action, Apply) and transition.effect == Effect.MERGE and case.facts.head_in_base is True:
        action = _follow(case, transition, refusal=WHY)  # what is left is to close the pull request
    match action:
        case Apply():
            return _not_done(case, transition)
        case Settle():
            return _on_record(case, transition, action)
        case _:
            return action


def _follow(case: Case, transition: Transition, *, refusal: str) -> Action:
    """By whoever reads it: an intent that begins nothing needs no owner."""
    return EFFECTS[transition.effect](replace(case, facts=replace(case.facts, refusal=refusal)), transition)


def _on_record(case: Case, transition: Transition, action: Settle) -> Settle | LetGo:
    """Its result, without what would follow it."""
    status, next_ = action.status, action.status.transition
    if next_ is not None and next_.id == transition.id:
        return _unknown(case, transition) if next_.phase == "Unknown" else action
    alone = status.model_copy(update={"transition": None, "active_run": None, "waiting": None})
    return replace(action, status=alone, after=0.0)


def _not_done(case: Situation, transition: Transition) -> Settle | LetGo:
    left = (_deletion(case) + IN_FLIGHT - case.now).total_seconds()
    if left > 0:
        return Settle(case.status, after=left + 0.1)
    return _let_go(case, f"{transition.effect.value} was not begun any more")


def _waited_for(orphan: Orphan, transition: Transition) -> Settle | LetGo:
    match orphan.facts.effect_job:
        case JobFact(suspended=True, unstarted=True):
            return _not_done(orphan, transition)
        case JobFact(state=JobState.ACTIVE | JobState.DELETING):
            return Settle(orphan.status, after=60.0)
        case JobFact(state=JobState.MISSING) if transition.job is not None and transition.job.uid is None:
            return _not_done(orphan, transition)
        case JobFact(state=JobState.ENDED, pod_gone=False) as job:
            end = "passed" if job.complete else f"failed ({job.reason})"
            return _let_go(orphan, f"{transition.effect.value} {end}, and its Repository is gone")
        case Unknown() if transition.job is not None:
            return Settle(orphan.status, after=SOON)
        case _:
            return _unknown(orphan, transition)


def _unknown(case: Situation, transition: Transition) -> Settle | LetGo:
    text = f"nobody can tell whether {transition.effect.value} {transition.id} happened: look at the forge or the Job"
    return _let_go(case, text, reason="EffectUnknown")


# --- the end


def _let_go(case: Situation, outcome: str, *, reason: str = "Deleted") -> Settle | LetGo:
    if not case.item.held:
        return Settle(case.status)
    text = f"deleted in {case.status.stage or Stage.CREATED}" + (f"; {outcome}" if outcome else "")
    return LetGo(farewell=_farewell(case, outcome), notes=(Note(reason, text, warning=reason != "Deleted"),))


def _farewell(case: Situation, outcome: str) -> Farewell | None:
    """Blocked, or the ticket would start the same again. None where nothing had begun."""
    status = case.status
    if status.stage in TERMINAL:
        shown = LogicalState.DONE if status.stage == Stage.DONE else LogicalState.CANCELLED
        return Farewell(shown, "")
    if status.stage in (None, Stage.CREATED) and status.transition is None:
        return None
    said = [f"WorkItem {case.item.name} was deleted in {status.stage}: work on this ticket has ended."]
    said += [f"{outcome[0].upper()}{outcome[1:]}."] if outcome else []
    return Farewell(LogicalState.BLOCKED, " ".join([*said, *_left(status)]))


def _left(status: WorkItemStatus) -> list[str]:
    if status.merge_sha:
        return [f"Merged as {status.merge_sha[:12]}, and not deployed by it any more."]
    left = [f"branch {status.branch}"] if status.branch else []
    left += [f"pull request #{status.pull_request.number}"] if status.pull_request is not None else []
    return [f"Left for people: {', '.join(left)}."] if left else []
