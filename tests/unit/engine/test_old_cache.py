"""A process whose cache lags for as long as it likes does no harm: what cannot be undone is asked of the API server."""

from conveyor.api.annotations import LABEL_EFFECT, RESULT_FINALIZER
from conveyor.cluster.protocol import Key, Kind
from conveyor.engine import runs
from conveyor.engine.records import JobRecord, job_record
from tests.fakes.memory_store import JOBS
from tests.unit.engine.process import Process
from tests.unit.engine.rig import Rig


async def with_ended_deploy(rig: Rig) -> tuple[Process, Key, JobRecord]:
    """The deploy Job has ended, and its intent is on record; its result is not."""
    item = rig.item()
    for _ in range(500):
        await rig._step(float("inf"))
        found = [key for key in rig.cluster.store.keys(JOBS) if _is_effect(rig, key) and _is_at_work(rig, key)]
        if found and rig.process is not None:
            rig.cluster.end_job(found[0])
            return rig.process, item, job_record(rig.cluster.store.object(JOBS, found[0]))
    raise AssertionError("no deploy began")


def _is_effect(rig: Rig, key: Key) -> bool:
    return LABEL_EFFECT in rig.cluster.store.object(JOBS, key)["metadata"]["labels"]


def _is_at_work(rig: Rig, key: Key) -> bool:
    return bool(rig.cluster.store.object(JOBS, key)["status"].get("active"))


def finalizers(rig: Rig, job: JobRecord) -> list[str]:
    return list(rig.cluster.store.object(JOBS, job.key)["metadata"].get("finalizers", []))


async def test_job_whose_intent_is_on_record_keeps_its_name_whatever_a_cache_says() -> None:
    rig = Rig()
    rig.repository()
    process, _, job = await with_ended_deploy(rig)
    await runs.tidy(process.world, [job])
    assert finalizers(rig, job) == [RESULT_FINALIZER]


async def test_job_whose_result_is_stored_is_let_go() -> None:
    rig = Rig()
    rig.repository()
    process, item, job = await with_ended_deploy(rig)
    rig.cluster.store.set_status(Kind.WORKITEM, item, {"transition": None})
    await runs.tidy(process.world, [job])
    assert finalizers(rig, job) == []
