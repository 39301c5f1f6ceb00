"""Leases and Pods on a real API server, and the cluster in memory beside it: the same story gives the same answers.

| what | with |
|---|---|
| create | a new name, a name in use, an owner, a duration or a count that is refused |
| update | the present, an older, no version; a holder given up; a count that goes down; a missing Lease |
| what is not ours | a label and an annotation of somebody else stay |
| delete | another uid, an older version, both right, gone already |
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from conveyor.cluster.client import KubernetesCluster
from conveyor.cluster.connection import from_kubeconfig
from conveyor.cluster.leases import LeaseSpec, lease_record
from conveyor.cluster.pods import ContainerFact, PodFact
from conveyor.cluster.protocol import Cluster, Key, Won, Written
from tests.cluster.api import STRATEGIC, Kube
from tests.fakes.memory_cluster import MemoryCluster

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
LATER = datetime(2026, 11, 21, 12, 0, 0, 250, tzinfo=UTC)
MINE = LeaseSpec(holder="pod/a/1", duration_seconds=15, acquire_time=NOON, renew_time=NOON, transitions=0)
LABELS = {"app.kubernetes.io/part-of": "conveyor"}


@pytest.fixture
async def cluster(kubeconfig: Path) -> AsyncIterator[KubernetesCluster]:
    async with await from_kubeconfig(kubeconfig) as connection:
        yield KubernetesCluster(connection)


async def test_leases_in_memory_and_on_the_api_server_answer_alike(cluster: KubernetesCluster, namespace: str) -> None:
    real = await lease_story(cluster, namespace)
    assert await lease_story(MemoryCluster(), namespace) == real
    created, again, *_ = real
    assert (created[0], again[0]) == ("Won", "Lost")


async def lease_story(cluster: Cluster, namespace: str) -> list[Any]:
    key = Key(namespace, "transition-1")
    theirs = replace(MINE, holder="pod/b/2", renew_time=LATER, transitions=1)
    told: list[Any] = []

    async def tell(written: Written) -> None:
        """What was answered, what is stored, whether the answer held the stored version."""
        stored = await cluster.lease(key)
        same = isinstance(written, Won) and stored is not None and "spec" in written.object
        told.append(
            [
                type(written).__name__,
                stored and (stored.spec, dict(stored.labels)),
                same and isinstance(written, Won) and lease_record(written.object) == stored,
            ]
        )

    await tell(await cluster.create_lease(key, MINE, labels=LABELS))
    await tell(await cluster.create_lease(key, theirs, labels={}))
    first = await cluster.lease(key)
    assert first is not None
    for refused in (replace(MINE, duration_seconds=0), replace(MINE, transitions=-1)):
        await tell(await cluster.update_lease(key, refused, resource_version=first.resource_version))
        await tell(await cluster.create_lease(Key(namespace, "refused"), refused, labels=LABELS))
    other = LABELS | {"item": "basket"}
    await tell(await cluster.update_lease(key, theirs, resource_version=first.resource_version, labels=other))
    for version in (first.resource_version, "", "0", "999999999"):
        await tell(await cluster.update_lease(key, MINE, resource_version=version))
    second = await cluster.lease(key)
    assert second is not None
    nobody = LeaseSpec(holder="", duration_seconds=1, acquire_time=None, renew_time=None, transitions=0)
    await tell(await cluster.update_lease(key, nobody, resource_version=second.resource_version))
    third = await cluster.lease(key)
    assert third is not None
    await tell(await cluster.update_lease(key, nobody, resource_version=third.resource_version))
    unchanged = await cluster.lease(key)
    told.append(unchanged == third)
    told.append(third.uid == first.uid)
    for uid, version in (("another", third.resource_version), (third.uid, first.resource_version)):
        await tell(await cluster.delete_lease(key, uid=uid, resource_version=version))
    await tell(await cluster.delete_lease(key, uid=third.uid, resource_version=third.resource_version))
    await tell(await cluster.delete_lease(key, uid=third.uid, resource_version=third.resource_version))
    await tell(await cluster.update_lease(key, MINE, resource_version=third.resource_version))
    return told


async def test_what_others_put_on_a_lease_stays(cluster: KubernetesCluster, kube: Kube, namespace: str) -> None:
    key = Key(namespace, "one")
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/one"
    await cluster.create_lease(key, MINE, labels=LABELS)
    kube.patch(path, {"metadata": {"labels": {"theirs": "l"}, "annotations": {"theirs": "a"}}})
    found = await cluster.lease(key)
    assert found is not None
    assert found.labels == LABELS | {"theirs": "l"}
    await cluster.update_lease(key, replace(MINE, renew_time=LATER), resource_version=found.resource_version)
    stored = kube.get(path)["metadata"]
    assert (stored["labels"], stored["annotations"]) == (LABELS | {"theirs": "l"}, {"theirs": "a"})


async def test_lease_goes_with_its_owner(cluster: KubernetesCluster, kube: Kube, namespace: str) -> None:
    owner = kube.post(f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "owner"}})
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    await cluster.create_lease(Key(namespace, "one"), MINE, labels=LABELS, owner=reference)
    kube.delete(f"/api/v1/namespaces/{namespace}/configmaps/owner")
    with anyio.fail_after(20):
        while True:
            if await cluster.lease(Key(namespace, "one")) is None:
                return
            await anyio.sleep(0.05)


async def test_pod_tells_of_its_containers(cluster: KubernetesCluster, kube: Kube, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    spec = {"containers": [{"name": "operator", "image": "example.invalid/x"}]}
    made = kube.post(path, {"metadata": {"name": "operator-0"}, "spec": spec})
    uid, key = made["metadata"]["uid"], Key(namespace, "operator-0")
    assert await cluster.pod(key) == PodFact(uid, "Pending", deleting=False)
    entry = {"name": "operator", "image": "x", "imageID": "", "ready": True, "restartCount": 2}
    state = {"running": {"startedAt": "2026-11-21T12:00:00Z"}}
    status = {"phase": "Running", "containerStatuses": [entry | {"state": state}]}
    kube.patch(f"{path}/operator-0/status", {"status": status}, content_type=STRATEGIC)
    running = ContainerFact("operator", 2, started=NOON, ended=None)
    assert await cluster.pod(key) == PodFact(uid, "Running", deleting=False, containers=(running,))
    kube.delete(f"{path}/operator-0", grace=0)
    assert await cluster.pod(key) is None
