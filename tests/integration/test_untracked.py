"""An item under way carries no managedFields, whoever writes it: but for one that somebody applies server-side."""

from pathlib import Path
from typing import Any

import pytest

from conveyor.api.annotations import GROUP, TRANSITION_FINALIZER, VERSION
from conveyor.cluster.client import KubernetesCluster
from conveyor.cluster.connection import from_kubeconfig
from conveyor.cluster.protocol import JSONObject, Key, Kind, Won
from tests.cluster.api import Kube
from tests.integration.crd_objects import HAND_MADE

APPLY = "application/apply-patch+yaml"
MANIFEST: JSONObject = {
    "apiVersion": f"{GROUP}/{VERSION}",
    "kind": "WorkItem",
    "metadata": {"name": "one"},
    "spec": HAND_MADE,
}


def target(namespace: str) -> str:
    return f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/workitems/one"


def managers(kube: Kube, namespace: str) -> list[tuple[str, str]]:
    metadata: dict[str, Any] = kube.get(target(namespace))["metadata"]
    return [(entry["manager"], entry["operation"]) for entry in metadata.get("managedFields", [])]


async def begun(kubeconfig: Path, namespace: str) -> Won:
    """As the engine does with its first intent, and then a status."""
    async with await from_kubeconfig(kubeconfig) as connection:
        cluster, key = KubernetesCluster(connection), Key(namespace, "one")
        found = await cluster.get(Kind.WORKITEM, key)
        assert found is not None
        held = await cluster.set_finalizers(
            Kind.WORKITEM,
            key,
            resource_version=found["metadata"]["resourceVersion"],
            finalizers=(TRANSITION_FINALIZER,),
            untracked=True,
        )
        assert isinstance(held, Won)
        version = held.object["metadata"]["resourceVersion"]
        written = await cluster.patch_status(
            Kind.WORKITEM, key, resource_version=version, status={"branch": "feature/ONE"}
        )
        assert isinstance(written, Won)
        return written


@pytest.mark.usefixtures("crds")
async def test_item_that_has_begun_is_tracked_by_no_later_write(kube: Kube, kubeconfig: Path, namespace: str) -> None:
    kube.post(f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/workitems", MANIFEST)
    assert managers(kube, namespace)
    written = await begun(kubeconfig, namespace)
    kube.patch(target(namespace), {"metadata": {"annotations": {"of": "a person"}}})
    assert managers(kube, namespace) == []
    assert written.object["metadata"]["finalizers"] == [TRANSITION_FINALIZER]
    assert written.object["status"]["branch"] == "feature/ONE"


@pytest.mark.usefixtures("crds")
async def test_item_without_managed_fields_can_still_be_applied(kube: Kube, kubeconfig: Path, namespace: str) -> None:
    kube.post(f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/workitems", MANIFEST)
    await begun(kubeconfig, namespace)
    applied = MANIFEST | {"spec": HAND_MADE | {"priority": 7}}
    kube.patch(target(namespace), applied, content_type=APPLY, fieldManager="gitops", force="true")
    found = kube.get(target(namespace))
    assert (found["spec"]["priority"], found["status"]["branch"]) == (7, "feature/ONE")
    assert ("gitops", "Apply") in managers(kube, namespace)


@pytest.mark.usefixtures("crds")
async def test_who_applies_an_item_is_told_to_the_engine(kube: Kube, kubeconfig: Path, namespace: str) -> None:
    kube.patch(target(namespace), MANIFEST, content_type=APPLY, fieldManager="gitops")
    async with await from_kubeconfig(kubeconfig) as connection:
        found = await KubernetesCluster(connection).get(Kind.WORKITEM, Key(namespace, "one"))
    assert found is not None
    assert found["metadata"]["managedFields"] == [{"manager": "gitops", "operation": "Apply"}]
