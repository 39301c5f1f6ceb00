"""Items that have ended and that nothing is left to be done about: told by the object itself, without a whole pass.

Most of what there is has ended. After a start each of them is looked at, and after each change of its Repository. One
with something in it that we cannot read rests as well: its end is clear, and nobody has to be told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conveyor.api.annotations import REQUEST_PREFIX, TRANSITION_FINALIZER
from conveyor.api.stages import Stage
from conveyor.engine.shapes import dict_in, dicts_in

Said = frozenset[tuple[str, str, str]]
"""Type, status and reason of conditions."""

_ALIKE = frozenset({("Reconciling", "False", "Resting"), ("AwaitingApproval", "False", "NoGateOpen")})
_AT_THE_END: Mapping[Stage, Said] = {
    Stage.DONE: _ALIKE | {("Succeeded", "True", "Done")},
    Stage.CANCELLED: _ALIKE | {("Succeeded", "False", "Cancelled")},
}
"""What the conditions of an item that has ended say; `test_resting.py` holds it to what a pass would write."""


def rests(stage: Stage | None, metadata: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    """Whether its pass would change nothing, whatever there is outside. False where that needs a closer look."""
    if stage is None or stage not in _AT_THE_END or _is_spoken_of(metadata) or _is_watched(stage, status):
        return False
    is_newest = status.get("observedGeneration") == metadata.get("generation")
    at_work = any(part in status for part in ("transition", "activeRun"))
    return is_newest and not at_work and _AT_THE_END[stage] <= _said(status)


def _is_spoken_of(metadata: Mapping[str, Any]) -> bool:
    """Whether somebody deletes it, or asks something of it; or it is to be let go."""
    goes = "deletionTimestamp" in metadata or TRANSITION_FINALIZER in (metadata.get("finalizers") or ())
    return goes or any(key.startswith(REQUEST_PREFIX) for key in dict_in(metadata, "annotations"))


def _is_watched(stage: Stage, status: Mapping[str, Any]) -> bool:
    """Whether what it deployed is being watched, or its pull request may yet be merged."""
    watching = dict_in(status, "monitor").get("verdict") == "Watching"
    return watching or (stage == Stage.CANCELLED and "pullRequest" in status and not status.get("mergeSHA"))


def _said(status: Mapping[str, Any]) -> Said:
    """Frozen stands on items under way alone: with it nothing is as it should be."""
    conditions = dicts_in(status, "conditions")
    if any(condition.get("type") == "Frozen" for condition in conditions):
        return frozenset()
    return frozenset((str(it.get("type")), str(it.get("status")), str(it.get("reason"))) for it in conditions)
