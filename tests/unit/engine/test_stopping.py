"""The Job of an intent that is given up: deleted, let go of, and read until nothing of it is at work."""

import pytest

from conveyor.api.annotations import LABEL_WORKITEM_UID, RESULT_FINALIZER
from conveyor.api.objects import WorkItem
from conveyor.api.stages import Stage
from conveyor.api.workitem import Effect, TransitionJob
from conveyor.cluster.protocol import JSONObject, Key
from conveyor.engine import runs
from conveyor.pipeline.facts import JobState
from tests.fakes.memory_store import JOBS
from tests.unit.engine.process import Process
from tests.unit.engine.rig import Rig
from tests.unit.pipeline.builders import UID, transition
from tests.unit.pipeline.builders import item as some_item

JOB = Key("shop", "shop-et-17-image-0123456789")
INTENT = transition(Effect.IMAGE, job=TransitionJob(name=JOB.name, uid="job-uid"))


def whole() -> WorkItem:
    return some_item(Stage.DEPLOY_STAGING, transition=INTENT)


@pytest.fixture
async def rig() -> Rig:
    rig = Rig()
    await rig.boot()
    return rig


def process(rig: Rig) -> Process:
    assert rig.process is not None
    return rig.process


async def start(rig: Rig, *, of: str = UID) -> None:
    labels = {LABEL_WORKITEM_UID: of}
    metadata = {"namespace": JOB.namespace, "name": JOB.name, "labels": labels, "finalizers": [RESULT_FINALIZER]}
    template: JSONObject = {"spec": {"containers": [{"name": "build", "image": "build:1"}]}}
    await rig.cluster.create_job({"kind": "Job", "metadata": metadata, "spec": {"template": template}})


async def test_its_job_is_gone_though_a_finalizer_held_it(rig: Rig) -> None:
    await start(rig)
    await runs.stop_effect(process(rig).world, whole(), INTENT)
    assert (JOBS, JOB) not in rig.cluster.store.objects
    assert (await rig.cluster.job(JOB, with_message=True)).state == JobState.MISSING


async def test_a_pod_left_at_work_is_not_taken_for_gone(rig: Rig) -> None:
    await start(rig)
    rig.cluster.leave_pods(JOB)
    await runs.stop_effect(process(rig).world, whole(), INTENT)
    assert (await rig.cluster.job(JOB, with_message=True)).state == JobState.DELETING


async def test_another_items_job_of_that_name_is_left_alone(rig: Rig) -> None:
    await start(rig, of="another")
    await runs.stop_effect(process(rig).world, whole(), INTENT)
    assert (JOBS, JOB) in rig.cluster.store.objects
