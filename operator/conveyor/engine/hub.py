"""Where everything we learn passes through: into the cache, and out as the keys that must be looked at.

A change wakes its own item, and of the others only those whose next step it may allow: the head of a lane that got
free, who depends on an item that ended, who waits for a run slot that got free. It never wakes all that merely wait.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from conveyor.api.annotations import HintClass
from conveyor.cluster.protocol import JSONObject, Key, Kind
from conveyor.engine.cache import Cache, Change, repository_key
from conveyor.engine.records import ItemRecord, RepositoryRecord, key_of, version_of
from conveyor.engine.telemetry import Telemetry

Work = tuple[Kind, Key]
"""A key of the work queue."""


class Hub:
    def __init__(self, cache: Cache, wake: Callable[[Work], None], telemetry: Telemetry) -> None:
        self._cache, self._wake, self._telemetry = cache, wake, telemetry
        self._tickets_to_read: set[Key] = set()
        self._on_item: list[Callable[[Change[ItemRecord]], None]] = []

    def also_tell(self, listener: Callable[[Change[ItemRecord]], None]) -> None:
        """Of every change of an item."""
        self._on_item.append(listener)

    # --- from the watches

    def item_seen(self, obj: JSONObject) -> None:
        change = self._cache.put_item(obj)
        if change.new is not None:
            self._wake((Kind.WORKITEM, change.new.key))
        self._item_changed(change)

    def item_gone(self, obj: JSONObject) -> None:
        change = self._cache.drop_item(key_of(obj), uid=obj["metadata"]["uid"], version=version_of(obj))
        self._item_changed(change)

    def repository_seen(self, obj: JSONObject) -> None:
        self.repository_changed(self._cache.put_repository(obj))

    def repository_gone(self, obj: JSONObject) -> None:
        key = key_of(obj)
        change = self._cache.drop_repository(key, uid=obj["metadata"]["uid"], version=version_of(obj))
        if change.old is not None:
            self._wake((Kind.REPOSITORY, key))
            for record in self._cache.of_repository(key):
                self._wake((Kind.WORKITEM, record.key))

    def job_seen(self, obj: JSONObject) -> None:
        change = self._cache.put_job(obj)
        if change.new is not None and change.new.item.name:
            self._wake((Kind.WORKITEM, change.new.item))

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
        self._tickets_to_read.add(item)
        self._wake((Kind.WORKITEM, item))

    def take_ticket_flag(self, item: Key) -> bool:
        """Whether the item's ticket is to be read in this pass; asking clears it."""
        if item in self._tickets_to_read:
            self._tickets_to_read.discard(item)
            return True
        return False

    def put_back_ticket_flag(self, item: Key) -> None:
        """The ticket could not be read after all."""
        self._tickets_to_read.add(item)

    # --- who else is concerned

    def _item_changed(self, change: Change[ItemRecord]) -> None:
        if not change.is_news:
            return
        for listener in self._on_item:
            listener(change)
        self._read_hints(change)
        old, new = change.old, change.new
        if _lane_state(old) != _lane_state(new):
            for record in (old, new):
                if record is not None:
                    self.wake_head(repository_key(record))
        concerned = new if new is not None else old
        if concerned is not None and _end(old) != _end(new):
            for dependent in self._cache.dependents(concerned.key):
                self._wake((Kind.WORKITEM, dependent.key))
        if old is not None and old.role and (new is None or not new.role):
            self._wake_for_slot()

    def repository_changed(self, change: Change[RepositoryRecord], *, own: bool = False) -> None:
        if change.new is None:
            return
        if not own:
            self._wake((Kind.REPOSITORY, change.new.key))
        for record in self._cache.under_way(change.new.key):
            self._wake((Kind.WORKITEM, record.key))
        self.wake_head(change.new.key)
        if change.old is not None and change.old.hints != change.new.hints:
            self._telemetry.fact_learned("Gitea", "webhook")

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
            self._tickets_to_read.add(change.new.key)
            self._telemetry.fact_learned("Plane", "webhook")
        if new - {HintClass.TICKET}:
            self._telemetry.fact_learned("Gitea", "webhook")

    def _wake_for_slot(self) -> None:
        """A run ended: the one that waits for a slot in the least busy repository goes next, by priority, then age."""
        waiting = self._cache.waiting_for_slot()
        if waiting:
            busy: dict[Key, int] = defaultdict(int)
            for record in waiting:
                busy[repository_key(record)] = self._cache.runs_at_work(repository_key(record))
            first = min(waiting, key=lambda it: (busy[repository_key(it)], -it.priority, it.created, it.uid))
            self._wake((Kind.WORKITEM, first.key))


def _lane_state(record: ItemRecord | None) -> tuple[object, ...]:
    """What of an item its lane depends on."""
    if record is None:
        return ()
    return (record.under_way, record.waits, record.stalled, record.priority, record.suspended, record.dependencies)


def _end(record: ItemRecord | None) -> object:
    """What of an item its dependents depend on."""
    return None if record is None else (record.stage if record.terminal else "open")
