"""Run slots, counted from the records and from claims that are being written."""

from __future__ import annotations

from conveyor.cluster.protocol import Key
from conveyor.engine.cache import Cache, repository_key
from conveyor.engine.records import ItemRecord


class Slots:
    """Between `take` and `put_back` a slot is counted for an item whose claim is on its way to the store."""

    def __init__(self, cache: Cache, *, limit: int) -> None:
        self._cache, self._limit = cache, limit
        self._limits: dict[Key, int] = {}
        self._taken: dict[Key, Key] = {}

    def set_limit(self, repository: Key, limit: int | None) -> None:
        """A Repository's own `maxConcurrentRuns`; None: only the limit over all counts."""
        if limit is None:
            self._limits.pop(repository, None)
        else:
            self._limits[repository] = limit

    def free(self, record: ItemRecord) -> bool:
        lane = repository_key(record)
        pending = [owner for key, owner in self._taken.items() if key != record.key]
        if self._cache.runs_at_work() + len(pending) >= self._limit:
            return False
        own = self._limits.get(lane)
        return own is None or self._cache.runs_at_work(lane) + pending.count(lane) < own

    def take(self, record: ItemRecord) -> bool:
        """Whether a slot is this item's now. No other pass runs between the question and the answer."""
        if not self.free(record):
            return False
        self._taken[record.key] = repository_key(record)
        return True

    def put_back(self, key: Key) -> None:
        """The claim is in the records, or was not made."""
        self._taken.pop(key, None)
