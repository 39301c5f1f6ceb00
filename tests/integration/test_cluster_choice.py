"""Which cluster the tests may touch: one that was named and marked, and no other."""

import re
import sys
from pathlib import Path

import pytest

from tests.cluster import binaries
from tests.cluster.api import ApiError, Kube
from tests.cluster.choose import (
    LABEL,
    MARKER,
    VARIABLE,
    Choice,
    ClusterRefusedError,
    check_marker,
    cluster,
    mark,
)
from tests.cluster.control_plane import ControlPlane
from tests.cluster.kubeconfig import BadKubeconfigError, read


@pytest.fixture
def unmarked(kube: Kube) -> Kube:
    try:
        kube.patch(f"/api/v1/namespaces/{MARKER}", {"metadata": {"labels": {LABEL[0]: None}}})
    except ApiError as error:
        assert error.code == 404  # noqa: PT017 (the state before the test, not its subject)
    return kube


def test_cluster_without_the_marker_is_refused_with_the_commands_that_mark_it(unmarked: Kube, kubeconfig: Path) -> None:
    with (
        pytest.raises(ClusterRefusedError, match=f"label namespace {MARKER} {re.escape(LABEL[0])}={LABEL[1]}"),
        cluster(Choice(kubeconfig=kubeconfig)),
    ):
        pytest.fail("the cluster was given out")


def test_cluster_with_the_marker_is_given_out(unmarked: Kube, kubeconfig: Path) -> None:
    mark(kubeconfig)
    with cluster(Choice(kubeconfig=kubeconfig)) as given:
        assert given.kubeconfig == kubeconfig


def test_identity_that_cannot_read_the_marker_is_refused(
    unmarked: Kube, control_plane: ControlPlane, tmp_path: Path
) -> None:
    mark(control_plane.kubeconfig)
    other = control_plane.service_account_kubeconfig("default", "default", path=tmp_path / "kubeconfig")
    with pytest.raises(ClusterRefusedError, match="not marked"):
        check_marker(other)


def test_kubeconfig_named_by_the_variable_is_held_to_the_marker(
    unmarked: Kube, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(kubeconfig))
    with pytest.raises(ClusterRefusedError, match="not marked"), cluster(Choice()):
        pytest.fail("the cluster was given out")


def test_cluster_that_does_not_answer_is_refused(tmp_path: Path, kubeconfig: Path, control_plane: ControlPlane) -> None:
    gone = tmp_path / "kubeconfig"
    gone.write_text(kubeconfig.read_text().replace(control_plane.url, "https://127.0.0.1:1"))
    with pytest.raises(ClusterRefusedError, match="does not answer"):
        check_marker(gone)


def test_kubeconfig_and_kind_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ClusterRefusedError, match="give one of them"), cluster(Choice(tmp_path / "config", kind=True)):
        pytest.fail("a cluster was given out")


def test_kind_without_its_program_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterRefusedError, match="kind on PATH"), cluster(Choice(kind=True)):
        pytest.fail("a cluster was given out")


def test_kind_without_a_container_engine_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    choice = Choice(kind=True, kind_binary=sys.executable)
    with pytest.raises(ClusterRefusedError, match="container engine"), cluster(choice):
        pytest.fail("a cluster was given out")


def test_without_go_and_binaries_the_choices_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CONVEYOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    said: list[str] = []
    with pytest.raises(binaries.CannotBuildError) as refusal:
        binaries.ensure(binaries.CONTROL_PLANE, said.append)

    assert all(choice in str(refusal.value) for choice in ("install Go", "--kubeconfig", "--kind"))
    assert said == ["building etcd from Go modules (1 of 4, some minutes the first time)"]
    assert not list(tmp_path.rglob("etcd"))


def test_kubeconfig_is_readable_by_its_owner_alone(control_plane: ControlPlane) -> None:
    assert control_plane.kubeconfig.stat().st_mode & 0o777 == 0o600


def test_kubeconfig_that_logs_in_by_a_plugin_is_refused(kubeconfig: Path, tmp_path: Path) -> None:
    broken = tmp_path / "kubeconfig"
    broken.write_text(kubeconfig.read_text().replace("token:", "exec:"))
    with pytest.raises(BadKubeconfigError, match="plugins are not supported"):
        read(broken)


def test_service_account_is_what_its_kubeconfig_says(control_plane: ControlPlane, namespace: str) -> None:
    path = control_plane.service_account_kubeconfig(namespace, "default")
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    with Kube(path) as kube:
        answer = kube.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", review)

    assert answer["status"]["userInfo"]["username"] == f"system:serviceaccount:{namespace}:default"
