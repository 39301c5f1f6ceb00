"""What is left lying about is found within a round, and nothing is taken from anybody who still needs it.

| left over | tests |
|---|---|
| Jobs | of an item that is gone, of a namesake, at work, deleted and held; of one that only the cache does not know |
| items past their retention | done, cancelled; depended on, watched, held; as many as a round may delete; for ever |
| wakes that were lost | a Job that vanished, a finished Job, an intent past its deadline |
| a Lease of a process that is alive and stuck | from outside |
"""

from datetime import timedelta
from typing import Any

import pytest

from conveyor.api.annotations import RESULT_FINALIZER
from conveyor.api.fields import rfc3339
from conveyor.cluster.leases import LeaseRecord, LeaseSpec
from conveyor.cluster.protocol import JSONObject, Key, Kind
from conveyor.engine.events import EventRecorder
from conveyor.engine.identity import Liveness
from conveyor.engine.reaper import DELETIONS
from conveyor.engine.renewing import sweep
from tests.fakes.memory_cluster import Fault
from tests.fakes.memory_store import JOBS, LEASES
from tests.unit.engine.process import Process
from tests.unit.engine.rig import NAMESPACE, Rig


async def deploying() -> tuple[Rig, Process, Key, Key]:
    """An item whose deploy is at work, and its Job."""
    rig = Rig()
    rig.repository()
    item = rig.item()
    rig.crew.keeps = frozenset({"Production"})
    await rig.run(until=60)
    [deploy] = [key for key in rig.cluster.store.keys(JOBS) if "production" in key.name]
    assert rig.process is not None
    return rig, rig.process, item, deploy


def job(rig: Rig, key: Key) -> JSONObject:
    return rig.cluster.store.object(JOBS, key)


def held(rig: Rig, key: Key) -> bool:
    return RESULT_FINALIZER in (job(rig, key)["metadata"].get("finalizers") or [])


async def reap(rig: Rig, process: Process) -> None:
    """A round, with all that was to be seen before it."""
    rig.crew.idle = True
    await rig.run(until=0)
    await process.reaper.round()
    await rig.run(until=0)


# --- Jobs


async def test_deploy_whose_item_is_gone_runs_on_and_is_let_go_at_its_end() -> None:
    rig, process, item, deploy = await deploying()
    rig.cluster.store.remove(Kind.WORKITEM, item)
    await reap(rig, process)
    assert held(rig, deploy)
    rig.cluster.end_job(deploy)
    await reap(rig, process)
    assert not held(rig, deploy)
    assert job(rig, deploy)["spec"]["ttlSecondsAfterFinished"] == 3600


async def test_deploy_whose_item_has_a_namesake_now_is_let_go_too() -> None:
    rig, process, item, deploy = await deploying()
    rig.cluster.store.remove(Kind.WORKITEM, item)
    rig.cluster.end_job(deploy)
    rig.item()
    await reap(rig, process)
    assert not held(rig, deploy)


async def test_deleted_job_that_only_our_finalizer_holds_goes_with_its_item() -> None:
    rig, process, item, deploy = await deploying()
    rig.cluster.store.remove(Kind.WORKITEM, item)
    rig.cluster.store.delete(JOBS, deploy)
    await reap(rig, process)
    assert rig.cluster.store.keys(JOBS) == []


async def test_job_of_an_item_that_only_the_cache_does_not_know_is_left_to_it() -> None:
    rig, process, item, deploy = await deploying()
    record = process.cache.items.get(item)
    assert record is not None
    process.cache.drop_item(item, uid=record.uid, version=0)
    rig.cluster.end_job(deploy)
    process.cache.put_job(job(rig, deploy))
    await process.reaper.round()
    assert held(rig, deploy)


async def test_finalizer_that_stayed_when_the_process_died_is_taken_off_by_the_next() -> None:
    rig, _, item, deploy = await deploying()
    rig.cluster.fail_next("release_job", Fault.UNAVAILABLE)
    rig.cluster.end_job(deploy)
    await rig.run(until=1)
    assert (rig.stage(item), held(rig, deploy)) == ("done", True)
    rig.process = None
    await rig.run(until=1)
    assert not held(rig, deploy)


async def test_job_that_the_api_server_does_not_let_go_now_is_let_go_later() -> None:
    rig, process, item, deploy = await deploying()
    rig.cluster.store.remove(Kind.WORKITEM, item)
    rig.cluster.end_job(deploy)
    for _ in range(2):
        rig.cluster.fail_next("release_job", Fault.UNAVAILABLE)
    await reap(rig, process)
    await reap(rig, process)
    assert not held(rig, deploy)
    assert rig.told.failures == []


# --- wakes that were lost


async def test_run_whose_job_vanished_unseen_is_looked_at() -> None:
    rig = Rig()
    rig.repository()
    item = rig.item()
    rig.crew.idle = True
    await rig.run(until=60)
    [run] = rig.cluster.store.keys(JOBS)
    process = rig.process
    assert process is not None
    record = process.cache.jobs.get(run)
    assert record is not None
    rig.cluster.store.remove(JOBS, run)
    rig._backlog.clear()
    process.cache.drop_job(run, uid=record.uid, version=record.version + 1)
    await reap(rig, process)
    assert [(it["cause"], it["count"]) for it in rig.status(item)["attempts"]] == [("Infrastructure", 1)]


async def test_intent_past_its_deadline_is_looked_at() -> None:
    rig, process, item, deploy = await deploying()
    process._due.clear()
    process._queue.clear()
    rig.clock.advance(3 * 3600)
    await rig.run(until=1)
    assert rig.condition(item, "Stalled", Kind.WORKITEM)[1] == "EffectUnknown"
    assert job(rig, deploy)


# --- retention


def ended(rig: Rig, name: str, *, days: float, stage: str = "done", **status: Any) -> Key:
    key = rig.item(name, title=name)
    entered = rfc3339(rig.clock.now() - timedelta(days=days))
    rig.cluster.store.set_status(Kind.WORKITEM, key, {"stage": stage, "stageEnteredTime": entered} | status)
    return key


async def left(rig: Rig) -> list[str]:
    process = await rig.boot()
    await reap(rig, process)
    return [key.name for key in rig.cluster.store.keys(Kind.WORKITEM)]


@pytest.mark.parametrize("stage", ["done", "cancelled"])
async def test_ended_item_goes_when_its_retention_is_over(stage: str) -> None:
    rig = Rig(retention_days=30)
    rig.repository()
    ended(rig, "old", days=30.1, stage=stage)
    ended(rig, "young", days=29.9, stage=stage)
    assert await left(rig) == ["young"]


async def test_item_under_way_stays_however_old() -> None:
    rig = Rig(retention_days=30)
    rig.repository()
    ended(rig, "slow", days=300, stage="review")
    assert await left(rig) == ["slow"]


async def test_item_stays_while_one_that_has_not_ended_depends_on_it() -> None:
    rig = Rig(retention_days=30)
    rig.repository()
    ended(rig, "base", days=300)
    ended(rig, "other", days=300)
    needing = rig.item("needing", title="n", dependsOn=[{"name": "base"}], suspend=True)
    assert await left(rig) == ["base", "needing"]
    rig.cluster.store.remove(Kind.WORKITEM, needing)
    assert await left(rig) == []


async def test_item_stays_while_its_deploy_is_being_watched() -> None:
    rig = Rig(retention_days=30)
    probe = {"url": "https://shop.test/healthz"}
    rig.repository(monitor={"windowSeconds": 7 * 86400, "probes": [probe]})
    watch = {"untilTime": rfc3339(rig.clock.now() + timedelta(days=1)), "verdict": "Watching", "failures": 0}
    ended(rig, "watched", days=300, monitor=watch)
    assert await left(rig) == ["watched"]


async def test_with_no_retention_items_are_kept_for_ever() -> None:
    rig = Rig(retention_days=0)
    rig.repository()
    ended(rig, "old", days=3000)
    assert await left(rig) == ["old"]


async def test_one_round_deletes_the_oldest_and_no_more_than_its_share() -> None:
    rig = Rig(retention_days=30)
    rig.repository()
    for number in range(DELETIONS + 2):
        ended(rig, f"i{number:02}", days=100 - number)
    assert await left(rig) == [f"i{DELETIONS:02}", f"i{DELETIONS + 1:02}"]


# --- Leases of the stuck

STUCK = "other/uid"


async def stuck(*, days: float = 0.0) -> tuple[Rig, Process]:
    """A process beside ours, which renews its Lease and does nothing."""
    rig = Rig()
    rig.repository()
    item = ended(rig, "cart", days=1, stage="testing")
    rig.crew.idle = True

    async def alive(_: LeaseRecord) -> Liveness:
        return Liveness.ALIVE

    rig.judge = alive  # type: ignore[method-assign,assignment]
    since = rig.clock.now() - timedelta(days=days)
    spec = LeaseSpec(STUCK, duration_seconds=60, acquire_time=since, renew_time=rig.clock.now(), transitions=0)
    await rig.cluster.create_lease(Key(NAMESPACE, "merge-shop"), spec, labels={"conveyor.dev/workitem": item.name})
    process = await rig.boot()
    return rig, process


async def test_lease_of_a_process_that_is_alive_and_stuck_is_taken_away_with_an_alert() -> None:
    rig, process = await stuck(days=1)
    assert rig.cluster.store.keys(LEASES) == []
    assert rig.told.takeovers == ["Forced"]
    assert any(reason == "LeaseForced" and STUCK in text for reason, text in rig.notes())
    assert await sweep(process.world, EventRecorder(process.world)) == 0


async def test_lease_that_another_process_took_not_long_ago_is_left_to_it() -> None:
    rig, _ = await stuck(days=0.05)
    assert [key.name for key in rig.cluster.store.keys(LEASES)] == ["merge-shop"]
    assert rig.told.takeovers == []
