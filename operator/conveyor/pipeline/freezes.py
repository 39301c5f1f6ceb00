"""Automatic freezes of a Repository: kept as a record, added once per id, cleared by people alone."""

from __future__ import annotations

from datetime import datetime

from conveyor.api.objects import WorkItem
from conveyor.api.repository import Freeze

MAX_FREEZES = 32
"""As many as the kind stores."""

Freezes = tuple[Freeze, ...]


def standing(freezes: Freezes) -> Freezes:
    return tuple(freeze for freeze in freezes if freeze.cleared_time is None)


def freeze_of(item: WorkItem, identity: str, *, reason: str, now: datetime) -> Freeze:
    """What the deploy of an item causes, and what that very item passes."""
    return Freeze(id=identity, reason=reason, item=item.name, item_uid=item.metadata.uid, since_time=now)


def with_freeze(freezes: Freezes, new: Freeze) -> Freezes:
    """With one more, once per id: one that was cleared stays cleared. The longest cleared make room for it."""
    if new.id in {freeze.id for freeze in freezes}:
        return freezes
    surplus = len(freezes) + 1 - MAX_FREEZES
    dropped = {freeze.id for freeze in sorted(freezes, key=_dispensable)[: max(surplus, 0)]}
    return (*(freeze for freeze in freezes if freeze.id not in dropped), new)


def _dispensable(freeze: Freeze) -> tuple[bool, datetime]:
    """Cleared ones first. Where all stand, one less of them leaves the repository as frozen as it was."""
    return (freeze.cleared_time is None, freeze.cleared_time or freeze.since_time)


def cleared(freezes: Freezes, which: str, *, by: str, now: datetime) -> tuple[Freezes, Freezes]:
    """With the one of that id cleared, or with `all` every one, and those that this cleared."""
    chosen = {freeze.id for freeze in standing(freezes) if which in ("all", freeze.id)}
    word = {"cleared_time": now, "cleared_by": by[:256]}
    after = tuple(freeze.model_copy(update=word) if freeze.id in chosen else freeze for freeze in freezes)
    return after, tuple(freeze for freeze in after if freeze.id in chosen)
