"""What the watches and our own writes have told us, newest version only, with the indexes that passes ask.

One object is looked up by key, a lane by repository, an item by ticket: nothing here walks over all items but what
`/queue` and the resync ask for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from conveyor.api.workitem import WaitingReason
from conveyor.cluster.protocol import JSONObject, Key
from conveyor.engine.records import ItemRecord, JobRecord, RepositoryRecord, item_record, job_record, repository_record
from conveyor.pipeline.lane import DependencyFact, DependencyState, Waiter, dependency_state, find_cycle, head


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

    def get(self, key: Key) -> R | None:
        return self._records.get(key)

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[R]:
        return iter(self._records.values())

    def put(self, record: R) -> Change[R]:
        old = self._records.get(record.key)
        if old is not None and record.version <= old.version:
            return Change(None, None)
        if record.version <= self._gone.get(record.uid, -1):
            return Change(None, None)
        self._records[record.key] = record
        return Change(old, record)

    def drop(self, key: Key, *, uid: str, version: int) -> Change[R]:
        """Forget an object that is gone; a namesake with another uid stays."""
        old = self._records.get(key)
        self._gone[uid] = max(version, self._gone.get(uid, -1))
        if old is None or old.uid != uid:
            return Change(None, None)
        del self._records[key]
        return Change(old, None)

    def forget_the_gone(self) -> None:
        """After a full listing no event from before can come any more."""
        self._gone.clear()


class Cache:
    """All three kinds, and the indexes over items."""

    def __init__(self, *, dependencies: bool = True) -> None:
        """`dependencies`: whether an item that waits for others is passed over in its lane."""
        self._dependencies_count = dependencies
        self.items: Table[ItemRecord] = Table()
        self.repositories: Table[RepositoryRecord] = Table()
        self.jobs: Table[JobRecord] = Table()
        self._under_way: dict[Key, set[Key]] = defaultdict(set)
        self._waiting: dict[Key, set[Key]] = defaultdict(set)
        self._of_repository: dict[Key, set[Key]] = defaultdict(set)
        self._dependents: dict[Key, set[Key]] = defaultdict(set)
        self._by_issue: dict[tuple[str, str], set[Key]] = defaultdict(set)
        self._jobs_of: dict[Key, set[Key]] = defaultdict(set)
        self._heads: dict[Key, Waiter | None] = {}
        self._runs: dict[Key, int] = defaultdict(int)
        self._for_slot: set[Key] = set()

    # --- writing

    def put_item(self, obj: JSONObject) -> Change[ItemRecord]:
        change = self.items.put(item_record(obj))
        self._index(change)
        return change

    def drop_item(self, key: Key, *, uid: str, version: int) -> Change[ItemRecord]:
        change = self.items.drop(key, uid=uid, version=version)
        self._index(change)
        return change

    def put_repository(self, obj: JSONObject) -> Change[RepositoryRecord]:
        return self.repositories.put(repository_record(obj))

    def drop_repository(self, key: Key, *, uid: str, version: int) -> Change[RepositoryRecord]:
        return self.repositories.drop(key, uid=uid, version=version)

    def put_job(self, obj: JSONObject) -> Change[JobRecord]:
        change = self.jobs.put(job_record(obj))
        if change.new is not None:
            self._jobs_of[change.new.item].add(change.new.key)
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

    def _file(self, record: ItemRecord) -> None:
        lane = repository_key(record)
        self._of_repository[lane].add(record.key)
        if record.under_way:
            self._under_way[lane].add(record.key)
        if record.waits:
            self._waiting[lane].add(record.key)
        if record.role:
            self._runs[lane] += 1
        if record.waiting == WaitingReason.RUN_SLOT:
            self._for_slot.add(record.key)
        if record.issue_id:
            self._by_issue[record.key.namespace, record.issue_id].add(record.key)
        for name in record.dependencies:
            self._dependents[Key(record.key.namespace, name)].add(record.key)
        self._disturb(record)

    def _unfile(self, record: ItemRecord) -> None:
        lane = repository_key(record)
        for index in (self._of_repository, self._under_way, self._waiting):
            _discard(index, lane, record.key)
        if record.role:
            self._runs[lane] -= 1
        self._for_slot.discard(record.key)
        if record.issue_id:
            _discard(self._by_issue, (record.key.namespace, record.issue_id), record.key)
        for name in record.dependencies:
            _discard(self._dependents, Key(record.key.namespace, name), record.key)
        self._disturb(record)

    def _disturb(self, record: ItemRecord) -> None:
        """Its own lane's head may be another now, and that of the lanes where somebody waits for it."""
        self._heads.pop(repository_key(record), None)
        for dependent in self.dependents(record.key):
            self._heads.pop(repository_key(dependent), None)

    # --- reading

    def under_way(self, lane: Key) -> list[ItemRecord]:
        return self._records(self._under_way.get(lane, ()))

    def waiting(self, lane: Key) -> list[ItemRecord]:
        return self._records(self._waiting.get(lane, ()))

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
        names = waiter.dependencies if self._dependencies_count else ()
        needed = (self.dependency(namespace, name).state for name in names)
        return not waiter.suspended and all(state == DependencyState.DONE for state in needed)

    def _records(self, keys: Iterable[Key]) -> list[ItemRecord]:
        found = (self.items.get(key) for key in keys)
        return [record for record in found if record is not None]


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
