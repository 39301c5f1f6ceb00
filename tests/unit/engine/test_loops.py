"""What goes on for ever goes on whatever happens, and ends by cancellation alone: resync, Leases, poll, heartbeat."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest

from conveyor.app.heartbeat import Heartbeat
from conveyor.cluster.leases import LeaseRecord
from conveyor.cluster.protocol import Key, Kind
from conveyor.engine import resync as module
from conveyor.engine.events import EventRecorder
from conveyor.engine.leases import RENEW_SECONDS
from conveyor.engine.renewing import keep_leases
from conveyor.engine.resync import Resync
from conveyor.web.errors import Unavailable
from tests.fakes.memory_cluster import Fault, MemoryCluster
from tests.fakes.memory_store import JOBS
from tests.unit.engine.objects import item
from tests.unit.engine.process import Process
from tests.unit.engine.rig import NAMESPACE, SHOP, TRACKER, Rig


class EnoughError(Exception):
    pass


def turns(count: int) -> tuple[list[float], Callable[[float], Awaitable[None]]]:
    """A sleep that ends the loop at its `count`-th turn, and what it was asked for."""
    asked: list[float] = []

    async def sleep(seconds: float) -> None:
        asked.append(seconds)
        if len(asked) == count:
            raise EnoughError
        await asyncio.sleep(0)

    return asked, sleep


# --- resync


async def process() -> tuple[Rig, Process]:
    rig = Rig()
    rig.repository()
    rig.crew.idle = True
    await rig.run(until=5)
    assert rig.process is not None
    return rig, rig.process


@pytest.mark.parametrize("error", [Unavailable("down"), KeyError("nobody thought of it")])
async def test_resync_that_fails_is_tried_again_soon(error: Exception) -> None:
    rig, running = await process()
    failures: list[BaseException] = []
    cluster = _Failing(rig.cluster, error)
    resync = Resync(cluster, running.cache, running.hub, listed=lambda _: None, failed=failures.append)
    asked, sleep = turns(3)
    with pytest.raises(EnoughError):
        await resync.run(sleep=sleep)
    assert asked == [5.0, 300.0, 300.0]
    assert len(failures) == isinstance(error, KeyError)


class _Failing(MemoryCluster):
    """The first listing fails."""

    def __init__(self, real: MemoryCluster, error: Exception) -> None:
        super().__init__(real.clock)
        self.store, self._error = real.store, [error]

    async def pages(self, kind: Kind) -> AsyncIterator[list[dict[str, object]]]:
        if self._error:
            raise self._error.pop()
        async for page in super().pages(kind):
            yield page


async def test_resync_tells_of_each_kind_when_it_is_there_as_a_whole() -> None:
    rig, running = await process()
    listed: list[tuple[Kind, int]] = []
    cache = running.cache
    resync = Resync(
        rig.cluster,
        cache,
        running.hub,
        listed=lambda kind: listed.append((kind, len(cache.repositories))),
        failed=running.failed,
    )
    await resync.once()
    assert listed == [(Kind.REPOSITORY, 1), (Kind.WORKITEM, 1)]


async def test_objects_and_jobs_that_went_unseen_are_found_gone() -> None:
    rig, running = await process()
    cart = rig.item()
    await rig.run(until=30)
    (job,) = rig.cluster.store.keys(JOBS)
    rig.cluster.store.on_change = None
    for kind, key in ((JOBS, job), (Kind.WORKITEM, cart), (Kind.REPOSITORY, SHOP)):
        rig.cluster.store.remove(kind, key)
    await running.resync.once()
    assert [len(table) for table in (running.cache.items, running.cache.repositories, running.cache.jobs)] == [0, 0, 0]


@pytest.mark.parametrize("many", [False, True], ids=["one by one", "too many"])
async def test_what_changed_unseen_is_read_once_its_version_is_another(
    monkeypatch: pytest.MonkeyPatch, *, many: bool
) -> None:
    monkeypatch.setattr(module, "ONE_BY_ONE", 0 if many else 2)
    rig, running = await process()
    cart = rig.item()
    await running.resync.once()
    rig.cluster.store.on_change = None
    rig.item("other")
    stored = rig.cluster.store.object(Kind.WORKITEM, cart)
    await rig.cluster.patch_status(
        Kind.WORKITEM, cart, resource_version=stored["metadata"]["resourceVersion"], status={"stage": "created"}
    )
    await running.resync.once()
    assert sorted((record.key.name, record.stage) for record in running.cache.items) == [
        ("cart", "created"),
        ("other", None),
    ]


async def test_what_went_between_its_listing_and_its_reading_is_found_gone() -> None:
    rig, running = await process()
    cart = rig.item()
    await running.resync.once()
    rig.cluster.store.on_change = None
    stored = rig.cluster.store.object(Kind.WORKITEM, cart)
    await rig.cluster.patch_status(
        Kind.WORKITEM, cart, resource_version=stored["metadata"]["resourceVersion"], status={"stage": "created"}
    )
    read = rig.cluster.get

    async def gone(kind: Kind, key: Key) -> dict[str, object] | None:
        if (kind, key) in rig.cluster.store.objects:
            rig.cluster.store.remove(kind, key)
        return await read(kind, key)

    rig.cluster.get = gone  # type: ignore[method-assign]
    await running.resync.once()
    assert len(running.cache.items) == 0


async def test_object_made_while_the_listing_ran_is_not_taken_for_gone() -> None:
    rig, running = await process()
    cart = rig.item()
    await rig.run(until=1)
    stored = rig.cluster.store.objects[Kind.WORKITEM, cart]

    async def without(kind: Kind) -> AsyncIterator[list[dict[str, object]]]:
        yield []

    rig.cluster.pages = without  # type: ignore[method-assign]
    await running.resync.once()
    record = running.cache.items.get(cart)
    assert record is not None
    assert record.uid == stored["metadata"]["uid"]


async def test_job_that_vanished_unseen_wakes_its_item() -> None:
    rig, _ = await process()
    cart = rig.item()
    await rig.run(until=30)
    (job,) = rig.cluster.store.keys(JOBS)
    tell, rig.cluster.store.on_change = rig.cluster.store.on_change, None
    rig.cluster.store.remove(JOBS, job)
    rig.cluster.store.on_change = tell
    assert rig.process is not None
    await rig.process.resync.once()
    await rig.run(until=20)
    assert rig.status(cart)["lastRun"]["verdict"] == "infrastructure"


async def test_job_that_ended_unseen_is_let_go() -> None:
    rig, running = await process()
    rig.item()
    await rig.run(until=30)
    (job,) = rig.cluster.store.keys(JOBS)
    tell, rig.cluster.store.on_change = rig.cluster.store.on_change, None
    rig.cluster.end_job(job)
    rig.cluster.store.on_change = tell
    await rig.run(until=20)
    assert "ttlSecondsAfterFinished" not in rig.cluster.store.objects[JOBS, job]["spec"]
    await running.resync.once()
    await rig.run(until=20)
    assert "ttlSecondsAfterFinished" in rig.cluster.store.objects[JOBS, job]["spec"]


async def test_one_object_that_nobody_thought_possible_keeps_no_other_from_being_seen() -> None:
    rig, running = await process()
    broken = item("broken")
    del broken["metadata"]["uid"]
    rig.cluster.store.objects[Kind.WORKITEM, Key(NAMESPACE, "broken")] = broken
    rig.cluster.store.objects[Kind.WORKITEM, Key(NAMESPACE, "cart")] = item("cart")
    await running.resync.once()
    assert running.cache.items.get(Key(NAMESPACE, "cart")) is not None
    assert len(running.told.failures) == 1


# --- Leases


@pytest.mark.parametrize("error", [Unavailable("down"), KeyError("nobody thought of it")])
async def test_api_server_that_is_away_is_no_failure_of_the_loop_that_keeps_leases(error: Exception) -> None:
    _, running = await process()
    failures: list[BaseException] = []
    world = replace(running.world, cluster=_Away(error))
    asked, sleep = turns(2)
    with pytest.raises(EnoughError):
        await keep_leases(world, EventRecorder(world), failed=failures.append, sleep=sleep)
    assert asked == [RENEW_SECONDS, RENEW_SECONDS]
    assert failures == ([error] if isinstance(error, KeyError) else [])


class _Away(MemoryCluster):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    async def leases(self) -> list[tuple[Key, LeaseRecord]]:
        raise self._error


# --- poll


async def test_poll_goes_on_after_what_nobody_thought_of() -> None:
    rig, running = await process()
    rig.tracker.refusal = KeyError("nobody thought of it")
    rig.repository("tracked", tracker=TRACKER)
    await running.resync.once()
    asked, sleep = turns(3)
    with pytest.raises(EnoughError):
        await running.poll.run(sleep=sleep)
    assert asked == [30.0, 30.0, 30.0]
    assert len(running.told.failures) == 3


# --- heartbeat


class Heard:
    def __init__(self) -> None:
        self.touched: list[float] = []
        self.seen: list[float] = []

    def heartbeat_touched(self, at: float) -> None:
        self.touched.append(at)

    def heartbeat_seen(self, at: float) -> None:
        self.seen.append(at)


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.REQUEST_LOST, Fault.REJECTED])
async def test_touch_that_nobody_acknowledged_is_not_waited_for(fault: Fault) -> None:
    cluster, heard = MemoryCluster(), Heard()
    cluster.fail_next("touch_heartbeat", fault)
    beat = Heartbeat(cluster, Key("conveyor", "beat"), heard, failed=lambda _: None, clock=lambda: 7.0)
    _, sleep = turns(2)
    with pytest.raises(EnoughError):
        await beat.run(sleep=sleep)
    assert heard.touched == [7.0]


async def test_heartbeat_goes_on_after_what_nobody_thought_of() -> None:
    failures: list[BaseException] = []
    cluster, heard = MemoryCluster(), Heard()
    calls = iter([KeyError("nobody thought of it")])

    async def touch(key: Key, *, value: str) -> None:
        for error in calls:
            raise error

    cluster.touch_heartbeat = touch  # type: ignore[method-assign]
    _, sleep = turns(2)
    with pytest.raises(EnoughError):
        await Heartbeat(cluster, Key("conveyor", "beat"), heard, failed=failures.append).run(sleep=sleep)
    assert len(failures) == len(heard.touched) == 1


def test_only_our_own_lease_is_a_heartbeat() -> None:
    heard = Heard()
    beat = Heartbeat(MemoryCluster(), Key("conveyor", "beat"), heard, failed=lambda _: None, clock=lambda: 7.0)
    beat.seen({"metadata": {"name": "another"}})
    beat.seen({"metadata": {"name": "beat"}})
    assert heard.seen == [7.0]
