"""Who may start: order of the waiting, who is under way, dependencies and their cycles, freeze.

A lane is one repository's queue. Everything here is computed alike by everybody from the same objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from conveyor.api.annotations import FREEZE, FREEZE_SCOPE, FREEZE_UNTIL
from conveyor.api.repository import EffectiveFreeze, Freeze, RepositoryStatus
from conveyor.api.stages import TERMINAL, Stage
from conveyor.pipeline.freezes import standing

CLOCK_SKEW = timedelta(minutes=5)
"""How far apart the clocks of two machines may be."""


class DependencyState(StrEnum):
    DONE = "done"
    OPEN = "open"
    CANCELLED = "cancelled"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class DependencyFact:
    name: str
    state: DependencyState


@dataclass(frozen=True, slots=True)
class Waiter:
    """An item in `created` as the queue sees it."""

    name: str
    uid: str
    key: str
    priority: int
    created: datetime
    dependencies: tuple[str, ...] = ()
    suspended: bool = False


@dataclass(frozen=True, slots=True)
class Lane:
    """What is known of an item's chances to start, from the cache. The default lets nothing start."""

    ready: bool = False
    not_ready: str = "the Repository was not looked at yet"
    freeze: EffectiveFreeze | None = None
    occupied_by: str = ""
    """The item under way that keeps others from starting; empty: nobody."""
    watched_until: datetime | None = None
    """The last deploy is being watched, and until then others wait for the verdict; None: they need not."""
    first: bool = False
    """Whether nobody who may start is ahead."""
    dependencies: tuple[DependencyFact, ...] = ()
    cycle: tuple[str, ...] = ()
    """A cycle of dependencies that the item is part of, in order."""


@dataclass(frozen=True, slots=True)
class Mend:
    """An item that wants to pass the freezes that its own deploy caused."""

    name: str
    uid: str
    created: datetime

    def may_pass(self, freeze: Freeze) -> bool:
        """A namesake made after the freeze is another item.

        A freeze of an older operator names no uid. Its time and the item's are of two clocks.
        """
        if freeze.item_uid is not None:
            return freeze.item_uid == self.uid
        return freeze.item == self.name and self.created <= freeze.since_time + CLOCK_SKEW


def order(waiter: Waiter) -> tuple[int, datetime, str, str]:
    """Priority first, then first come, first served; key and uid break ties alike for everybody."""
    return (-waiter.priority, waiter.created, waiter.key, waiter.uid)


def head(waiters: Iterable[Waiter], *, startable: Callable[[Waiter], bool]) -> Waiter | None:
    """The next to start: the first in order that nothing of its own holds back."""
    return min((waiter for waiter in waiters if startable(waiter)), key=order, default=None)


def dependency_state(stage: Stage | None, *, present: bool) -> DependencyState:
    if not present:
        return DependencyState.MISSING
    match stage:
        case Stage.DONE:
            return DependencyState.DONE
        case Stage.CANCELLED:
            return DependencyState.CANCELLED
        case _:
            return DependencyState.OPEN


def find_cycle(start: str, dependencies: Callable[[str], tuple[str, ...]]) -> tuple[str, ...]:
    """A shortest cycle through `start`, in order and without repeating it at the end; empty where there is none."""
    came_from: dict[str, str] = {}
    frontier = [start]
    while frontier:
        following: list[str] = []
        for name in frontier:
            for needed in dependencies(name):
                if needed == start:
                    return _path(came_from, start, name)
                if needed not in came_from:
                    came_from[needed] = name
                    following.append(needed)
        frontier = following
    return ()


def _path(came_from: Mapping[str, str], start: str, end: str) -> tuple[str, ...]:
    path = [end]
    while path[-1] != start:
        path.append(came_from[path[-1]])
    return tuple(reversed(path))


def effective_freeze(
    annotations: Mapping[str, str], status: RepositoryStatus, *, now: datetime, mend: Mend | None = None
) -> EffectiveFreeze | None:
    """The freeze in force, from Git's annotations or an automatic one. What cannot be read means frozen.

    For an item (`mend`) without the automatic freezes that name it: what it broke it may mend.
    """
    both = (_annotated(annotations, status, now=now), _automatic(status, mend))
    found = [freeze for freeze in both if freeze is not None]
    if not found:
        return None
    return next((freeze for freeze in found if freeze.scope == "merge"), found[0])


def _annotated(annotations: Mapping[str, str], status: RepositoryStatus, *, now: datetime) -> EffectiveFreeze | None:
    if FREEZE not in annotations:
        return None
    reason = annotations[FREEZE].strip()[:800] or "no reason given"
    until: datetime | None = None
    if FREEZE_UNTIL in annotations:
        until = _instant(annotations[FREEZE_UNTIL])
        if until is None:
            reason = f"{reason} ({FREEZE_UNTIL} cannot be read as a time with a zone, so it does not end)"
        elif until <= now:
            return None
    scope = annotations.get(FREEZE_SCOPE, "admission").strip()
    if scope not in ("admission", "merge"):
        scope, reason = "merge", f"{reason} ({FREEZE_SCOPE} cannot be read, so merges stop too)"
    old = status.effective_freeze
    since = old.since_time if old is not None and old.source == "Annotation" else now
    return EffectiveFreeze.model_validate(
        {"reason": reason, "source": "Annotation", "scope": scope, "sinceTime": since, "untilTime": until}
    )


def _instant(text: str) -> datetime | None:
    """A time in UTC; None where it cannot be read, has no zone, or lies beyond all times."""
    try:
        found = datetime.fromisoformat(text.strip())
        return found.astimezone(UTC) if found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _automatic(status: RepositoryStatus, mend: Mend | None) -> EffectiveFreeze | None:
    holding = [freeze for freeze in standing(status.freezes) if mend is None or not mend.may_pass(freeze)]
    if not holding:
        return None
    first = min(holding, key=lambda freeze: freeze.since_time)
    return EffectiveFreeze(reason=first.reason, source="Automatic", scope=first.scope, since_time=first.since_time)


def is_under_way(stage: Stage | None) -> bool:
    """Admitted and not yet at its end."""
    return stage is not None and stage != Stage.CREATED and stage not in TERMINAL
