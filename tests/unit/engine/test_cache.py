"""The cache: newest version only, nothing comes back from the dead, and every index is what a walk over all would find.

| index | compared with |
|---|---|
| under way, waiting, of a repository | a filter over all items |
| dependents, of a ticket, waiting for a slot, runs at work | a filter over all items |
| head of a lane | the pipeline's own `head` over the lane's waiters |
"""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from conveyor.api.workitem import WaitingReason
from conveyor.cluster.protocol import Key
from conveyor.engine.cache import Cache, repository_key
from conveyor.engine.records import ItemRecord
from conveyor.pipeline.lane import Waiter, head
from tests.unit.engine.objects import item, job, repository, run

NAMES, LANES = ("a", "b", "c", "d"), ("shop", "cart")
STAGES = (None, "created", "analysis", "review", "done", "cancelled", "from-the-future")
EXTRAS: tuple[dict[str, Any], ...] = ({}, run(), {"waiting": {"reason": "RunSlot"}}, {"waiting": {"reason": "Person"}})


class Indexes(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.cache = Cache()
        self.version = 0

    @rule(
        name=st.sampled_from(NAMES),
        lane=st.sampled_from(LANES),
        stage=st.sampled_from(STAGES),
        extra=st.sampled_from(EXTRAS),
        depends=st.sets(st.sampled_from(NAMES), max_size=2),
        priority=st.integers(0, 2),
        suspend=st.booleans(),
        born=st.integers(0, 1),
        late=st.booleans(),
    )
    def put(self, name: str, *, lane: str, late: bool, born: int, **rest: Any) -> None:
        """An object's repository never changes, so another one is another object."""
        self.version += 1
        spec = {key: rest[key] for key in ("priority", "suspend")}
        spec["dependsOn"] = [{"name": needed} for needed in sorted(rest["depends"])]
        spec["source"] = {"key": f"ET-{name}", "issueID": f"issue-{name}"} if born else {}
        version = max(1, self.version - 3) if late else self.version
        uid = f"{name}-{lane}-{born}"
        self.cache.put_item(
            item(name, rest["stage"], repository=lane, spec=spec, uid=uid, version=version, **rest["extra"])
        )

    @rule(name=st.sampled_from(NAMES), wrong=st.booleans())
    def drop(self, name: str, wrong: bool) -> None:
        record = self.cache.items.get(Key("team", name))
        if record is not None:
            self.version += 1
            uid = "another" if wrong else record.uid
            self.cache.drop_item(record.key, uid=uid, version=self.version)

    @rule(lane=st.sampled_from(LANES))
    def ask_for_the_head(self, lane: str) -> None:
        """So that what is remembered of it has to be kept right."""
        self.cache.head_of(Key("team", lane))

    @invariant()
    def indexes_are_what_a_walk_finds(self) -> None:
        everything = list(self.cache.items)
        for name in LANES:
            lane = Key("team", name)
            mine = [record for record in everything if repository_key(record) == lane]
            assert keys(self.cache.of_repository(lane)) == keys(mine)
            assert keys(self.cache.under_way(lane)) == keys([record for record in mine if record.under_way])
            assert keys(self.cache.waiting(lane)) == keys([record for record in mine if record.waits])
            assert self.cache.runs_at_work(lane) == sum(bool(record.role) for record in mine)
        for name in NAMES:
            needing = [record for record in everything if name in record.dependencies]
            assert keys(self.cache.dependents(Key("team", name))) == keys(needing)
            about = [record for record in everything if record.issue_id == f"issue-{name}"]
            assert keys(self.cache.of_issue("team", f"issue-{name}")) == keys(about)
        slot = [record for record in everything if record.waiting == WaitingReason.RUN_SLOT]
        assert keys(self.cache.waiting_for_slot()) == keys(slot)
        assert self.cache.runs_at_work() == sum(bool(record.role) for record in everything)

    @invariant()
    def head_is_the_first_that_may_start(self) -> None:
        for name in LANES:
            waiters = [record.waiter() for record in self.cache.items if record.waits and record.repository == name]
            expected = head(waiters, startable=lambda waiter: self.startable(waiter.dependencies, waiter.suspended))
            assert self.cache.head_of(Key("team", name)) == expected

    def startable(self, dependencies: tuple[str, ...], suspended: bool) -> bool:
        stages = [self.cache.items.get(Key("team", needed)) for needed in dependencies]
        return not suspended and all(record is not None and record.stage == "done" for record in stages)


def keys(records: list[ItemRecord]) -> list[Key]:
    return sorted(record.key for record in records)


TestIndexes = Indexes.TestCase
TestIndexes.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


@pytest.mark.parametrize(("stage", "expected"), [("review", None), ("cancelled", None), ("done", "b")])
def test_head_follows_what_its_dependency_becomes(stage: str, expected: str | None) -> None:
    cache, lane = Cache(), Key("team", "shop")
    cache.put_item(item("a", "analysis", repository="cart"))
    cache.put_item(item("b", spec={"dependsOn": [{"name": "a"}]}))
    assert cache.head_of(lane) is None
    cache.put_item(item("a", stage, repository="cart"))
    found = cache.head_of(lane)
    assert (found.name if found is not None else None) == expected


def test_older_version_changes_nothing() -> None:
    cache = Cache()
    cache.put_item(item("a", "review", version=7))
    assert not cache.put_item(item("a", "analysis", version=6)).is_news
    assert not cache.put_item(item("a", "analysis", version=7)).is_news


def test_late_event_does_not_bring_back_what_is_gone() -> None:
    cache = Cache()
    cache.put_item(item("a", version=5))
    cache.drop_item(Key("team", "a"), uid="uid-a", version=9)
    for _ in range(2):
        cache.put_item(item("a", version=8))
        assert cache.items.get(Key("team", "a")) is None
        cache.items.forget_the_gone()


def test_what_is_gone_is_not_remembered_for_ever() -> None:
    cache = Cache()
    for number in range(100):
        cache.put_item(item(f"a{number}", version=number + 1))
        cache.drop_item(Key("team", f"a{number}"), uid=f"uid-a{number}", version=number + 1)
    cache.items.forget_the_gone()
    cache.items.forget_the_gone()
    assert not cache.items._gone
    assert not cache.items._gone_before


def test_namesake_made_later_is_another_item() -> None:
    cache = Cache()
    cache.put_item(item("a", "done", uid="first", version=5))
    change = cache.put_item(item("a", uid="second", version=9))
    assert change.new is not None
    cache.drop_item(Key("team", "a"), uid="first", version=10)
    assert cache.items.get(Key("team", "a")) == change.new


def test_empty_lanes_leave_nothing_behind() -> None:
    cache = Cache()
    for number in range(50):
        name = f"a{number}"
        cache.put_item(item(name, "review", repository=name, spec={"dependsOn": [{"name": "x"}]}, **run()))
        record = cache.items.get(Key("team", name))
        assert record is not None
        cache.drop_item(record.key, uid=record.uid, version=record.version + 1)
    assert [cache._runs, cache._under_way, cache._of_repository, cache._dependents] == [{}, {}, {}, {}]


def test_job_that_is_tidy_is_forgotten() -> None:
    cache = Cache()
    cache.put_job(job("j", "a"))
    assert [record.key.name for record in cache.jobs_of(Key("team", "a"))] == ["j"]
    change = cache.put_job(job("j", "a", ended=True, ttl=True))
    assert change.new is not None
    assert cache.jobs_of(Key("team", "a")) == []
    assert len(cache.jobs) == 0


def test_no_dependency_counts_where_the_switch_is_off() -> None:
    cache = Cache(dependencies_from=frozenset())
    cache.put_item(item("a", spec={"dependsOn": [{"name": "missing"}]}))
    head_of_lane = cache.head_of(Key("team", "shop"))
    assert head_of_lane is not None
    assert head_of_lane.name == "a"


def test_cycle_is_found_across_repositories() -> None:
    cache = Cache()
    cache.put_item(item("a", spec={"dependsOn": [{"name": "b"}]}))
    cache.put_item(item("b", repository="cart", spec={"dependsOn": [{"name": "a"}]}))
    record = cache.items.get(Key("team", "a"))
    assert record is not None
    assert cache.cycle_through(record) == ("a", "b")


@pytest.mark.parametrize("count", [4000])
def test_lane_of_thousands_is_filled_without_looking_at_all_each_time(count: int) -> None:
    cache, asked = Cache(), 0
    whole = cache._startable

    def counted(namespace: str, waiter: Waiter) -> bool:
        nonlocal asked
        asked += 1
        return whole(namespace, waiter)

    cache._startable = counted  # type: ignore[method-assign]
    cache.put_repository(repository())
    for number in range(count):
        cache.put_item(item(f"a{number}"))
        cache.head_of(Key("team", "shop"))
    assert asked <= 2 * count
