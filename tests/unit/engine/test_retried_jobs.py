"""A person says `retry` of a Job nobody could tell of, and it begins after all: by a request of one who slept."""

import pytest

from conveyor.cluster.protocol import Kind
from tests.fakes.gates import Request
from tests.fakes.memory_cluster import Fault
from tests.fakes.memory_store import JOBS
from tests.unit.engine.operators import Operator, Operators
from tests.unit.engine.starts import CART
from tests.unit.engine.test_overtaken import asleep

EFFECTS = {"deploy that begins": "production", "rollback that begins": "rollback"}
RETRY = {"metadata": {"annotations": {"request.conveyor.dev/retry": "r1"}}}


async def retried(effect: str) -> tuple[Operators, Operator, Operator]:
    """The Job is suspended and its start on its way; its intent is parked, for no Job could be read, and retried."""
    world, sleeper = await asleep(effect)
    holder = world.status(CART)["transition"]["holder"]
    world.certify(sleeper)
    other = await world.start()
    await world.carry(lambda: world.status(CART)["transition"]["holder"] != holder, other)
    world.jump(other, hours=3)
    world.cluster.fail_next("job", Fault.UNAVAILABLE)
    await world.do(other, other.work, other.process.items.reconcile(CART))
    world.jump(other, hours=0)
    assert world.condition(CART, "Stalled", Kind.WORKITEM)[1] == "EffectUnknown"
    world.cluster.store.edit(Kind.WORKITEM, CART, RETRY)
    return world, sleeper, other


def begun(world: Operators, effect: str) -> list[str]:
    """Names of the effect's Jobs that were ever let begin."""
    jobs = (world.cluster.store.object(JOBS, key) for key in world.cluster.store.keys(JOBS))
    mine = (job for job in jobs if EFFECTS[effect] in job["metadata"]["name"])
    return [job["metadata"]["name"] for job in mine if "startTime" in job.get("status", {})]


def is_status_write(request: Request) -> bool:
    return request.verb == "patch_status"


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("when", ["as it is read", "as it is answered"])
async def test_job_that_begins_late_is_the_only_one(effect: str, when: str) -> None:
    world, sleeper, other = await retried(effect)
    world.begin(other, other.work, other.process.items.reconcile(CART))
    assert await world.go_on_to(other, other.work, is_status_write)
    if when == "as it is answered":
        await world.go_on(other, other.work, requests=1)
    await world.go_on(sleeper, sleeper.work)
    await world.go_on(other, other.work)
    await world.kill(sleeper)
    await world.carry(lambda: world.is_ended(CART), other)
    assert (world.stage(CART), len(begun(world, effect))) == ("done", 1)
    assert (world.audit.offences, world.told.violations, world.told.failures) == ([], [], [])
