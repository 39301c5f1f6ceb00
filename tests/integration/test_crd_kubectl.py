"""`kubectl` shows items and repositories as people know them, and explains their fields."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.cluster import binaries
from tests.cluster.api import Kube
from tests.integration import crd_objects
from tests.integration.crd_objects import AT, FORGE, HAND_MADE, Objects


@pytest.fixture
def items(kube: Kube, crds: None, namespace: str) -> Objects:
    items = crd_objects.workitems(kube, namespace)
    items.create("mend-login", HAND_MADE)
    return items


@pytest.fixture
def repositories(kube: Kube, crds: None, namespace: str) -> Objects:
    repositories = crd_objects.repositories(kube, namespace)
    repositories.create("shop", {"forge": FORGE})
    return repositories


class Kubectl:
    def __init__(self, kubeconfig: Path, namespace: str, cache: Path) -> None:
        program = binaries.ensure(["kubectl"])["kubectl"]
        self._command = (str(program), f"--kubeconfig={kubeconfig}", f"--namespace={namespace}", f"--cache-dir={cache}")

    def __call__(self, *arguments: str) -> str:
        answer = subprocess.run(
            [*self._command, *arguments], capture_output=True, text=True, timeout=30, check=True, env={}
        )
        return answer.stdout

    def table(self, *arguments: str) -> list[list[str]]:
        """Rows of cells; columns are parted by at least two spaces."""
        return [re.split(r"\s{2,}", line.strip()) for line in self(*arguments).splitlines()]


@pytest.fixture
def kubectl(kubeconfig: Path, namespace: str, tmp_path: Path) -> Kubectl:
    return Kubectl(kubeconfig, namespace, tmp_path / "cache")


@pytest.fixture
def busy_item(items: Objects) -> Objects:
    run = {"name": "mend-login-analyst-1-0a1b2c3d", "role": "analyst", "stage": "analysis", "attempt": 2}
    intent = {"id": "t1", "from": "created", "to": "analysis", "effect": "CutBranch", "phase": "Prepared"}
    status = {
        "stage": "created",
        "stageEnteredTime": AT,
        "branch": "feature/MEND-LOGIN",
        "pullRequest": {"number": 12, "url": "https://git.test/acme/shop/pulls/12"},
        "waiting": {"reason": "Run", "message": "the analyst works"},
        "activeRun": run | {"token": "t", "startedTime": AT},
        "transition": intent | {"precondition": {}, "fencingToken": 1, "holder": "pod-1/c", "deadlineTime": AT},
    }
    items.write_status("mend-login", status)
    return items


@pytest.mark.usefixtures("busy_item")
def test_kubectl_get_shows_where_an_item_is(kubectl: Kubectl) -> None:
    header, row = kubectl.table("get", "workitems")
    assert header == ["NAME", "REPO", "STAGE", "WAITING", "ATTEMPT", "IN-STAGE", "AGE"]
    assert row[:5] == ["mend-login", "shop", "created", "Run", "2"]
    assert all(re.fullmatch(r"\d+[smhdy].*|<invalid>", age) for age in row[5:])


@pytest.mark.usefixtures("busy_item")
def test_kubectl_get_wide_shows_what_it_works_on(kubectl: Kubectl) -> None:
    header, row = kubectl.table("get", "wi", "-o", "wide")
    assert header[7:] == ["BRANCH", "PR", "RUN", "HOLDER", "MESSAGE"]
    assert row[7:] == ["feature/MEND-LOGIN", "12", "mend-login-analyst-1-0a1b2c3d", "pod-1/c", "the analyst works"]


def test_kubectl_get_shows_whether_a_repository_is_ready(repositories: Objects, kubectl: Kubectl) -> None:
    ready = {"type": "Ready", "status": "False", "reason": "Unreachable", "message": "no", "lastTransitionTime": AT}
    frozen = {"reason": "audit", "source": "Annotation", "scope": "merge", "sinceTime": AT}
    active = {"name": "mend-login", "uid": "u"}
    repositories.write_status("shop", {"conditions": [ready], "effectiveFreeze": frozen, "activeItem": active})
    header, row = kubectl.table("get", "crepo")
    assert header == ["NAME", "READY", "REASON", "FROZEN", "ADMITTED", "AGE"]
    assert row[:5] == ["shop", "False", "Unreachable", "merge", "mend-login"]


@pytest.mark.usefixtures("items", "repositories")
def test_kubectl_get_finds_both_kinds_by_their_category(kubectl: Kubectl) -> None:
    assert sorted(kubectl("get", "conveyor", "-o", "name").split()) == [
        "repository.conveyor.dev/shop",
        "workitem.conveyor.dev/mend-login",
    ]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("workitem.spec.dependsOn", "The item starts only when these are done."),
        ("workitem.status.transition.effect", "What is to happen at most once."),
        ("repository.spec.gates.review.approvals", "How many approvals are needed."),
        ("repository.status.freezes.scope", "What stops."),
    ],
)
@pytest.mark.usefixtures("crds")
def test_kubectl_explain_explains(kubectl: Kubectl, path: str, text: str) -> None:
    assert text in kubectl("explain", path)
