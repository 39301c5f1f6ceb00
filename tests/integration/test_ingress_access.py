"""The ingress's service account on a real API server: what it stores, and what its policy refuses.

The policy, which is cluster-wide, is installed under a name of the tests' own.
"""

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from conveyor.api.annotations import HintClass
from conveyor_ingress import cluster_access
from conveyor_ingress.api_server import ApiServer
from conveyor_ingress.resolve import CreateItem, PatchHint
from tests.cluster.api import MERGE, ApiError, Kube
from tests.cluster.fixtures import unique_name
from tests.integration.rights import until

Object = dict[str, Any]
DEPLOY = Path(__file__).parents[2] / "deploy" / "ingress"
CONVEYOR = "/apis/conveyor.dev/v1alpha1"
ITEM = "shop-et-17"
BRANCH = "feature/ET-17-cart"
SOURCE = {"tracker": "Plane", "projectID": "p1", "issueID": "i1", "key": "ET-17", "url": "https://plane.test/i1"}


def manifests(file: str, namespace: str) -> list[Object]:
    """The file's objects, with the test's namespace in the place of the ingress's."""
    text = (DEPLOY / file).read_text().replace("conveyor-system", namespace)
    return [document for document in yaml.safe_load_all(text) if document]


@pytest.fixture(scope="module")
def namespace(kube: Kube, crds: None) -> Iterator[str]:
    """One for all tests here: the policy takes a second to come into force. Holds a Repository and an item."""
    name = unique_name("ingress-access")
    kube.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    forge = {"url": "https://git.test", "owner": "acme", "name": "shop", "credentialsSecretRef": {"name": "gitea"}}
    repository: Object = {"kind": "Repository", "metadata": {"name": "shop"}, "spec": {"forge": forge}}
    make(kube, name, "repositories", repository)
    spec = {"repositoryRef": {"name": "shop"}, "title": "Cart"}
    make(kube, name, "workitems", {"kind": "WorkItem", "metadata": {"name": ITEM}, "spec": spec})
    status = {"status": {"stage": "created", "branch": BRANCH}}
    kube.patch(f"{path(name, 'workitems', ITEM)}/status", status, content_type=MERGE)
    yield name
    kube.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture(scope="module")
def token(kube: Kube, namespace: str) -> Iterator[str]:
    """Installs account, Role and policy, and gives a token of the account."""
    account, role, binding = manifests("access.yaml", namespace)
    policy, policy_binding = manifests("admission-policy.yaml", namespace)
    policy["metadata"]["name"] = policy_binding["metadata"]["name"] = policy_binding["spec"]["policyName"] = namespace
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    rights = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    admission = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolic"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
    with contextlib.ExitStack() as stack:
        kube.post(accounts, account)
        kube.post(f"{rights}/roles", role)
        kube.post(f"{rights}/rolebindings", binding)
        for plural, body in ((f"{admission}ies", policy), (f"{admission}ybindings", policy_binding)):
            kube.post(plural, body)
            stack.callback(kube.delete, f"{plural}/{namespace}")
        yield kube.post(f"{accounts}/conveyor-ingress/token", request)["status"]["token"]


@pytest.fixture(scope="module")
def config(kubeconfig: Path, token: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kubeconfig of the ingress's service account."""
    content = yaml.safe_load(kubeconfig.read_text())
    for user in content["users"]:
        user["user"] = {"token": token}
    path = tmp_path_factory.mktemp("ingress") / "kubeconfig"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture(scope="module")
def ingress(config: Path, namespace: str) -> Iterator[Kube]:
    """A client with the ingress's rights, once Role and policy are in force."""
    probe = {"apiVersion": "conveyor.dev/v1alpha1"} | started(priority=9)
    with Kube(config) as client:
        until(lambda: client.get(path(namespace, "workitems", ITEM)), ends_as="allowed")
        until(lambda: client.post(path(namespace, "workitems"), probe, dryRun="All"), ends_as="refused")
        yield client


@pytest.fixture
async def store(anyio_backend: str, ingress: Kube, config: Path) -> AsyncIterator[ApiServer]:
    async with ApiServer(cluster_access.from_kubeconfig(config)) as client:
        yield client


def path(namespace: str, plural: str, name: str = "") -> str:
    return f"{CONVEYOR}/namespaces/{namespace}/{plural}" + (f"/{name}" if name else "")


def make(kube: Kube, namespace: str, plural: str, body: Object) -> Object:
    return kube.post(path(namespace, plural), {"apiVersion": "conveyor.dev/v1alpha1"} | body)


def started(name: str = "shop-et-18", **spec: Any) -> Object:
    """An item as the ingress makes it, and whatever else the row adds."""
    plain: Object = {"repositoryRef": {"name": "shop"}, "source": SOURCE}
    return {"kind": "WorkItem", "metadata": {"name": name}, "spec": plain | spec}


async def test_ingress_reads_hints_and_creates(store: ApiServer, kube: Kube, namespace: str) -> None:
    await store.reach()
    repository = await store.repository(namespace, "shop")
    assert repository is not None
    assert repository.full_name == "acme/shop"
    found = await store.item(namespace, ITEM)
    assert found is not None
    assert (found.repository, found.branch, found.hints) == ("shop", BRANCH, {})

    assert await store.put_hint(namespace, PatchHint("WorkItem", ITEM, HintClass.PUSH, "one"))
    assert await store.put_hint(namespace, PatchHint("Repository", "shop", HintClass.CI, "two"))
    read_again = await store.item(namespace, ITEM)
    assert read_again is not None
    assert read_again.hints["push"] == "one"
    glanced_at = await store.item(namespace, ITEM, newest=False)
    assert glanced_at is not None
    assert (glanced_at.repository, glanced_at.branch) == ("shop", BRANCH)

    new = CreateItem("shop-et-18", "shop", SOURCE, HintClass.TICKET, "three")
    assert await store.create_item(namespace, new)
    assert not await store.create_item(namespace, new)
    stored = kube.get(path(namespace, "workitems", "shop-et-18"))
    assert stored["spec"] == {"repositoryRef": {"name": "shop"}, "source": SOURCE}
    assert stored["metadata"]["annotations"] == {"hint.conveyor.dev/ticket": "three"}


async def test_absent_objects_are_none_and_not_stored(store: ApiServer, namespace: str) -> None:
    assert await store.item(namespace, "absent") is None
    assert not await store.put_hint(namespace, PatchHint("WorkItem", "absent", HintClass.PUSH, "x"))


@pytest.mark.parametrize("plural", ["workitems", "repositories"])
@pytest.mark.parametrize(
    "patch",
    [
        {"metadata": {"labels": {"x": "y"}}},
        {"metadata": {"finalizers": ["x.test/y"]}},
        {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "y"}]}},
        {"metadata": {"annotations": {"request.conveyor.dev/approve": "1"}}},
        {"metadata": {"annotations": {"conveyor.dev/freeze": "x"}}},
        {"metadata": {"annotations": {"hint.conveyor.dev/push": "x", "other": "y"}}},
        {"spec": {"priority": 9, "maxConcurrentRuns": 9}},
        {"spec": {"suspend": True, "queueName": "x"}},
    ],
    ids=["label", "finalizer", "owner", "verb", "freeze", "hint-and-more", "spec", "spec-again"],
)
def test_patch_of_anything_but_hints_is_forbidden(ingress: Kube, namespace: str, plural: str, patch: Object) -> None:
    name = ITEM if plural == "workitems" else "shop"
    with pytest.raises(ApiError, match="the ingress may") as error:
        ingress.patch(path(namespace, plural, name), patch)
    assert error.value.code == 403


def test_foreign_annotation_can_be_neither_changed_nor_removed(ingress: Kube, kube: Kube, namespace: str) -> None:
    target = path(namespace, "repositories", "shop")
    kube.patch(target, {"metadata": {"annotations": {"conveyor.dev/freeze": "release"}}})
    for value in ("thawed", None):
        with pytest.raises(ApiError) as error:
            ingress.patch(target, {"metadata": {"annotations": {"conveyor.dev/freeze": value}}})
        assert error.value.code == 403
    ingress.patch(target, {"metadata": {"annotations": {"hint.conveyor.dev/push": "x"}}})
    assert kube.get(target)["metadata"]["annotations"]["conveyor.dev/freeze"] == "release"


@pytest.mark.parametrize(
    "body",
    [
        started(priority=9),
        started(dependsOn=[{"name": ITEM}]),
        started(title="x"),
        started(suspend=False),
        {"kind": "WorkItem", "metadata": {"name": "x"}, "spec": {"repositoryRef": {"name": "shop"}, "title": "x"}},
        started() | {"metadata": {"name": "x", "labels": {"x": "y"}}},
        started() | {"metadata": {"name": "x", "finalizers": ["x.test/y"]}},
        started() | {"metadata": {"name": "x", "annotations": {"request.conveyor.dev/approve": "1"}}},
    ],
    ids=["priority", "depends-on", "title", "suspend", "no-source", "label", "finalizer", "verb"],
)
def test_item_with_more_than_repository_and_source_is_forbidden(ingress: Kube, namespace: str, body: Object) -> None:
    with pytest.raises(ApiError, match="the ingress may") as error:
        make(ingress, namespace, "workitems", body)
    assert error.value.code == 403


@pytest.mark.parametrize("plural", ["workitems", "repositories"])
def test_status_and_deletion_are_forbidden(ingress: Kube, namespace: str, plural: str) -> None:
    name = path(namespace, plural, ITEM if plural == "workitems" else "shop")
    with pytest.raises(ApiError) as error:
        ingress.patch(f"{name}/status", {"status": {"observedGeneration": 7}})
    assert error.value.code == 403
    with pytest.raises(ApiError) as error:
        ingress.delete(name)
    assert error.value.code == 403


@pytest.mark.parametrize("plural", ["workitems", "repositories"])
def test_status_said_beside_a_hint_is_not_stored(ingress: Kube, kube: Kube, namespace: str, plural: str) -> None:
    name = path(namespace, plural, ITEM if plural == "workitems" else "shop")
    before = kube.get(name).get("status")
    hint = {"metadata": {"annotations": {"hint.conveyor.dev/push": "beside"}}}
    ingress.patch(name, hint | {"status": {"observedGeneration": 777}}, content_type=MERGE)
    stored = kube.get(name)
    assert (stored["metadata"]["annotations"]["hint.conveyor.dev/push"], stored.get("status")) == ("beside", before)


def test_status_said_of_a_new_item_is_not_stored(ingress: Kube, kube: Kube, namespace: str) -> None:
    make(ingress, namespace, "workitems", started() | {"metadata": {"name": "said"}, "status": {"stage": "deploy"}})
    assert "status" not in kube.get(path(namespace, "workitems", "said"))


@pytest.mark.parametrize(
    "resource",
    ["/api/v1/namespaces/{}/secrets", "/api/v1/namespaces/{}/pods", f"{CONVEYOR}/namespaces/{{}}/workitems"],
)
def test_secrets_pods_and_lists_are_forbidden(ingress: Kube, namespace: str, resource: str) -> None:
    with pytest.raises(ApiError) as error:
        ingress.get(resource.format(namespace))
    assert error.value.code == 403


def test_more_rights_by_mistake_are_still_refused_by_the_policy(ingress: Kube, kube: Kube, namespace: str) -> None:
    role = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles/conveyor-ingress"
    granted = kube.get(role)["rules"]
    kube.patch(role, {"rules": [{"apiGroups": ["conveyor.dev"], "resources": ["*"], "verbs": ["*"]}]})
    until(lambda: ingress.get(path(namespace, "workitems")), ends_as="allowed")
    target = path(namespace, "workitems", ITEM)
    forge = {"url": "https://x.test", "owner": "a", "name": "b", "credentialsSecretRef": {"name": "c"}}
    repository: Object = {"kind": "Repository", "metadata": {"name": "new"}, "spec": {"forge": forge}}
    try:
        for attempt in (
            lambda: ingress.patch(f"{target}/status", {"status": {"stage": "analysis"}}),
            lambda: ingress.delete(target),
            lambda: make(ingress, namespace, "repositories", repository),
        ):
            with pytest.raises(ApiError, match="the ingress may") as error:
                attempt()
            assert error.value.code == 403
    finally:
        kube.patch(role, {"rules": granted})
        until(lambda: ingress.get(path(namespace, "workitems")), ends_as="refused")


def test_others_are_not_limited_by_the_policy(ingress: Kube, kube: Kube, namespace: str) -> None:
    kube.patch(path(namespace, "workitems", ITEM), {"metadata": {"labels": {"x": "y"}}, "spec": {"priority": 3}})
    assert kube.get(path(namespace, "workitems", ITEM))["spec"]["priority"] == 3
