"""Run slots: never more runs than the limits, counted from records and claims on their way, and fair turns."""

from typing import Any

import pytest

from conveyor.cluster.protocol import Key
from conveyor.engine.cache import Cache
from conveyor.engine.records import ItemRecord
from conveyor.engine.slots import Slots
from tests.unit.engine.objects import item, repository, run

WAITS: dict[str, Any] = {"waiting": {"reason": "RunSlot"}}


def put(cache: Cache, name: str, *, of: str = "shop", **status: object) -> ItemRecord:
    record = cache.put_item(item(name, "review", repository=of, **status)).new
    assert record is not None
    return record


@pytest.mark.parametrize(("own", "free"), [(None, True), (2, True), (1, False), (0, False)])
def test_repositorys_own_limit_counts_beside_the_one_over_all(own: int | None, free: bool) -> None:
    cache = Cache()
    cache.put_repository(repository(spec={"maxConcurrentRuns": own} if own is not None else {}))
    put(cache, "a", **run())
    assert Slots(cache, limit=5).free(put(cache, "b")) == free


def test_limit_that_is_changed_counts_at_once() -> None:
    cache = Cache()
    slots = Slots(cache, limit=5)
    put(cache, "a", **run())
    waiting = put(cache, "b")
    for limit, free in ((1, False), (2, True)):
        cache.put_repository(repository(spec={"maxConcurrentRuns": limit}))
        assert slots.free(waiting) == free


def test_slot_taken_is_nobody_elses_until_it_is_put_back() -> None:
    cache = Cache()
    slots = Slots(cache, limit=1)
    first, second = put(cache, "a"), put(cache, "b")
    assert slots.take(first)
    assert slots.take(first)
    assert not slots.take(second)
    assert slots.put_back(first.key)
    assert not slots.put_back(first.key)
    assert slots.take(second)


def test_claim_on_record_is_not_counted_twice() -> None:
    cache = Cache()
    slots = Slots(cache, limit=2)
    first, second = put(cache, "a"), put(cache, "b")
    assert slots.take(first)
    put(cache, "a", **run())
    assert slots.free(second)


def test_next_is_of_the_least_busy_repository_then_by_priority_then_by_age() -> None:
    cache = Cache()
    slots = Slots(cache, limit=9)
    assert slots.next() is None
    put(cache, "busy", of="busy", **run())
    put(cache, "b1", of="busy", **WAITS)
    put(cache, "a1", **WAITS)
    put(cache, "a2", **WAITS)
    cache.put_item(item("a3", "review", spec={"priority": 3}, **WAITS))
    turns = []
    while (record := slots.next()) is not None:
        turns.append(record.key.name)
        put(cache, record.key.name, of=record.repository)
    assert turns == ["a3", "a1", "a2", "b1"]


def test_nobody_is_next_where_no_slot_is_free() -> None:
    cache = Cache()
    put(cache, "a", **run())
    put(cache, "b", **WAITS)
    assert Slots(cache, limit=1).next() is None
    assert cache.runs_at_work(Key("team", "shop")) == 1
