"""Run slots, counted from the records and from claims that are being written."""

from __future__ import annotations

from conveyor.cluster.protocol import Key
from conveyor.engine.cache import Cache, repository_key
from conveyor.engine.records import ItemRecord


class Slots:
    """Between `take` and `put_back` a slot is counted for an item whose claim is on its way to the store."""

    def __init__(self, cache: Cache, *, limit: int) -> None:
        self._cache, self._limit = cache, limit
        self._taken: dict[Key, Key] = {}

    def free(self, record: ItemRecord) -> bool:
        """Whether a run of this item could start now, as its Repository's limit and the one over all have it."""
        lane = repository_key(record)
        pending = [owner for key, owner in self._taken.items() if key != record.key and not self._is_recorded(key)]
        if self._cache.runs_at_work() + len(pending) >= self._limit:
            return False
        repository = self._cache.repositories.get(lane)
        own = repository.max_runs if repository is not None else None
        return own is None or self._cache.runs_at_work(lane) + pending.count(lane) < own

    def take(self, record: ItemRecord) -> bool:
        """Whether a slot is this item's now. No other pass runs between the question and the answer."""
        if not self.free(record):
            return False
        self._taken[record.key] = repository_key(record)
        return True

    def put_back(self, key: Key) -> bool:
        """The claim is in the records, or was not made. Whether there was one."""
        return self._taken.pop(key, None) is not None

    def next(self) -> ItemRecord | None:
        """Who of those that wait for a slot goes next: in the least busy repository, by priority, then age."""
        waiting = [record for record in self._cache.waiting_for_slot() if self.free(record)]
        return min(waiting, key=self._turn, default=None)

    def _turn(self, record: ItemRecord) -> tuple[object, ...]:
        return (self._cache.runs_at_work(repository_key(record)), -record.priority, record.created, record.uid)

    def _is_recorded(self, key: Key) -> bool:
        record = self._cache.items.get(key)
        return record is not None and bool(record.role)
