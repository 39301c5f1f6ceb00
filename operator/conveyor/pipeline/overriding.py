"""Break-glass: a person moves an item to any stage, once what is at work has ended.

A run is stopped, and an intent that may be given up too. A merge, the ratchet, a production deploy and a rollback are
followed to their end: meanwhile an override is refused. Once one is parked, for nobody can tell how it ended, and its
Job is known to be at its end or gone, a person's word ends it, as it does by `retry`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from conveyor.api.annotations import Request
from conveyor.api.stages import ROLE_OF_STAGE, WRITERS, Stage
from conveyor.api.workitem import Effect, Override, Transition, WorkItemStatus
from conveyor.pipeline.actions import Note, Settle, StopEffect, StopRun
from conveyor.pipeline.admitting import planned_branch
from conveyor.pipeline.case import Case, moved, settle
from conveyor.pipeline.facts import PullRequest
from conveyor.pipeline.intents import Target, intended
from conveyor.pipeline.requests import NotYet
from conveyor.pipeline.runs import claimed
from conveyor.pipeline.starting_over import started_over
from conveyor.pipeline.superseding import NEVER_SUPERSEDED, effect_is_over, effect_job_is_gone, end_first, superseded

_MOVE = re.compile(r"(?P<start>[a-z-]+)\s*>\s*(?P<end>[a-z-]+)(?:\s+(?P<reason>\S.*))?", re.DOTALL)
USAGE = "say <from>><to> <reason>, such as testing>done merged by hand"
SOMEBODY = "somebody"


@dataclass(frozen=True, slots=True)
class Move:
    start: Stage
    end: Stage
    reason: str


def read_move(text: str) -> Move | str:
    """The wanted move, or what is wrong with the text."""
    match = _MOVE.fullmatch(text)
    if match is None or not match["reason"]:
        return USAGE
    stages = {stage.value for stage in Stage}
    unknown = [name for name in (match["start"], match["end"]) if name not in stages]
    if unknown:
        return f"there is no stage {unknown[0][:64]}: {', '.join(stage.value for stage in Stage)}"
    return Move(Stage(match["start"]), Stage(match["end"]), match["reason"].strip())


def override(case: Case, request: Request) -> Settle | StopRun | StopEffect | NotYet | str:
    """The move, or what has to end or to be read before it; or why it is refused. `case` has the echo already."""
    move = read_move(request.text)
    if isinstance(move, str):
        return move
    why = f"overridden to {move.end} by {request.by or SOMEBODY}"
    refused = _refused(case, move, request)
    if refused is not None:
        return refused
    transition = case.status.transition
    if transition is None or transition.effect not in NEVER_SUPERSEDED:
        first = end_first(case, why)
        if first is not None:
            return first
    status = _entered(case, _moved(case, move, request), move)
    if not isinstance(status, WorkItemStatus):
        return status
    text = f"{move.start} -> {move.end} by {request.by or SOMEBODY}: {move.reason}"
    notes = (*superseded(case, why), Note("Overridden", text, warning=True))
    return settle(case, status, after=0.0, cause="override", notes=notes)


def _refused(case: Case, move: Move, request: Request) -> str | None:
    last, transition = case.status.override, case.status.transition
    if move.start != case.stage:
        return f"the item is in {case.stage}, not in {move.start}"
    if move.end == move.start:
        return f"the item is in {case.stage} already: retry lets its work begin again"
    if move.end == Stage.CREATED:
        return "nothing goes back to created: cancel the item and create another"
    if move.end == Stage.DEPLOY and not case.status.merge_sha:
        return "nothing is merged: deploy needs status.mergeSHA"
    if last is not None and last.id == request.id:
        return f"id {request.id} was used for the last override: take another"
    if transition is not None and transition.effect in NEVER_SUPERSEDED:
        return _still_at_work(case, transition)
    return None


def _still_at_work(case: Case, transition: Transition) -> str | None:
    effect = transition.effect.value
    if transition.phase != "Unknown":
        return f"{effect} is under way: it ends, or is parked for a person; ask again then"
    if transition.job is not None and not (effect_job_is_gone(case) or effect_is_over(case, transition)):
        return (
            f"{effect}: Job {transition.job.name} may still be at work: wait for its end or delete it, then ask again"
        )
    return None


def _moved(case: Case, move: Move, request: Request) -> WorkItemStatus:
    by, last = request.by or SOMEBODY, case.status.last_run
    word = Override(id=request.id, from_stage=move.start, to_stage=move.end, by=by, reason=move.reason)
    status = moved(case, case.status, move.end, cause=f"override: {move.reason}", actor=by, override=True)
    answered = last.model_copy(update={"question": ""}) if last is not None else None
    return status.model_copy(update={"override": word, "active_run": None, "last_run": answered})


def _entered(case: Case, status: WorkItemStatus, move: Move) -> WorkItemStatus | NotYet | str:
    """What the stage needs to begin with. Its gates, and those before it, count as they stand."""
    if move.end == Stage.DONE:
        return _with_merge(case, status)
    if move.end == Stage.CANCELLED:
        return status
    if move.start == Stage.CREATED:
        return _begun(case, status, move)
    if (move.start == Stage.DEPLOY or status.merge_sha) and ROLE_OF_STAGE.get(move.end) in WRITERS:
        return started_over(case, status, move.end)
    return claimed(case, status, reason=f"override: {move.reason}")


def _with_merge(case: Case, status: WorkItemStatus) -> WorkItemStatus:
    """A change that somebody merged is on record as such."""
    match case.facts.pull:
        case PullRequest(merged=True) as pull if not status.merge_sha:
            return status.model_copy(update={"merge_sha": pull.merge_sha or pull.head_sha, "head_sha": pull.head_sha})
        case _:
            return status


def _begun(case: Case, status: WorkItemStatus, move: Move) -> WorkItemStatus | str:
    """Without admission: on the branch that is there, else on one that is cut now."""
    branch = planned_branch(case.item, case.facts.ticket)
    match branch, case.facts.base_head, case.facts.branch_head:
        case str(), str() as base, (str() | None) as head:
            default = case.spec.forge.default_branch
            ready = status.model_copy(update={"branch": branch, "base_branch": default, "base_sha": base})
            if head is not None:
                return claimed(case, ready, reason=f"override: {move.reason}")
            return intended(case, ready, Target(effect=Effect.CUT_BRANCH, to=move.end, base_sha=base))
        case _:
            return "the ticket, the branch or the default branch could not be read now: ask again"
