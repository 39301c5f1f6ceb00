"""The cluster in memory: what a test can let go wrong, what its ledger and its watch tell, how its Jobs end.

That it answers as a real API server does is tested in tests/integration/test_cluster_client_agreement.py.
"""

from typing import Any

import pytest

from conveyor.cluster.protocol import Key, Kind, Lost, Rejected, Uncertain, Won, Written
from conveyor.pipeline.facts import JobFact, JobState
from conveyor.web.errors import Ambiguous, RateLimited, Unavailable
from tests.fakes.memory_cluster import Fault, MemoryCluster
from tests.fakes.memory_jobs import disrupted_pod
from tests.fakes.memory_store import JOBS

Object = dict[str, Any]

KEY, RUN = Key("team", "shop-et-1"), Key("team", "run-1")
ITEM: Object = {
    "apiVersion": "conveyor.dev/v1alpha1",
    "kind": "WorkItem",
    "metadata": {"name": KEY.name, "namespace": KEY.namespace},
    "spec": {"repositoryRef": {"name": "shop"}, "title": "Mend the login"},
}


def job(**metadata: Any) -> Object:
    containers = [{"name": "publish", "image": "x"}]
    template = {"spec": {"initContainers": [{"name": "agent", "image": "x"}], "containers": containers}}
    return {"metadata": {"name": RUN.name, "namespace": RUN.namespace} | metadata, "spec": {"template": template}}


@pytest.fixture
def seen() -> list[tuple[str, str, str]]:
    """What the watch told: kind, type, version."""
    return []


@pytest.fixture
async def cluster(seen: list[tuple[str, str, str]]) -> MemoryCluster:
    def tell(kind: str, event: str, obj: Object) -> None:
        seen.append((kind, event, obj["metadata"]["resourceVersion"]))

    cluster = MemoryCluster(on_change=tell)
    await cluster.create(Kind.WORKITEM, ITEM)
    return cluster


async def write(cluster: MemoryCluster, status: Object) -> Written:
    """A status write at the present version."""
    version = cluster.store.object(Kind.WORKITEM, KEY)["metadata"]["resourceVersion"]
    return await cluster.patch_status(Kind.WORKITEM, KEY, resource_version=version, status=status)


def stage(cluster: MemoryCluster) -> str | None:
    found: str | None = cluster.store.object(Kind.WORKITEM, KEY).get("status", {}).get("stage")
    return found


@pytest.mark.parametrize(
    ("fault", "outcome", "stored"),
    [
        (Fault.REQUEST_LOST, Uncertain, None),
        (Fault.ANSWER_LOST, Uncertain, "created"),
        (Fault.OVERTAKEN, Lost, None),
        (Fault.REJECTED, Rejected, None),
    ],
)
async def test_fault_befalls_one_write(cluster: MemoryCluster, fault: Fault, outcome: type, stored: str | None) -> None:
    cluster.fail_next("patch_status", fault)
    assert isinstance(await write(cluster, {"stage": "created"}), outcome)
    assert stage(cluster) == stored
    assert isinstance(await write(cluster, {"stage": "created"}), Won)


@pytest.mark.parametrize(("fault", "error"), [(Fault.UNAVAILABLE, Unavailable), (Fault.RATE_LIMITED, RateLimited)])
async def test_fault_that_proves_that_nothing_happened_is_raised(
    cluster: MemoryCluster, fault: Fault, error: type[Exception]
) -> None:
    cluster.fail_next("patch_status", fault)
    cluster.fail_next("get", fault)
    with pytest.raises(error):
        await write(cluster, {"stage": "created"})
    with pytest.raises(error):
        await cluster.get(Kind.WORKITEM, KEY)
    assert stage(cluster) is None


async def test_answer_lost_to_a_deletion_is_ambiguous(cluster: MemoryCluster) -> None:
    uid = cluster.store.object(Kind.WORKITEM, KEY)["metadata"]["uid"]
    cluster.fail_next("delete", Fault.ANSWER_LOST)
    with pytest.raises(Ambiguous):
        await cluster.delete(Kind.WORKITEM, KEY, uid=uid)
    assert await cluster.get(Kind.WORKITEM, KEY) is None


async def test_ledger_tells_what_became_of_each_write(cluster: MemoryCluster) -> None:
    cluster.fail_next("patch_status", Fault.OVERTAKEN)
    await write(cluster, {"stage": "created"})
    await write(cluster, {"stage": "created"})
    await write(cluster, {"stage": "created"})
    await write(cluster, {"stage": "deploy"})
    assert [entry.outcome for entry in cluster.writes] == ["applied", "lost", "applied", "unchanged", "rejected"]
    (applied,) = cluster.writes_of("patch_status")
    assert (applied.kind, applied.key, applied.body) == (Kind.WORKITEM, KEY, {"stage": "created"})


async def test_watch_tells_each_change_once_with_rising_versions(
    cluster: MemoryCluster, seen: list[tuple[str, str, str]]
) -> None:
    await write(cluster, {"stage": "created"})
    await write(cluster, {"stage": "created"})
    cluster.store.edit(Kind.WORKITEM, KEY, {"spec": {"suspend": True}})
    await cluster.delete(Kind.WORKITEM, KEY, uid=cluster.store.object(Kind.WORKITEM, KEY)["metadata"]["uid"])
    assert [event for _, event, _ in seen] == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]
    versions = [int(version) for _, _, version in seen]
    assert versions == sorted(set(versions))


async def test_what_is_handed_out_is_a_copy(cluster: MemoryCluster) -> None:
    found = await cluster.get(Kind.WORKITEM, KEY)
    assert found is not None
    found["spec"]["title"] = "changed"
    assert cluster.store.object(Kind.WORKITEM, KEY)["spec"]["title"] == "Mend the login"


async def test_finalizer_holds_a_deleted_object_until_it_is_taken_off(cluster: MemoryCluster) -> None:
    held = cluster.store.edit(Kind.WORKITEM, KEY, {"metadata": {"finalizers": ["conveyor.dev/effect"]}})
    await cluster.delete(Kind.WORKITEM, KEY, uid=held["metadata"]["uid"])
    assert cluster.store.object(Kind.WORKITEM, KEY)["metadata"]["deletionTimestamp"]
    cluster.store.edit(Kind.WORKITEM, KEY, {"metadata": {"finalizers": None}})
    assert cluster.store.keys(Kind.WORKITEM) == []


async def test_jobs_of_a_deleted_item_go_with_it(cluster: MemoryCluster) -> None:
    uid = cluster.store.object(Kind.WORKITEM, KEY)["metadata"]["uid"]
    await cluster.create_job(job(ownerReferences=[{"uid": uid}]))
    cluster.store.remove(Kind.WORKITEM, KEY)
    assert cluster.store.keys(JOBS) == []


async def test_job_runs_until_the_test_ends_it(cluster: MemoryCluster) -> None:
    await cluster.create_job(job())
    assert (await cluster.job(RUN, with_message=True)).state == JobState.ACTIVE
    cluster.end_job(RUN, message='{"verdict": "pass"}')
    fact = await cluster.job(RUN, with_message=True)
    assert (fact.state, fact.complete, fact.message) == (JobState.ENDED, True, '{"verdict": "pass"}')
    assert fact.finished == cluster.clock.now()


async def test_job_ends_by_a_containers_exit_code(cluster: MemoryCluster) -> None:
    await cluster.create_job(job())
    cluster.end_job(RUN, exit_code=3, container="agent")
    fact = await cluster.job(RUN, with_message=True)
    assert (fact.complete, fact.reason, fact.message) == (False, "exit 3: container agent", None)


async def test_job_ends_by_a_disruption(cluster: MemoryCluster) -> None:
    await cluster.create_job(job())
    pod = disrupted_pod(cluster.store.object(JOBS, RUN), reason="EvictionByEvictionAPI")
    cluster.fail_job(RUN, reason="BackoffLimitExceeded", pods=[pod])
    fact = await cluster.job(RUN, with_message=True)
    assert (fact.reason, fact.disrupted) == ("EvictionByEvictionAPI", True)


async def test_job_waits_for_its_image(cluster: MemoryCluster) -> None:
    await cluster.create_job(job())
    cluster.pod_waits(RUN, reason="ErrImagePull", message="not found")
    assert (await cluster.job(RUN, with_message=True)).reason == "ErrImagePull: not found"


async def test_deleted_job_is_being_deleted_while_a_pod_of_it_stays(cluster: MemoryCluster) -> None:
    await cluster.create_job(job())
    cluster.leave_pods(RUN)
    await cluster.delete_job(RUN, uid=(await cluster.job(RUN, with_message=False)).uid)
    assert await cluster.job(RUN, with_message=True) == JobFact(JobState.DELETING)
    cluster.end_pods(RUN)
    assert await cluster.job(RUN, with_message=True) == JobFact(JobState.MISSING)


async def test_held_job_that_somebody_deletes_ends_with_its_pod(cluster: MemoryCluster) -> None:
    await cluster.create_job(job(finalizers=["conveyor.dev/result"]))
    await cluster.delete_job(RUN, uid=(await cluster.job(RUN, with_message=False)).uid)
    assert (await cluster.job(RUN, with_message=True)).state == JobState.DELETING
    cluster.end_job(RUN, message="done")
    fact = await cluster.job(RUN, with_message=True)
    assert (fact.state, fact.complete, fact.message) == (JobState.ENDED, True, "done")
    await cluster.release_job(RUN)
    assert (await cluster.job(RUN, with_message=True)).state == JobState.MISSING


async def test_event_said_again_is_counted(cluster: MemoryCluster) -> None:
    event = {"metadata": {"name": "e", "namespace": "team"}, "eventTime": "t"}
    for _ in range(3):
        await cluster.record_event(event)
    assert cluster.events[Key("team", "e")]["series"] == {"count": 3, "lastObservedTime": "t"}


async def test_secret_that_holds_the_values_is_not_written(cluster: MemoryCluster) -> None:
    for _ in range(2):
        await cluster.apply_secret(Key("team", "mirror"), {"one": "first"})
    assert await cluster.secret(Key("team", "mirror")) == {"one": "first"}
    assert len(cluster.writes_of("apply_secret")) == 1
