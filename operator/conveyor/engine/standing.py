"""What a pass puts on record, and whether it still stands a moment later, on an item that is otherwise as it was."""

from __future__ import annotations

from conveyor.api.objects import WorkItem
from conveyor.api.workitem import ActiveRun, Transition
from conveyor.pipeline.actions import Action, Settle
from conveyor.pipeline.case import Case


def adopts(intent: Transition, action: Action) -> bool:
    """Whether the action makes another's intent ours."""
    new = action.status.transition if isinstance(action, Settle) else None
    return new is not None and new.id == intent.id and new.holder != intent.holder


def claims(case: Case, action: Action) -> ActiveRun | None:
    """The run that the action records, and that was not there before."""
    run, old = action.status.active_run if isinstance(action, Settle) else None, case.status.active_run
    return run if run is not None and (old is None or old.name != run.name) else None


def has_run(now: WorkItem, run: ActiveRun, *, before: WorkItem) -> bool:
    recorded = now.status.active_run
    return _is_same(now, before) and recorded is not None and recorded.token == run.token


def has_intent(now: WorkItem, transition: Transition, *, before: WorkItem) -> bool:
    """Its owner and phase included."""
    return _is_same(now, before) and now.status.transition == transition


def _is_same(now: WorkItem, before: WorkItem) -> bool:
    """But for its status and annotations: no namesake, the same spec, not being deleted since."""
    new, old = now.metadata, before.metadata
    return (new.uid, new.generation, new.deletion_timestamp) == (old.uid, old.generation, old.deletion_timestamp)
