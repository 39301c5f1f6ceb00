"""The client on a real API server: listings, refusals, Secrets, Events, the heartbeat, and a token that rotates."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from conveyor.cluster.client import KubernetesCluster
from conveyor.cluster.connection import Connection, from_kubeconfig, in_cluster
from conveyor.cluster.protocol import HEARTBEAT_ANNOTATION, JSONObject, Key, Kind, Rejected, Won
from conveyor.web.errors import BadCredentials, NotFound, Refused
from tests.cluster.api import Kube
from tests.integration.crd_objects import HAND_MADE, listed

AT, LATER = "2026-11-21T06:30:00.000000Z", "2026-11-21T06:31:00.250000Z"


@pytest.fixture
async def connection(kubeconfig: Path) -> AsyncIterator[Connection]:
    async with await from_kubeconfig(kubeconfig) as connection:
        yield connection


@pytest.fixture
def cluster(connection: Connection, namespace: str) -> KubernetesCluster:
    return KubernetesCluster(connection, namespaces=(namespace,), page=2)


def item(namespace: str, name: str, spec: JSONObject = HAND_MADE) -> JSONObject:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "conveyor.dev/v1alpha1", "kind": "WorkItem", "metadata": metadata, "spec": spec}


# --- objects


@pytest.mark.usefixtures("crds")
async def test_listing_has_the_objects_of_all_pages(cluster: KubernetesCluster, namespace: str) -> None:
    names = [f"item-{number}" for number in range(5)]
    for name in names:
        await cluster.create(Kind.WORKITEM, item(namespace, name))
    found = await listed(cluster, Kind.WORKITEM)
    assert sorted(obj["metadata"]["name"] for obj in found) == names
    assert not any("managedFields" in obj["metadata"] for obj in found)


@pytest.mark.usefixtures("crds")
async def test_metadata_comes_alone_from_all_pages(cluster: KubernetesCluster, namespace: str) -> None:
    names = [f"item-{number}" for number in range(5)]
    versions = {}
    for name in names:
        created = await cluster.create(Kind.WORKITEM, item(namespace, name))
        assert isinstance(created, Won)
        versions[name] = (created.object["metadata"]["uid"], created.object["metadata"]["resourceVersion"])
    found = [obj async for page in cluster.metadata_pages(Kind.WORKITEM) for obj in page]
    metadata = [obj["metadata"] for obj in found]
    assert {it["name"]: (it["uid"], it["resourceVersion"]) for it in metadata} == versions
    assert not any("spec" in obj for obj in found)


@pytest.mark.usefixtures("crds")
async def test_listing_without_namespaces_covers_all(
    connection: Connection, cluster: KubernetesCluster, namespace: str
) -> None:
    await cluster.create(Kind.WORKITEM, item(namespace, "one"))
    found = await listed(KubernetesCluster(connection), Kind.WORKITEM)
    assert (namespace, "one") in [(obj["metadata"]["namespace"], obj["metadata"]["name"]) for obj in found]


@pytest.mark.usefixtures("crds")
async def test_listing_of_nothing_has_no_objects(cluster: KubernetesCluster) -> None:
    for pages in (cluster.pages(Kind.REPOSITORY), cluster.metadata_pages(Kind.REPOSITORY)):
        assert [obj async for page in pages for obj in page] == []


@pytest.mark.usefixtures("crds")
async def test_our_writes_are_known_as_ours(cluster: KubernetesCluster, kube: Kube, namespace: str) -> None:
    created = await cluster.create(Kind.WORKITEM, item(namespace, "one"))
    assert isinstance(created, Won)
    version = created.object["metadata"]["resourceVersion"]
    await cluster.patch_status(
        Kind.WORKITEM, Key(namespace, "one"), resource_version=version, status={"stage": "created"}
    )
    stored = kube.get(f"/apis/conveyor.dev/v1alpha1/namespaces/{namespace}/workitems/one")
    assert {entry["manager"] for entry in stored["metadata"]["managedFields"]} == {"conveyor"}


@pytest.mark.usefixtures("crds")
async def test_item_is_deleted_only_on_the_version_that_was_seen(cluster: KubernetesCluster, namespace: str) -> None:
    key = Key(namespace, "one")
    created = await cluster.create(Kind.WORKITEM, item(namespace, "one"))
    assert isinstance(created, Won)
    uid, seen = created.object["metadata"]["uid"], created.object["metadata"]["resourceVersion"]
    begun = await cluster.patch_status(Kind.WORKITEM, key, resource_version=seen, status={"stage": "created"})
    assert isinstance(begun, Won)
    await cluster.delete(Kind.WORKITEM, key, uid=uid, resource_version=seen)
    assert await cluster.get(Kind.WORKITEM, key) is not None
    await cluster.delete(Kind.WORKITEM, key, uid=uid, resource_version=begun.object["metadata"]["resourceVersion"])
    assert await cluster.get(Kind.WORKITEM, key) is None


@pytest.mark.usefixtures("crds")
async def test_refused_status_is_explained_without_the_object(cluster: KubernetesCluster, namespace: str) -> None:
    private = HAND_MADE | {"description": "private matters"}
    created = await cluster.create(Kind.WORKITEM, item(namespace, "one", private))
    assert isinstance(created, Won)
    version = created.object["metadata"]["resourceVersion"]
    key = Key(namespace, "one")
    refused = await cluster.patch_status(Kind.WORKITEM, key, resource_version=version, status={"bogus": 1})
    assert isinstance(refused, Rejected)
    assert refused.message.endswith('strict decoding error: unknown field "status.bogus"')
    assert "private" not in refused.message


@pytest.mark.usefixtures("crds")
async def test_object_with_too_large_annotations_is_rejected(cluster: KubernetesCluster, namespace: str) -> None:
    annotations = {"metadata": {"name": "big", "namespace": namespace, "annotations": {"x": "y" * 300_000}}}
    assert isinstance(await cluster.create(Kind.WORKITEM, item(namespace, "big") | annotations), Rejected)


# --- Secrets


async def test_missing_secret_is_not_found(cluster: KubernetesCluster, namespace: str) -> None:
    with pytest.raises(NotFound):
        await cluster.secret(Key(namespace, "forge"))


async def test_applied_secret_holds_exactly_the_values(cluster: KubernetesCluster, kube: Kube, namespace: str) -> None:
    key = Key(namespace, "mirror")
    await cluster.apply_secret(key, {"one": "first", "two": "ключ"})
    assert await cluster.secret(key) == {"one": "first", "two": "ключ"}
    await cluster.apply_secret(key, {"two": "second", "three": ""})
    assert await cluster.secret(key) == {"two": "second", "three": ""}
    stored = kube.get(f"/api/v1/namespaces/{namespace}/secrets/mirror")
    assert stored["type"] == "Opaque"
    assert stored["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "conveyor"}


async def test_secret_that_holds_the_values_is_not_written(
    cluster: KubernetesCluster, kube: Kube, namespace: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}/secrets/mirror"
    await cluster.apply_secret(Key(namespace, "mirror"), {"one": "first"})
    before = kube.get(path)["metadata"]["resourceVersion"]
    await cluster.apply_secret(Key(namespace, "mirror"), {"one": "first"})
    assert kube.get(path)["metadata"]["resourceVersion"] == before


async def test_secret_of_another_type_is_left_alone(cluster: KubernetesCluster, kube: Kube, namespace: str) -> None:
    secret = {"metadata": {"name": "login"}, "type": "kubernetes.io/basic-auth", "stringData": {"password": "p"}}
    kube.post(f"/api/v1/namespaces/{namespace}/secrets", secret)
    with pytest.raises(Refused, match="basic-auth"):
        await cluster.apply_secret(Key(namespace, "login"), {"password": "q"})


async def test_values_that_are_no_text_are_left_out(cluster: KubernetesCluster, kube: Kube, namespace: str) -> None:
    data = {"text": base64.b64encode(b"yes").decode(), "binary": base64.b64encode(b"\xff\xfe").decode()}
    kube.post(f"/api/v1/namespaces/{namespace}/secrets", {"metadata": {"name": "mixed"}, "data": data})
    assert await cluster.secret(Key(namespace, "mixed")) == {"text": "yes"}


@pytest.mark.parametrize("name", ["", "..", "../pods", "a/b", "a?watch=1", "A"])
async def test_name_that_no_object_can_have_is_refused(cluster: KubernetesCluster, namespace: str, name: str) -> None:
    with pytest.raises(Refused, match="cannot be the name"):
        await cluster.secret(Key(namespace, name))


# --- Events and the heartbeat


def event(namespace: str, time: str = AT) -> JSONObject:
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "one.0123", "namespace": namespace},
        "eventTime": time,
        "reportingController": "conveyor.dev/operator",
        "reportingInstance": "pod-1",
        "action": "StageMoved",
        "reason": "StageMoved",
        "type": "Normal",
        "note": "created to analysis",
        "regarding": {"apiVersion": "conveyor.dev/v1alpha1", "kind": "WorkItem", "name": "one", "namespace": namespace},
    }


async def test_event_said_again_is_counted(cluster: KubernetesCluster, kube: Kube, namespace: str) -> None:
    path = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events/one.0123"
    await cluster.record_event(event(namespace))
    assert "series" not in kube.get(path)
    for _ in range(2):
        await cluster.record_event(event(namespace, LATER))
    assert kube.get(path)["series"] == {"count": 3, "lastObservedTime": LATER}


async def test_event_that_the_api_server_refuses_is_an_error(cluster: KubernetesCluster, namespace: str) -> None:
    with pytest.raises(Refused):
        await cluster.record_event(event(namespace, "yesterday"))


async def test_heartbeat_changes_the_lease_each_time(cluster: KubernetesCluster, kube: Kube, namespace: str) -> None:
    seen = []
    for value in ("1", "2", "3"):
        await cluster.touch_heartbeat(Key(namespace, "heartbeat"), value=value)
        lease = kube.get(f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/heartbeat")
        seen.append((lease["metadata"]["annotations"][HEARTBEAT_ANNOTATION], lease["metadata"]["resourceVersion"]))
    assert [value for value, _ in seen] == ["1", "2", "3"]
    assert len({version for _, version in seen}) == 3


# --- credentials


def service_account(kube: Kube, namespace: str) -> str:
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
    return str(kube.post(path, request)["status"]["token"])


@pytest.fixture
def pod_environment(kubeconfig: Path, tmp_path: Path) -> dict[str, str]:
    """As in a pod whose service account's files are in `tmp_path`; its token is out of date."""
    given: dict[str, Any] = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
    (tmp_path / "ca.crt").write_bytes(base64.b64decode(given["certificate-authority-data"]))
    (tmp_path / "token").write_text("expired")
    server = urlsplit(given["server"])
    return {"KUBERNETES_SERVICE_HOST": str(server.hostname), "KUBERNETES_SERVICE_PORT": str(server.port)}


async def test_pods_token_that_rotated_is_taken_up(
    kube: Kube, pod_environment: dict[str, str], namespace: str, tmp_path: Path
) -> None:
    async with in_cluster(directory=tmp_path, environ=pod_environment) as connection:
        cluster = KubernetesCluster(connection)
        with pytest.raises(BadCredentials):
            await cluster.secret(Key(namespace, "any"))
        (tmp_path / "token").write_text(service_account(kube, namespace))
        with pytest.raises(Refused, match="403"):  # known now, and without rights
            await cluster.secret(Key(namespace, "any"))
