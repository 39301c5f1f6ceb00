"""A request to create or to start an effect's Job that comes late, or whose sender slept, has no effect.

| it comes | tests |
|---|---|
| after the Job has ended, and was removed | with its item there, gone |
| after another has taken over | with the same uid on record |
| to a Job of another uid, or to one that somebody deleted | nothing begins |
"""

import copy

import pytest

from conveyor.cluster.protocol import JSONObject, Key, Kind, Lost, Won
from conveyor.engine import runs
from conveyor.engine.records import job_record
from tests.fakes.memory_cluster import Fault
from tests.fakes.memory_store import JOBS
from tests.unit.engine.process import Process
from tests.unit.engine.rig import Rig

HOUR = 3700.0


class Deploys:
    """A rig with an item, whose deploy Job somebody can ask for once more."""

    def __init__(self) -> None:
        self.rig = Rig()
        self.rig.repository()
        self.item = self.rig.item()

    @property
    def process(self) -> Process:
        assert self.rig.process is not None
        return self.rig.process

    def manifest(self) -> JSONObject:
        write = next(it for it in self.rig.cluster.writes_of("create_job") if "production" in it.key.name)
        return copy.deepcopy(write.body)

    @property
    def key(self) -> Key:
        return Key(self.item.namespace, self.manifest()["metadata"]["name"])

    def job(self) -> JSONObject:
        return self.rig.cluster.store.object(JOBS, self.key)

    def is_there(self) -> bool:
        return (JOBS, self.key) in self.rig.cluster.store.objects

    def starts(self) -> int:
        return len([it for it in self.rig.cluster.writes_of("start_job") if it.key == self.key])

    async def until_created(self) -> None:
        """The Job is there, suspended; its uid is not on record, for the answer was lost."""
        await self.rig.run_until(lambda: self.rig.status(self.item).get("transition", {}).get("effect") == "Production")
        self.rig.cluster.fail_next("create_job", Fault.ANSWER_LOST)
        await self.rig.run_until(lambda: any("production" in name for name in self.rig.jobs))

    async def until_done_and_removed(self) -> None:
        await self.rig.run(self.item)
        assert self.rig.stage(self.item) == "done"
        await self.rig.run(until=HOUR)
        self.rig.cluster.store.remove(JOBS, self.key)  # its TTL is over


async def test_job_that_is_created_again_an_hour_later_never_begins_and_goes() -> None:
    deploys = Deploys()
    await deploys.until_done_and_removed()
    assert isinstance(await deploys.rig.cluster.create_job(deploys.manifest()), Won)
    await deploys.rig.run(until=60)
    assert (deploys.is_there(), deploys.starts()) == (False, 1)


async def test_job_that_is_created_again_after_its_item_is_gone_never_begins_and_goes() -> None:
    deploys = Deploys()
    await deploys.until_done_and_removed()
    deploys.rig.cluster.store.remove(Kind.WORKITEM, deploys.item)
    await deploys.rig.run(until=60)
    assert isinstance(await deploys.rig.cluster.create_job(deploys.manifest()), Won)
    await deploys.rig.run(until=60)
    assert (deploys.is_there(), deploys.starts()) == (False, 1)


async def test_late_job_that_nobody_was_told_of_is_found_by_the_reaper() -> None:
    deploys = Deploys()
    await deploys.until_done_and_removed()
    await deploys.rig.cluster.create_job(deploys.manifest())
    deploys.process.cache.put_job(deploys.job())
    deploys.rig._backlog.clear()
    await deploys.process.reaper.round()
    await deploys.rig.run(until=60)
    assert not deploys.is_there()


async def test_start_that_comes_again_after_a_takeover_changes_nothing() -> None:
    deploys = Deploys()
    await deploys.until_created()
    await deploys.rig.run_until(lambda: deploys.starts() == 1)
    uid = deploys.job()["metadata"]["uid"]
    deploys.rig.process = None
    await deploys.rig.run_until(lambda: deploys.rig.process is not None)
    before = deploys.job()
    assert isinstance(await deploys.rig.cluster.start_job(deploys.key, uid=uid), Won)
    assert deploys.job() == before
    await deploys.rig.run(deploys.item)
    assert (deploys.rig.stage(deploys.item), deploys.rig.jobs.count(deploys.key.name)) == ("done", 1)


async def test_start_meant_for_another_job_of_that_name_is_refused() -> None:
    deploys = Deploys()
    await deploys.until_done_and_removed()
    await deploys.rig.cluster.create_job(deploys.manifest())
    assert isinstance(await deploys.rig.cluster.start_job(deploys.key, uid="the-first"), Lost)
    assert "active" not in deploys.job()["status"]


@pytest.mark.parametrize("recorded", [False, True], ids=["before its uid is on record", "after"])
async def test_job_that_somebody_deletes_before_it_began_is_a_persons_matter(recorded: bool) -> None:
    deploys = Deploys()
    rig = deploys.rig
    await deploys.until_created()
    assert "uid" not in rig.status(deploys.item)["transition"]["job"]
    if recorded:
        rig.cluster.fail_next("start_job", Fault.REQUEST_LOST)
        await rig.run_until(lambda: "uid" in rig.status(deploys.item)["transition"]["job"])
    rig.cluster.store.delete(JOBS, deploys.key)
    await rig.run(until=60)
    assert rig.condition(deploys.item, "Stalled", Kind.WORKITEM)[1] == "EffectUnknown"
    first = deploys.key
    rig.cluster.store.edit(
        Kind.WORKITEM, deploys.item, {"metadata": {"annotations": {"request.conveyor.dev/retry": "r1"}}}
    )
    await rig.run(deploys.item)
    assert rig.stage(deploys.item) == "done"
    assert (JOBS, first) not in rig.cluster.store.objects


async def test_job_that_began_since_is_not_deleted_by_an_old_cache() -> None:
    deploys = Deploys()
    await deploys.until_created()
    old = job_record(deploys.job())
    await deploys.rig.run_until(lambda: deploys.starts() == 1)
    deploys.rig.cluster.store.set_status(Kind.WORKITEM, deploys.item, {"transition": None})
    await runs.tidy(deploys.process.world, [old])
    assert (old.unstarted, "deletionTimestamp" in deploys.job()["metadata"]) == (True, False)


async def test_item_deleted_before_its_job_began_does_not_deploy_any_more() -> None:
    deploys = Deploys()
    await deploys.until_created()
    deploys.rig.cluster.store.delete(Kind.WORKITEM, deploys.item)
    await deploys.rig.run(until=600)
    assert (deploys.is_there(), deploys.starts()) == (False, 0)
    assert (Kind.WORKITEM, deploys.item) not in deploys.rig.cluster.store.objects
