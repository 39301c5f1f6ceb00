"""The operator's service account on a real API server: its Role is enough for every call, and for nothing beside."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from conveyor.api.annotations import LABEL_WORKITEM
from conveyor.cluster.client import KubernetesCluster
from conveyor.cluster.connection import from_kubeconfig
from conveyor.cluster.leases import LeaseSpec
from conveyor.cluster.protocol import JSONObject, Key, Kind, Won
from conveyor.web.errors import NotFound
from tests.cluster.api import ApiError, Kube
from tests.cluster.control_plane import ControlPlane
from tests.integration.crd_objects import HAND_MADE, listed

ACCESS = Path(__file__).parents[2] / "deploy" / "operator" / "access.yaml"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
POD: JSONObject = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none"}]}}


@pytest.fixture
def account(control_plane: ControlPlane, kube: Kube, namespace: str, tmp_path: Path) -> Path:
    """Installs the manifest in the test's namespace; a kubeconfig of the account, once the Role is in force."""
    text = ACCESS.read_text().replace("conveyor-system", namespace)
    who, role, binding = (document for document in yaml.safe_load_all(text) if document)
    kube.post(f"/api/v1/namespaces/{namespace}/serviceaccounts", who)
    kube.post(f"{RBAC}/namespaces/{namespace}/roles", role)
    kube.post(f"{RBAC}/namespaces/{namespace}/rolebindings", binding)
    path = control_plane.service_account_kubeconfig(namespace, "conveyor-operator", path=tmp_path / "kubeconfig")
    with Kube(path) as client:
        until_allowed(client, f"/apis/conveyor.dev/v1alpha1/namespaces/{namespace}/workitems")
    return path


def until_allowed(client: Kube, path: str) -> None:
    """A Role comes into force within about a second; a new kind is served a moment later."""
    deadline = time.monotonic() + 15
    while True:
        try:
            client.get(path)
        except ApiError as error:
            if error.code not in (403, 429) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


@pytest.fixture
async def cluster(account: Path, namespace: str) -> AsyncIterator[KubernetesCluster]:
    async with await from_kubeconfig(account) as connection:
        yield KubernetesCluster(connection, namespaces=(namespace,))


def manifest(namespace: str, kind: str, name: str, **parts: Any) -> JSONObject:
    version = "batch/v1" if kind == "Job" else "conveyor.dev/v1alpha1"
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": namespace}, **parts}


@pytest.mark.usefixtures("crds")
async def test_role_is_enough_for_items(cluster: KubernetesCluster, namespace: str) -> None:
    key = Key(namespace, "one")
    made = await cluster.create(Kind.WORKITEM, manifest(namespace, "WorkItem", "one", spec=HAND_MADE))
    assert isinstance(made, Won)
    version, uid = made.object["metadata"]["resourceVersion"], made.object["metadata"]["uid"]
    written = await cluster.patch_status(Kind.WORKITEM, key, resource_version=version, status={"stage": "created"})
    assert isinstance(written, Won)
    version = written.object["metadata"]["resourceVersion"]
    for finalizers in (("conveyor.dev/transition",), ()):
        held = await cluster.set_finalizers(Kind.WORKITEM, key, resource_version=version, finalizers=finalizers)
        assert isinstance(held, Won)
        assert tuple(held.object["metadata"].get("finalizers", ())) == finalizers
        version = held.object["metadata"]["resourceVersion"]
    assert len(await listed(cluster, Kind.WORKITEM)) == 1
    assert await listed(cluster, Kind.REPOSITORY) == []
    await cluster.delete(Kind.WORKITEM, key, uid=uid)
    assert await cluster.get(Kind.WORKITEM, key) is None


@pytest.mark.usefixtures("crds")
async def test_role_is_enough_for_jobs(cluster: KubernetesCluster, namespace: str) -> None:
    key = Key(namespace, "run")
    job = manifest(namespace, "Job", "run", spec={"backoffLimit": 0, "template": POD, "suspend": True})
    job["metadata"]["finalizers"] = ["conveyor.dev/result"]
    assert isinstance(await cluster.create_job(job), Won)
    fact = await cluster.job(key, with_message=True)
    assert isinstance(await cluster.start_job(key, uid=fact.uid), Won)
    await cluster.expire_job(key, seconds=60)
    await cluster.release_job(key)
    await cluster.delete_job(key, uid=fact.uid)
    assert fact.uid


async def test_role_is_enough_for_secrets_events_and_heartbeat(cluster: KubernetesCluster, namespace: str) -> None:
    key = Key(namespace, "conveyor-ingress-secrets")
    with pytest.raises(NotFound):
        await cluster.secret(key)
    await cluster.apply_secret(key, {"gitea.demo.shop": "{}"})
    await cluster.apply_secret(key, {"gitea.demo.shop": "{ }"})
    await cluster.touch_heartbeat(Key(namespace, "heartbeat"), value="1")
    await cluster.touch_heartbeat(Key(namespace, "heartbeat"), value="2")
    assert await cluster.secret(key) == {"gitea.demo.shop": "{ }"}


async def test_role_is_enough_for_leases_and_their_holders(cluster: KubernetesCluster, namespace: str) -> None:
    key, now = Key(namespace, "merge-shop"), datetime(2026, 11, 2, tzinfo=UTC)
    spec = LeaseSpec("somebody", duration_seconds=60, acquire_time=now, renew_time=now, transitions=0)
    assert isinstance(await cluster.create_lease(key, spec, labels={LABEL_WORKITEM: "one"}), Won)
    [(found, lease)] = await cluster.leases()
    renewed = replace(spec, renew_time=now + timedelta(seconds=10))
    assert found == key
    assert isinstance(await cluster.update_lease(key, renewed, resource_version=lease.resource_version), Won)
    fresh = await cluster.lease(key)
    assert fresh is not None
    gone = await cluster.delete_lease(key, uid=fresh.uid, resource_version=fresh.resource_version)
    assert isinstance(gone, Won)
    assert await cluster.pod(Key(namespace, "nobody")) is None


@pytest.mark.usefixtures("crds")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/api/v1/namespaces/{namespace}/secrets"),
        ("get", "/api/v1/namespaces/{namespace}/configmaps"),
        ("get", "/api/v1/secrets"),
        ("delete", "/apis/conveyor.dev/v1alpha1/namespaces/{namespace}/repositories/shop"),
        ("delete", "/api/v1/namespaces/{namespace}/pods/any"),
    ],
)
def test_role_allows_nothing_beside(account: Path, namespace: str, method: str, path: str) -> None:
    with Kube(account) as client, pytest.raises(ApiError) as refused:
        getattr(client, method)(path.format(namespace=namespace))
    assert refused.value.code == 403
