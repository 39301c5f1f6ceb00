"""`queue`: who is under way in each repository and who starts next, in the operator's own order.

It is computed here from the objects, with the operator's functions; only the operator's own switches are not seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TypeAlias

from conveyor.api.fields import rfc3339
from conveyor.api.objects import Repository, WorkItem
from conveyor.api.stages import TERMINAL, Stage
from conveyor.api.workitem import Monitor
from conveyor.cli.api import Entry, Unreadable, namespace_of, repository_of, stage_of
from conveyor.cli.items import waiter_of, watch_of
from conveyor.cli.sheet import Column, Listing, Row, Sheet
from conveyor.pipeline.lane import (
    DependencyState,
    dependency_state,
    effective_freeze,
    is_under_way,
    order,
)
from conveyor.pipeline.monitoring import GRACE

Where: TypeAlias = tuple[str, str]
"""Namespace and name."""

NAMESPACE = Column("NAMESPACE", "namespace")
REPOSITORIES = (
    Column("REPO", "repository"),
    Column("READY", "ready"),
    Column("UNDER-WAY", "underWay"),
    Column("WAITING", "waiting"),
    Column("FROZEN", "frozen", style="yellow"),
    Column("MESSAGE", "message", wide=True, flexible=True),
)
ITEMS = (
    Column("POS", "position"),
    Column("NAME", "name"),
    Column("REPO", "repository"),
    Column("KEY", "key", wide=True),
    Column("STAGE", "stage"),
    Column("PRIORITY", "priority"),
    Column("AHEAD", "ahead"),
    Column("AGE", "creationTimestamp"),
    Column("WHY", "why", flexible=True),
)


class Lanes:
    """All that a queue is computed from. `entries` may lack ended items: `others` has those that are waited for."""

    def __init__(
        self,
        entries: Iterable[Entry],
        repositories: Iterable[Repository] = (),
        others: Iterable[Entry] = (),
    ) -> None:
        self.entries, self.repositories = tuple(entries), tuple(repositories)
        self._known = {_where(entry): entry for entry in (*self.entries, *others)}

    def dependency(self, namespace: str, name: str) -> DependencyState:
        entry = self._known.get((namespace, name))
        return dependency_state(stage_of(entry) if entry is not None else None, present=entry is not None)

    def watch(self, where: Where, now: datetime) -> tuple[str, Monitor] | None:
        """The deploy of whom the next item of a Repository waits for the verdict on; None: of nobody."""
        repository = next((one for one in self.repositories if _repository(one) == where), None)
        name = _deployer(repository) if repository is not None else ""
        entry = self._known.get((where[0], name))
        if not isinstance(entry, WorkItem) or entry.status.stage != Stage.DONE or entry.status.monitor is None:
            return None
        found = entry.status.monitor
        return (name, found) if found.verdict == "Watching" and now < found.until_time + GRACE else None

    def state(self, namespace: str, name: str) -> str:
        """What an item still lacks for those that depend on it; empty where it is done."""
        entry = self._known.get((namespace, name))
        if entry is None:
            return f"there is no WorkItem {name}"
        if isinstance(entry, Unreadable):
            return f"{name} cannot be read: {entry.problem}"
        stage, waiting = entry.status.stage or Stage.CREATED, entry.status.waiting
        if stage in TERMINAL:
            return "" if stage == Stage.DONE else f"{name} was cancelled"
        held = f"Stalled, {entry.status.stalled}" if entry.status.stalled is not None else ""
        waits = f"waits for {waiting.reason.value}" if waiting is not None else "moving"
        return f"{name} is in {stage.value}: {held or waits}"

    def unknown(self) -> list[Where]:
        """What waiting items depend on, or may have to see watched first, and no entry is of."""
        wanted = {
            (item.metadata.namespace, name)
            for item in self.entries
            if isinstance(item, WorkItem) and _waits(item)
            for name in waiter_of(item).dependencies
        }
        lanes = {_lane(item) for item in self.entries if isinstance(item, WorkItem) and _waits(item)}
        deployers = ((one.metadata.namespace, _deployer(one)) for one in self.repositories if _repository(one) in lanes)
        wanted |= {where for where in deployers if where[1]}
        return sorted(wanted - set(self._known))


def queue(lanes: Lanes, now: datetime, *, repository: str = "", all_namespaces: bool = False) -> Sheet:
    """Two listings: the repositories, and the items under way (position 0) or waiting in each."""
    named = {_repository(each) for each in lanes.repositories} | {_lane(entry) for entry in lanes.entries}
    chosen = sorted(where for where in named if repository in ("", where[1]))
    found = [Lane(where, lanes, now) for where in chosen]
    first = (NAMESPACE,) if all_namespaces else ()
    return (
        Listing("repositories", (*first, *REPOSITORIES), tuple(lane.row() for lane in found)),
        Listing("items", (*first, *ITEMS), tuple(row for lane in found for row in lane.rows())),
    )


class Lane:
    """One repository's queue."""

    def __init__(self, where: Where, lanes: Lanes, now: datetime) -> None:
        self._lanes, self.namespace, self.name = lanes, *where
        self.repository = next((one for one in lanes.repositories if _repository(one) == where), None)
        mine = [entry for entry in lanes.entries if _lane(entry) == where]
        self.under_way = sorted((entry for entry in mine if _holds(entry)), key=_name)
        waiting = [item for item in mine if isinstance(item, WorkItem) and _waits(item)]
        self.waiting = sorted(waiting, key=lambda item: (not self._admitted(item), order(waiter_of(item))))
        self.freeze = None
        self.watch = lanes.watch(where, now)
        if self.repository is not None:
            self.freeze = effective_freeze(self.repository.metadata.annotations, self.repository.status, now=now)

    def row(self) -> Row:
        ready = self.repository.status.condition("Ready") if self.repository is not None else None
        return {
            "namespace": self.namespace,
            "repository": self.name,
            "ready": self._ready(),
            "underWay": ", ".join(_name(entry) for entry in self.under_way),
            "waiting": len(self.waiting),
            "frozen": self.frozen(),
            "message": ready.message if ready is not None else None,
        }

    def rows(self) -> list[Row]:
        rows = [self._at_work(entry) for entry in self.under_way]
        position, ahead = 0, ""
        for item in self.waiting:
            held = self._held(item)
            if not held:
                position += 1
            rows.append(self._waiter(item, position=None if held else position, held=held, ahead=ahead))
            ahead = ahead if held else item.name
        return rows

    def frozen(self) -> str:
        """By whom, how far and until when; empty where it is not."""
        freeze = self.freeze
        if freeze is None:
            return ""
        until = f" until {rfc3339(freeze.until_time)}" if freeze.until_time is not None else ""
        return f"{freeze.source}, {freeze.scope}{until}: {freeze.reason}"

    def watched(self) -> str:
        """Whose deploy is being watched, and what is known of it; empty where none is."""
        return f"{self.watch[0]} {watch_of(self.watch[1])}" if self.watch is not None else ""

    def not_ready(self) -> str:
        """Why nothing is admitted; empty where the Repository is Ready."""
        if self.repository is None:
            return f"there is no Repository {self.name} that can be read"
        ready = self.repository.status.condition("Ready")
        if ready is None:
            return "the operator has not looked at the Repository yet"
        return "" if ready.status == "True" else f"the Repository is not Ready: {ready.reason}: {ready.message}"

    def _ready(self) -> str:
        if self.repository is None:
            return "Missing"
        ready = self.repository.status.condition("Ready")
        return "Unknown" if ready is None else "True" if ready.status == "True" else ready.reason

    @property
    def _serial(self) -> bool:
        return self.repository is None or self.repository.spec.serial_gate.mode == "Enabled"

    def _admitted(self, item: WorkItem) -> bool:
        active = self.repository.status.active_item if self.repository is not None else None
        return active is not None and active.uid == item.metadata.uid

    def _occupant(self) -> str:
        """Who keeps the next one from starting."""
        if not self._serial:
            return ""
        passing = self.repository is not None and self.repository.spec.serial_gate.on_stalled == "Pass"
        return next((_name(entry) for entry in self.under_way if not (passing and _stalled(entry))), "")

    def _held(self, item: WorkItem) -> str:
        """What of its own holds an item back, so that others pass it; empty where nothing does."""
        if item.spec.suspend:
            return "passed over: spec.suspend is set"
        for name in waiter_of(item).dependencies:
            state = self._lanes.dependency(self.namespace, name)
            if state != DependencyState.DONE:
                return f"passed over: depends on {name}, which is {state.value}"
        return ""

    def _waiter(self, item: WorkItem, *, position: int | None, held: str, ahead: str) -> Row:
        before, why = "", held
        if position is not None:
            before, why = self._why(item, ahead)
        return _row(item) | {"position": position, "ahead": before, "why": why}

    def _why(self, item: WorkItem, ahead: str) -> tuple[str, str]:
        """Who goes first, and why it has not started."""
        if self._admitted(item):
            return "", "admitted: its branch is being cut"
        if ahead and self._serial:
            return ahead, "goes after it: one item at a time, by priority, then age"
        if occupant := self._occupant():
            return occupant, "starts when it has ended: one item at a time"
        if self.not_ready():
            return "", self.not_ready()
        if self.freeze is not None:
            return "", f"the Repository is frozen: {self.freeze.reason}"
        if self.watch is not None:
            return "", f"starts when the watch over the last deploy has ended: {self.watched()}"
        return "", "next to start"

    def _at_work(self, entry: Entry) -> Row:
        if isinstance(entry, Unreadable):
            return _unreadable(entry)
        waiting, stalled = entry.status.waiting, entry.status.stalled
        why = "under way" + (f": waits for {waiting.reason.value}" if waiting is not None else "")
        if stalled is not None:
            passing = not self._occupant() and self._serial
            why = f"Stalled: {stalled}" + (" (others pass it)" if passing else "")
        return _row(entry) | {"position": 0, "ahead": "", "why": why}


def _row(item: WorkItem) -> dict[str, str | int | datetime | None]:
    return {
        "namespace": item.metadata.namespace,
        "name": item.name,
        "repository": item.spec.repository_ref.name,
        "key": item.key,
        "stage": item.status.stage,
        "priority": item.spec.priority,
        "creationTimestamp": item.metadata.creation_timestamp,
    }


def _unreadable(entry: Unreadable) -> Row:
    return {column.key: None for column in ITEMS} | {
        "namespace": entry.namespace,
        "position": 0,
        "name": entry.name,
        "repository": entry.repository,
        "stage": entry.stage,
        "creationTimestamp": entry.created,
        "why": f"cannot be read, so it counts as under way: {entry.problem}",
    }


def _deployer(repository: Repository) -> str:
    """Who may have deployed last, where others wait for the verdict on that; empty where they do not."""
    gate, active = repository.spec.serial_gate, repository.status.active_item
    waits = gate.mode == "Enabled" and gate.wait_for_monitor and bool(repository.spec.monitor.probes)
    return active.name if waits and active is not None else ""


def _holds(entry: Entry) -> bool:
    return isinstance(entry, Unreadable) or is_under_way(entry.status.stage)


def _waits(item: WorkItem) -> bool:
    return not is_under_way(item.status.stage) and item.status.stage not in TERMINAL


def _stalled(entry: Entry) -> bool:
    return isinstance(entry, WorkItem) and entry.status.stalled is not None


def _name(entry: Entry) -> str:
    return entry.name


def _where(entry: Entry) -> Where:
    return namespace_of(entry), entry.name


def _lane(entry: Entry) -> Where:
    return namespace_of(entry), repository_of(entry)


def _repository(repository: Repository) -> Where:
    return repository.metadata.namespace, repository.name
