"""The item's finalizer on a real API server: what it holds, what it refuses, what goes with it."""

from pathlib import Path

import pytest

from conveyor.api.annotations import TRANSITION_FINALIZER
from conveyor.cluster.client import KubernetesCluster
from conveyor.cluster.connection import from_kubeconfig
from conveyor.cluster.protocol import JSONObject, Key, Kind, Rejected, Won
from conveyor.pipeline.facts import JobState
from tests.integration.crd_objects import HAND_MADE

POD: JSONObject = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "example.invalid/x"}]}}


@pytest.mark.usefixtures("crds")
async def test_deleted_item_and_its_run_stay_until_the_item_is_let_go(kubeconfig: Path, namespace: str) -> None:
    async with await from_kubeconfig(kubeconfig) as connection:
        cluster, key, run = KubernetesCluster(connection), Key(namespace, "one"), Key(namespace, "run")
        manifest = {"apiVersion": "conveyor.dev/v1alpha1", "kind": "WorkItem", "spec": HAND_MADE}
        made = await cluster.create(Kind.WORKITEM, manifest | {"metadata": {"name": "one", "namespace": namespace}})
        assert isinstance(made, Won)
        metadata = made.object["metadata"]
        version, uid = metadata["resourceVersion"], metadata["uid"]
        held = await cluster.set_finalizers(
            Kind.WORKITEM, key, resource_version=version, finalizers=(TRANSITION_FINALIZER,)
        )
        assert isinstance(held, Won)
        owner = {"apiVersion": "conveyor.dev/v1alpha1", "kind": "WorkItem", "name": "one", "uid": uid}
        job = {"apiVersion": "batch/v1", "kind": "Job", "spec": {"backoffLimit": 0, "template": POD}}
        job |= {"metadata": {"name": "run", "namespace": namespace, "ownerReferences": [owner]}}
        assert isinstance(await cluster.create_job(job), Won)
        await cluster.delete(Kind.WORKITEM, key, uid=uid)
        stays = await cluster.get(Kind.WORKITEM, key)
        assert stays is not None
        version = stays["metadata"]["resourceVersion"]
        more = await cluster.set_finalizers(
            Kind.WORKITEM, key, resource_version=version, finalizers=(TRANSITION_FINALIZER, "more.to/hold")
        )
        assert isinstance(more, Rejected)
        assert (await cluster.job(run, with_message=False)).state == JobState.ACTIVE
        let = await cluster.set_finalizers(Kind.WORKITEM, key, resource_version=version, finalizers=())
        assert isinstance(let, Won)
        assert await cluster.get(Kind.WORKITEM, key) is None
