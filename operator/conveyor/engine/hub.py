"""Where everything we learn passes through: into the cache, and out as the keys that must be looked at.

A change wakes its own item, and of the others only those whose next step it may allow: the head of a lane that got
free, who depends on an item that ended, who waits for a run slot that got free. It never wakes all that merely wait.

In a process that stands by it keeps the cache and wakes nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from conveyor.api.annotations import HintClass
from conveyor.api.workitem import WaitingReason
from conveyor.cluster.protocol import JSONObject, Key, Kind
from conveyor.engine.cache import Cache, Change, repository_key
from conveyor.engine.leases import Owner
from conveyor.engine.records import ItemRecord, JobRecord, RepositoryRecord, key_of, version_of
from conveyor.engine.slots import Slots
from conveyor.engine.telemetry import Telemetry

Work = tuple[Kind, Key]
"""A key of the work queue."""


class Hub:
    def __init__(self, cache: Cache, wake: Callable[[Work], None], *, slots: Slots, telemetry: Telemetry) -> None:
        self._cache, self._enqueue, self._slots, self._telemetry = cache, wake, slots, telemetry
        self._stands_by = False
        self._tickets_to_read: dict[Key, int] = {}
        """How often we were told so, for each item whose ticket is to be read; gone once it was."""
        self._being_shown: set[Key] = set()
        self._on_item: list[Callable[[Change[ItemRecord]], None]] = []

    def also_tell(self, listener: Callable[[Change[ItemRecord]], None]) -> None:
        """Of every change of an item."""
        self._on_item.append(listener)

    def _wake(self, work: Work) -> None:
        if not self._stands_by:
            self._enqueue(work)

    # --- who works

    def stand_by(self) -> None:
        """Another process works. Hints are not read either: what is missed, the poll finds."""
        self._stands_by = True

    def begin(self) -> list[Work]:
        """From now on it is us who work. Gives all there is, to be looked at, whatever was done and missed before."""
        self._stands_by = False
        repositories = [(Kind.REPOSITORY, repository.key) for repository in self._cache.repositories]
        items = {item.key for item in self._cache.items}
        gone = {job.item for job in self._cache.jobs if job.item.name} - items
        return repositories + [(Kind.WORKITEM, key) for key in (*items, *gone)]

    # --- from the watches

    def item_seen(self, obj: JSONObject) -> None:
        change = self._cache.put_item(obj)
        if change.new is not None:
            self._wake((Kind.WORKITEM, change.new.key))
        self._item_changed(change)

    def item_gone(self, obj: JSONObject) -> None:
        """Its own pass tidies up after it."""
        change = self._cache.drop_item(key_of(obj), uid=obj["metadata"]["uid"], version=version_of(obj))
        if change.old is not None:
            self._tickets_to_read.pop(change.old.key, None)
            self._wake((Kind.WORKITEM, change.old.key))
        self._item_changed(change)

    def repository_seen(self, obj: JSONObject) -> None:
        self.repository_changed(self._cache.put_repository(obj))

    def repository_gone(self, obj: JSONObject) -> None:
        key = key_of(obj)
        change = self._cache.drop_repository(key, uid=obj["metadata"]["uid"], version=version_of(obj))
        if change.old is not None:
            self._wake((Kind.REPOSITORY, key))
            self._wake_all(key)

    def job_seen(self, obj: JSONObject) -> None:
        change = self._cache.put_job(obj)
        new = change.new
        if new is None or not new.item.name or _word(change.old) == _word(new):
            return
        if change.old is None and self._is_expected(new):
            return  # whoever creates it has the answer to that, or asks until there is one
        self._wake((Kind.WORKITEM, new.item))

    def _is_expected(self, job: JobRecord) -> bool:
        item = self._cache.items.get(job.item)
        begins = not job.deleted and not job.ends
        return begins and item is not None and (item.uid, item.asked_for) == (job.item_uid, job.key.name)

    def job_gone(self, obj: JSONObject) -> None:
        change = self._cache.drop_job(key_of(obj), uid=obj["metadata"]["uid"], version=version_of(obj))
        if change.old is not None and change.old.item.name:
            self._wake((Kind.WORKITEM, change.old.item))

    # --- from our own writes: the writer knows what to do next about its own key

    def item_written(self, obj: JSONObject) -> None:
        self._item_changed(self._cache.put_item(obj))

    def repository_written(self, obj: JSONObject) -> None:
        self.repository_changed(self._cache.put_repository(obj), own=True)

    # --- tickets

    def ticket_changed(self, item: Key) -> None:
        """The poll says that an item's ticket is worth reading."""
        self._note_ticket(item)
        self._wake((Kind.WORKITEM, item))

    def ticket_notes(self, item: Key) -> int:
        """How often we were told that the item's ticket is to be read and has not been; 0: it need not be."""
        return self._tickets_to_read.get(item, 0)

    def ticket_was_read(self, item: Key, notes: int) -> None:
        """A pass that began when there were so many notes has come to its end; a later note stays."""
        if self._tickets_to_read.get(item) == notes:
            del self._tickets_to_read[item]

    @contextmanager
    def showing(self, item: Key) -> Iterator[None]:
        """While a ticket is being written: what is said of its item at last must not be said before that."""
        self._being_shown.add(item)
        try:
            yield
        finally:
            self._being_shown.discard(item)

    def is_being_shown(self, item: Key) -> bool:
        return item in self._being_shown

    def _note_ticket(self, item: Key) -> None:
        self._tickets_to_read[item] = self._tickets_to_read.get(item, 0) + 1

    # --- who else is concerned

    def _item_changed(self, change: Change[ItemRecord]) -> None:
        concerned = change.new if change.new is not None else change.old
        if concerned is None:
            return
        for listener in self._on_item:
            listener(change)
        if not self._stands_by:
            self._read_hints(change)
            self._wake_others(change.old, change.new, concerned)

    def _wake_others(self, old: ItemRecord | None, new: ItemRecord | None, concerned: ItemRecord) -> None:
        if _lane_state(old) != _lane_state(new):
            for record in (old, new):
                if record is not None:
                    self._lane_changed(repository_key(record))
        if _end(old) != _end(new):
            for dependent in self._cache.dependents(concerned.key):
                self._wake((Kind.WORKITEM, dependent.key))
        if _dependencies(old) != _dependencies(new):
            self._wake_whoever_waits_behind(concerned)
        if _gives_a_slot_up(old, new):
            self.wake_for_slot()

    def _wake_whoever_waits_behind(self, record: ItemRecord) -> None:
        """Dependencies that change may close a cycle or open one, and that is the matter of all its members."""
        frontier, found = [record.key], {record.key}
        while frontier:
            behind = {item.key for key in frontier for item in self._cache.dependents(key) if not item.terminal}
            frontier = sorted(behind - found)
            found |= behind
        for key in sorted(found - {record.key}):
            self._wake((Kind.WORKITEM, key))

    def repository_changed(self, change: Change[RepositoryRecord], *, own: bool = False) -> None:
        if change.new is None or self._stands_by:
            return
        if not own:
            self._wake((Kind.REPOSITORY, change.new.key))
        if change.old is None or change.old.uid != change.new.uid:
            self._wake_all(change.new.key)
            return
        self._wake_moving(change.new.key)
        if change.old.hints != change.new.hints:
            self._telemetry.fact_learned("Gitea", "webhook")

    def look_at(self, item: Key) -> None:
        """Something about it may have been missed."""
        self._wake((Kind.WORKITEM, item))

    def lease_released(self, owner: Owner) -> None:
        """Other items of the same repository may be waiting for it; its owner knows when to look again."""
        for record in self._cache.under_way(Key(owner.key.namespace, owner.repository)):
            if record.waiting == WaitingReason.LEASE and record.uid != owner.uid:
                self._wake((Kind.WORKITEM, record.key))

    def _lane_changed(self, lane: Key) -> None:
        """Who is next may start; a Repository that is held for its items may be let go."""
        self.wake_head(lane)
        repository = self._cache.repositories.get(lane)
        if repository is not None and repository.held and not self._cache.under_way(lane):
            self._wake((Kind.REPOSITORY, lane))

    def wake_head(self, lane: Key) -> None:
        """Let the next in a lane see whether it may start."""
        head = self._cache.head_of(lane)
        if head is not None:
            self._wake((Kind.WORKITEM, Key(lane.namespace, head.name)))

    def _read_hints(self, change: Change[ItemRecord]) -> None:
        """A hint that differs from the last seen one says which side to look at; at first sight the poll tells."""
        if change.old is None or change.new is None or change.old.hints == change.new.hints:
            return
        new = {name for name, value in change.new.hints if dict(change.old.hints).get(name) != value}
        if HintClass.TICKET in new:
            self._note_ticket(change.new.key)
            self._telemetry.fact_learned("Plane", "webhook")
        if new - {HintClass.TICKET}:
            self._telemetry.fact_learned("Gitea", "webhook")

    def _wake_all(self, lane: Key) -> None:
        """Its Repository came or went: what all its items say of it is no longer true."""
        for record in self._cache.of_repository(lane):
            if not record.terminal or record.watched_until is not None:
                self._wake((Kind.WORKITEM, record.key))

    def wake_for_slot(self) -> None:
        """A slot may be free: who takes it, or leaves the queue, makes room for the next to ask in turn."""
        first = self._slots.next()
        if first is not None:
            self._wake((Kind.WORKITEM, first.key))

    def wake_what_moves(self) -> None:
        """Whatever moves in every lane, for a wake that was lost. Never all that merely wait."""
        for repository in self._cache.repositories:
            self._wake_moving(repository.key)

    def _wake_moving(self, lane: Key) -> None:
        """Items under way, those whose deploy is being watched, and who is next."""
        for record in (*self._cache.under_way(lane), *self._cache.watched(lane)):
            self._wake((Kind.WORKITEM, record.key))
        self.wake_head(lane)


def _word(record: JobRecord | None) -> object:
    """What of a Job its item acts upon."""
    return None if record is None else (record.uid, record.item_uid, record.deleted, record.told)


def _dependencies(record: ItemRecord | None) -> tuple[str, ...]:
    return record.dependencies if record is not None else ()


def _gives_a_slot_up(old: ItemRecord | None, new: ItemRecord | None) -> bool:
    """Its run is over, or it no longer waits for its turn."""
    ended = old is not None and bool(old.role) and (new is None or not new.role)
    slot = WaitingReason.RUN_SLOT
    return ended or (old is not None and old.waiting == slot and (new is None or new.waiting != slot))


def _lane_state(record: ItemRecord | None) -> tuple[object, ...]:
    """What of an item its lane depends on."""
    if record is None:
        return ()
    place = (record.under_way, record.waits, record.stalled, record.watched_until)
    return (*place, record.priority, record.suspended, record.dependencies)


def _end(record: ItemRecord | None) -> object:
    """What of an item its dependents depend on."""
    return None if record is None else (record.stage if record.terminal else "open")
