"""Who may break the glass, on a real API server: `override` is a right of its own, and is used in one's own name.

The policy, which is cluster-wide, is installed under a name of the tests' own. Two people may patch WorkItems in their
namespace; `chief` is bound to the ClusterRole too.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from conveyor.cli.main import main
from tests.cluster.api import ApiError, Kube
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fixtures import unique_name
from tests.integration.crd_objects import HAND_MADE
from tests.integration.rights import until

Object = dict[str, Any]
MANIFEST = Path(__file__).parents[2] / "deploy" / "operator" / "override-policy.yaml"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
ADMISSION = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolic"
OVERRIDE = "request.conveyor.dev/override"
MAY_PATCH = [{"apiGroups": ["conveyor.dev"], "resources": ["workitems"], "verbs": ["get", "create", "patch"]}]


@pytest.fixture(scope="module")
def namespace(kube: Kube, crds: None) -> Iterator[str]:
    """One for all tests here: the policy takes a second to come into force."""
    name = unique_name("override-access")
    kube.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    kube.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture(scope="module")
def installed(kube: Kube, namespace: str) -> Iterator[str]:
    """The manifest under the namespace's name, and both people's rights."""
    role, policy, binding = (document for document in yaml.safe_load_all(MANIFEST.read_text()) if document)
    for document in (role, policy, binding):
        document["metadata"]["name"] = namespace
    binding["spec"]["policyName"] = namespace
    with contextlib.ExitStack() as stack:
        kube.post(f"{RBAC}/clusterroles", role)
        stack.callback(kube.delete, f"{RBAC}/clusterroles/{namespace}")
        kube.post(f"{RBAC}/namespaces/{namespace}/roles", {"metadata": {"name": "patch"}, "rules": MAY_PATCH})
        for person in ("member", "chief"):
            kube.post(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": person}})
            bind(kube, namespace, person, {"kind": "Role", "name": "patch"})
        bind(kube, namespace, "chief", {"kind": "ClusterRole", "name": namespace})
        for plural, body in ((f"{ADMISSION}ies", policy), (f"{ADMISSION}ybindings", binding)):
            kube.post(plural, body)
            stack.callback(kube.delete, f"{plural}/{namespace}")
        yield namespace


def bind(kube: Kube, namespace: str, person: str, role: Object) -> None:
    subject = {"kind": "ServiceAccount", "name": person, "namespace": namespace}
    reference = {"apiGroup": "rbac.authorization.k8s.io", **role}
    metadata = {"name": f"{person}-{role['kind'].lower()}"}
    body = {"metadata": metadata, "roleRef": reference, "subjects": [subject]}
    kube.post(f"{RBAC}/namespaces/{namespace}/rolebindings", body)


@pytest.fixture(scope="module")
def people(control_plane: ControlPlane, installed: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A kubeconfig of each, once Roles and policy are in force."""
    folder = tmp_path_factory.mktemp("people")
    found = {
        person: control_plane.service_account_kubeconfig(installed, person, path=folder / person)
        for person in ("member", "chief")
    }
    with Kube(found["member"]) as member, Kube(found["chief"]) as chief:
        until(lambda: create(chief, installed, "probe", "r0 created>done x"), ends_as="allowed")
        until(lambda: create(member, installed, "probe", "r0 created>done x"), ends_as="refused")
    return found


def create(client: Kube, namespace: str, name: str, request: str | None) -> Object:
    """A dry run."""
    annotations = {} if request is None else {OVERRIDE: request}
    body: Object = {"apiVersion": "conveyor.dev/v1alpha1", "kind": "WorkItem", "spec": HAND_MADE}
    body["metadata"] = {"name": name, "annotations": annotations}
    return client.post(f"/apis/conveyor.dev/v1alpha1/namespaces/{namespace}/workitems", body, dryRun="All")


@pytest.fixture
def item(kube: Kube, installed: str) -> Iterator[str]:
    """The path of a WorkItem on which somebody has asked for an override before."""
    name = unique_name("item")
    body: Object = {"apiVersion": "conveyor.dev/v1alpha1", "kind": "WorkItem", "spec": HAND_MADE}
    body["metadata"] = {"name": name, "annotations": {OVERRIDE: "r1 review>done by hand"}}
    path = f"/apis/conveyor.dev/v1alpha1/namespaces/{installed}/workitems"
    kube.post(path, body)
    yield f"{path}/{name}"
    kube.delete(f"{path}/{name}")


def annotate(path: Path, item: str, request: str | None, **others: str) -> str:
    """What the API server says to a person who sets the annotation; empty where it stores it."""
    with Kube(path) as client:
        try:
            client.patch(item, {"metadata": {"annotations": {OVERRIDE: request, **others}}})
        except ApiError as error:
            return f"{error.code} {error}"
    return ""


def test_a_member_may_ask_for_every_other_verb(people: dict[str, Path], item: str) -> None:
    others = {f"request.conveyor.dev/{verb}": "r2 x" for verb in ("approve", "retry", "rework", "release-lease")}
    assert annotate(people["member"], item, "r1 review>done by hand", **others) == ""


def test_a_member_may_not_override(people: dict[str, Path], item: str) -> None:
    said = annotate(people["member"], item, "r2 review>done x")
    assert said.startswith("403 ")
    assert "needs the verb override on workitems.conveyor.dev" in said


def test_a_member_may_not_create_what_is_overridden_already(people: dict[str, Path], installed: str) -> None:
    with Kube(people["member"]) as client:
        assert create(client, installed, "plain", None)["metadata"]["name"] == "plain"
        with pytest.raises(ApiError, match="needs the verb override"):
            create(client, installed, "moved", "r1 created>done x")


def test_a_member_may_take_the_request_away(people: dict[str, Path], item: str) -> None:
    assert annotate(people["member"], item, None) == ""


def test_a_chief_may_override_in_their_own_name(people: dict[str, Path], item: str, installed: str) -> None:
    me = f"system:serviceaccount:{installed}:chief"
    assert annotate(people["chief"], item, f"r2 by={me} review>done x") == ""
    assert annotate(people["chief"], item, "r3 review>done x") == ""


@pytest.mark.parametrize(
    "request_",
    [
        "r2 by=somebody review>done x",
        "  r2\n\tby=somebody review>done x",
        f"r2 by={'x' * 200} review>done x",
        "r2 by=system:serviceaccount:other:chief review>done x",
    ],
)
def test_nobody_overrides_in_another_name(people: dict[str, Path], item: str, request_: str) -> None:
    assert "is somebody else" in annotate(people["chief"], item, request_)


def test_a_name_in_the_reason_is_only_text(people: dict[str, Path], item: str) -> None:
    assert annotate(people["chief"], item, "r2 review>done as by=somebody said") == ""


def test_a_right_in_one_namespace_is_none_in_another(people: dict[str, Path], kube: Kube) -> None:
    with Kube(people["chief"]) as client, pytest.raises(ApiError) as refused:
        create(client, "default", "elsewhere", "r1 created>done x")
    assert refused.value.code == 403


def test_the_command_names_whoever_runs_it(
    people: dict[str, Path], item: str, kube: Kube, installed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = item.rpartition("/")[2]
    words = ["override", name, "review>done", "merged by hand", "--no-wait", "-n", installed, "--kubeconfig"]
    assert main([*words, str(people["member"])]) == 1
    assert "needs the verb override" in capsys.readouterr().err
    assert main([*words, str(people["chief"])]) == 0
    stored = kube.get(item)["metadata"]["annotations"][OVERRIDE]
    me = f"system:serviceaccount:{installed}:chief"
    assert stored.partition(" ")[2] == f"by={me} review>done merged by hand"
