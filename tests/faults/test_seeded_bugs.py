"""The harness can fail: an operator with a bug of the kind that it is there for is found out, and by what."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from tests.faults.cases import Case, Result
from tests.faults.faults import Fault, Target
from tests.faults.lane import Servers
from tests.faults.pool import Plan, Pool
from tests.faults.scenarios import PLAIN, SCENARIOS

pytestmark = [pytest.mark.slow, pytest.mark.long]

BLIND_WRITE = """
import conveyor.cluster.client as client
def blind(old):
    async def write(self, method, target, body, **more):
        kept = {key: value for key, value in body.items() if key != "metadata" or method == "POST"}
        return await old(self, method, target, kept, **more)
    return write
client.KubernetesCluster._write = blind(client.KubernetesCluster._write)
"""
JOB_CREATED_AGAIN = """
import copy, conveyor.cluster.client as client
from conveyor.cluster.protocol import Uncertain
def again(old):
    async def create_job(self, manifest):
        written = await old(self, manifest)
        if isinstance(written, Uncertain):
            second = copy.deepcopy(manifest)
            second["metadata"]["name"] += "-again"
            second["spec"]["suspend"] = False
            await old(self, second)
        return written
    return create_job
client.KubernetesCluster.create_job = again(client.KubernetesCluster.create_job)
"""
NO_NEW_TOKEN = """
import dataclasses, conveyor.pipeline.effects as effects
def same_token(old):
    def adopted(case, transition):
        action = old(case, transition)
        kept = {"fencing_token": transition.fencing_token}
        mine = action.status.transition.model_copy(update=kept)
        return dataclasses.replace(action, status=action.status.model_copy(update=kept | {"transition": mine}))
    return adopted
effects.adopted = same_token(effects.adopted)
"""


@dataclass(frozen=True)
class Bug:
    code: str
    case: Case
    found_by: str


def at(write: str, fault: Fault) -> Case:
    return Case(PLAIN.name, Target(write), fault)


BUGS = {
    "a status is written over whatever is there": Bug(
        BLIND_WRITE, at("item: intent Merge", Fault.DROP_ANSWER), "rule: PATCH"
    ),
    "a Job is created again under another name": Bug(
        JOB_CREATED_AGAIN, at("Job Production: create", Fault.DROP_ANSWER), "double: 2 times Job Production"
    ),
    "an intent is taken over with the old token": Bug(
        NO_NEW_TOKEN, at("item: intent Merge", Fault.KILL_AFTER), "without a new token"
    ),
}


@pytest.fixture(scope="module")
def found(fault_servers: Servers) -> Mapping[str, Result]:
    """All bugs side by side, each in an operator of its own."""
    results: dict[str, Result] = {}

    async def run(name: str, bug: Bug) -> None:
        pool = Pool(fault_servers, Plan(SCENARIOS, lanes=1, patch=bug.code))
        await pool.run([(bug.case,)], lambda _, result: results.__setitem__(name, result))

    async def run_all() -> None:
        async with asyncio.TaskGroup() as group:
            for name, bug in BUGS.items():
                group.create_task(run(name, bug))

    asyncio.run(run_all())
    return results


@pytest.mark.parametrize("name", BUGS)
def test_seeded_bug_is_found(name: str, found: Mapping[str, Result]) -> None:
    result = found[name]
    assert result.outcome == "failed"
    assert [line for line in result.findings if BUGS[name].found_by in line] != [], result.findings
