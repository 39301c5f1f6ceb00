"""Whether what a pass put on record a moment ago still stands, on an item that is otherwise what was decided about."""

from __future__ import annotations

from conveyor.api.objects import WorkItem
from conveyor.api.workitem import ActiveRun, Transition


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
