"""What the watches and our own writes have told us, newest version only, with the indexes that passes ask.

One object is looked up by key, a lane by repository, an item by ticket: nothing here walks over all items but what
`/queue` and the resync ask for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, Generic, Protocol, TypeVar

from conveyor.api.workitem import WaitingReason
from conveyor.cluster.protocol import JSONObject, Key
from conveyor.engine.records import (
    ALL_SOURCES,
    ItemRecord,
    JobRecord,
    RepositoryRecord,
    item_record,
    job_record,
    key_of,
    repository_record,
    version_of,
)
from conveyor.pipeline.lane import DependencyFact, DependencyState, Waiter, dependency_state, find_cycle, head, order


class _Record(Protocol):
    @property
    def key(self) -> Key: ...
    @property
    def uid(self) -> str: ...
    @property
    def version(self) -> int: ...


R = TypeVar("R", bound=_Record)


@dataclass(frozen=True, slots=True)
class Change(Generic[R]):
    """What a put or drop did: both None means that it was old news."""

    old: R | None
    new: R | None

    @property
    def is_news(self) -> bool:
        return self.old is not None or self.new is not None


class Table(Generic[R]):
    """Records by key; only a newer version replaces one, and what was dropped does not come back by a late event."""

    def __init__(self) -> None:
        self._records: dict[Key, R] = {}
        self._gone: dict[str, int] = {}
        self._gone_before: dict[str, int] = {}

    def get(self, key: Key) -> R | None:
        return self._records.get(key)

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[R]:
        return iter(self._records.values())

    def is_news(self, key: Key, *, uid: str, version: int) -> bool:
        """Whether a put of this version would change anything: of our own writes the watch tells once more."""
        old = self._records.get(key)
        return (old is None or version > old.version) and version > self._gone_at(uid)

    def put(self, record: R) -> Change[R]:
        if not self.is_news(record.key, uid=record.uid, version=record.version):
            return Change(None, None)
        old = self._records.get(record.key)
        self._records[record.key] = record
        return Change(old, record)

    def drop(self, key: Key, *, uid: str, version: int) -> Change[R]:
        """Forget an object that is gone; a namesake with another uid stays."""
        old = self._records.get(key)
        self._gone[uid] = max(version, self._gone_at(uid))
        if old is None or old.uid != uid:
            return Change(None, None)
        del self._records[key]
        return Change(old, None)

    def forget_the_gone(self) -> None:
        """To be called once in a while: what went before the last call is so old that no event of it can come."""
        self._gone_before, self._gone = self._gone, {}

    def _gone_at(self, uid: str) -> int:
        return max(self._gone.get(uid, -1), self._gone_before.get(uid, -1))


class Cache:
    """All three kinds, and the indexes over items."""

    def __init__(self, *, dependencies_from: frozenset[str] = ALL_SOURCES) -> None:
        """`dependencies_from`: whose dependencies count, `Spec` and `Tracker`; nothing: an item waits for no other."""
        self._dependencies_from = dependencies_from
        self.items: Table[ItemRecord] = Table()
        self.repositories: Table[RepositoryRecord] = Table()
        self.jobs: Table[JobRecord] = Table()
        self._under_way: dict[Key, set[Key]] = defaultdict(set)
        self._waiting: dict[Key, set[Key]] = defaultdict(set)
        self._watched: dict[Key, set[Key]] = defaultdict(set)
        self._of_repository: dict[Key, set[Key]] = defaultdict(set)
        self._dependents: dict[Key, set[Key]] = defaultdict(set)
        self._by_issue: dict[tuple[str, str], set[Key]] = defaultdict(set)
        self._at: dict[str, set[Key]] = defaultdict(set)
        """Repositories by forge repository and by project."""
        self._jobs_of: dict[Key, set[Key]] = defaultdict(set)
        self._heads: dict[Key, Waiter | None] = {}
        self._runs: dict[Key, int] = defaultdict(int)
        self._for_slot: set[Key] = set()
        self._changed: dict[Key, int] = {}
        self._changes = count(1)

    # --- writing

    def put_item(self, obj: JSONObject) -> Change[ItemRecord]:
        if not _is_news(self.items, obj):
            return Change(None, None)
        change = self.items.put(item_record(obj, dependencies_from=self._dependencies_from))
        self._index(change)
        return change

    def drop_item(self, key: Key, *, uid: str, version: int) -> Change[ItemRecord]:
        change = self.items.drop(key, uid=uid, version=version)
        self._index(change)
        return change

    def put_repository(self, obj: JSONObject) -> Change[RepositoryRecord]:
        if not _is_news(self.repositories, obj):
            return Change(None, None)
        change = self.repositories.put(repository_record(obj))
        self._file_repository(change)
        self._note_change(key_of(obj))
        return change

    def drop_repository(self, key: Key, *, uid: str, version: int) -> Change[RepositoryRecord]:
        change = self.repositories.drop(key, uid=uid, version=version)
        self._file_repository(change)
        self._note_change(key)
        return change

    def put_job(self, obj: JSONObject) -> Change[JobRecord]:
        """One that nothing is left to be done about is not kept: its end may never be told."""
        change = self.jobs.put(job_record(obj))
        if change.new is not None:
            self._jobs_of[change.new.item].add(change.new.key)
            if change.new.tidy:
                self.drop_job(change.new.key, uid=change.new.uid, version=change.new.version)
        return change

    def drop_job(self, key: Key, *, uid: str, version: int) -> Change[JobRecord]:
        change = self.jobs.drop(key, uid=uid, version=version)
        if change.old is not None:
            _discard(self._jobs_of, change.old.item, key)
        return change

    def _index(self, change: Change[ItemRecord]) -> None:
        if change.old is not None:
            self._unfile(change.old)
        if change.new is not None:
            self._file(change.new)
        for record in (change.old, change.new):
            if record is not None:
                self._note_change(repository_key(record))
        concerned = change.new or change.old
        if concerned is not None and _stage(change.old) != _stage(change.new):
            for dependent in self.dependents(concerned.key):
                self._heads.pop(repository_key(dependent), None)
                self._note_change(repository_key(dependent))

    def _note_change(self, lane: Key) -> None:
        """A lane that is no more leaves nothing behind: numbers are given once, so none comes back."""
        if lane in self._of_repository or self.repositories.get(lane) is not None:
            self._changed[lane] = next(self._changes)
        else:
            self._changed.pop(lane, None)

    def _file_repository(self, change: Change[RepositoryRecord]) -> None:
        if change.old is not None:
            for place in change.old.places:
                _discard(self._at, place, change.old.key)
        if change.new is not None:
            for place in change.new.places:
                self._at[place].add(change.new.key)

    def _file(self, record: ItemRecord) -> None:
        lane = repository_key(record)
        self._of_repository[lane].add(record.key)
        if record.under_way:
            self._under_way[lane].add(record.key)
        if record.watched_until is not None:
            self._watched[lane].add(record.key)
        if record.waits:
            self._waiting[lane].add(record.key)
            self._let_in(lane, record.waiter())
        if record.role:
            self._runs[lane] += 1
        if record.waiting == WaitingReason.RUN_SLOT:
            self._for_slot.add(record.key)
        if record.issue_id:
            self._by_issue[record.key.namespace, record.issue_id].add(record.key)
        for name in record.dependencies:
            self._dependents[Key(record.key.namespace, name)].add(record.key)

    def _unfile(self, record: ItemRecord) -> None:
        lane = repository_key(record)
        for index in (self._of_repository, self._under_way, self._watched, self._waiting):
            _discard(index, lane, record.key)
        first = self._heads.get(lane)
        if first is not None and first.uid == record.uid:
            del self._heads[lane]
        if record.role:
            self._count_run_out(lane)
        self._for_slot.discard(record.key)
        if record.issue_id:
            _discard(self._by_issue, (record.key.namespace, record.issue_id), record.key)
        for name in record.dependencies:
            _discard(self._dependents, Key(record.key.namespace, name), record.key)

    def _let_in(self, lane: Key, waiter: Waiter) -> None:
        """A known head is compared with who comes, not looked for anew: a lane may hold thousands."""
        if lane in self._heads and self._startable(lane.namespace, waiter):
            first = self._heads[lane]
            if first is None or order(waiter) < order(first):
                self._heads[lane] = waiter

    def _count_run_out(self, lane: Key) -> None:
        self._runs[lane] -= 1
        if not self._runs[lane]:
            del self._runs[lane]

    # --- reading

    def lanes(self) -> set[Key]:
        """Those with a Repository or an item."""
        return set(self._changed)

    def version_of_lane(self, lane: Key) -> int:
        """Another number after each change of its Repository, of an item of it or of what one depends on."""
        return self._changed.get(lane, 0)

    def under_way(self, lane: Key) -> list[ItemRecord]:
        return self._records(self._under_way.get(lane, ()))

    def waiting(self, lane: Key) -> list[ItemRecord]:
        return self._records(self._waiting.get(lane, ()))

    def watched(self, lane: Key) -> list[ItemRecord]:
        """What is done and whose deploy is being watched."""
        return self._records(self._watched.get(lane, ()))

    def twins(self, record: RepositoryRecord) -> list[RepositoryRecord]:
        """The other Repositories for the same forge repository or the same project."""
        keys = set[Key]().union(*(self._at.get(place, ()) for place in record.places)) - {record.key}
        return [found for found in (self.repositories.get(key) for key in keys) if found is not None]

    def of_repository(self, lane: Key) -> list[ItemRecord]:
        return self._records(self._of_repository.get(lane, ()))

    def dependents(self, key: Key) -> list[ItemRecord]:
        return self._records(self._dependents.get(key, ()))

    def of_issue(self, namespace: str, issue_id: str) -> list[ItemRecord]:
        return self._records(self._by_issue.get((namespace, issue_id), ()))

    def jobs_of(self, item: Key) -> list[JobRecord]:
        found = (self.jobs.get(key) for key in self._jobs_of.get(item, ()))
        return [record for record in found if record is not None]

    def runs_at_work(self, lane: Key | None = None) -> int:
        return self._runs.get(lane, 0) if lane is not None else sum(self._runs.values())

    def waiting_for_slot(self) -> list[ItemRecord]:
        return self._records(self._for_slot)

    def head_of(self, lane: Key) -> Waiter | None:
        """The next to start in a lane, remembered until something in it changes."""
        if lane not in self._heads:
            waiters = (record.waiter() for record in self.waiting(lane))
            self._heads[lane] = head(waiters, startable=lambda waiter: self._startable(lane.namespace, waiter))
        return self._heads[lane]

    def dependency(self, namespace: str, name: str) -> DependencyFact:
        record = self.items.get(Key(namespace, name))
        state = dependency_state(record.stage if record is not None else None, present=record is not None)
        return DependencyFact(name=name, state=state)

    def cycle_through(self, record: ItemRecord) -> tuple[str, ...]:
        """A cycle of dependencies through this item, walking only what it depends on."""

        def dependencies(name: str) -> tuple[str, ...]:
            needed = self.items.get(Key(record.key.namespace, name))
            return needed.dependencies if needed is not None and not needed.terminal else ()

        return find_cycle(record.key.name, dependencies)

    def _startable(self, namespace: str, waiter: Waiter) -> bool:
        needed = (self.dependency(namespace, name).state for name in waiter.dependencies)
        return not waiter.suspended and all(state == DependencyState.DONE for state in needed)

    def _records(self, keys: Iterable[Key]) -> list[ItemRecord]:
        found = (self.items.get(key) for key in keys)
        return [record for record in found if record is not None]


def _is_news(table: Table[Any], obj: JSONObject) -> bool:
    """Asked before the object is read: making a record costs more than all else that a put does."""
    return table.is_news(key_of(obj), uid=obj["metadata"]["uid"], version=version_of(obj))


def _stage(record: ItemRecord | None) -> object:
    """What of an item its dependents wait for."""
    return (record.stage,) if record is not None else None


def repository_key(record: ItemRecord) -> Key:
    return Key(record.key.namespace, record.repository)


K = TypeVar("K")


def _discard(index: dict[K, set[Key]], key: K, member: Key) -> None:
    """Without leaving an empty set behind: names come and go for months."""
    members = index.get(key)
    if members is None:
        return
    members.discard(member)
    if not members:
        del index[key]
