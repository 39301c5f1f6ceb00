"""Which cluster the tests use: one given by name, kind's, or servers of their own.

A cluster is never found by itself: neither KUBECONFIG nor ~/.kube/config is read, so that tests cannot reach a cluster
that somebody works with.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.cluster import binaries
from tests.cluster.api import ApiError, Kube
from tests.cluster.control_plane import ControlPlane
from tests.cluster.processes import temporary_directory

VARIABLE = "CONVEYOR_TEST_KUBECONFIG"
MARKER, LABEL = "conveyor-tests", ("conveyor.dev/tests", "allowed")
KIND_CLUSTER, KIND_IMAGE = "conveyor-tests", "kindest/node:v1.34.0"


class ClusterRefusedError(Exception):
    """No cluster was touched; the message says what to do."""


@dataclass(frozen=True)
class Choice:
    """What the user asked for; nothing at all means servers of our own."""

    kubeconfig: Path | None = None
    kind: bool = False
    kind_binary: str | None = None
    kind_image: str | None = None
    keep_kind: bool = False


@dataclass(frozen=True)
class Cluster:
    """`control_plane` is None when the servers are not ours to restart; there the nodes are real as well."""

    kubeconfig: Path
    control_plane: ControlPlane | None


@contextlib.contextmanager
def cluster(choice: Choice, say: binaries.Say = print) -> Iterator[Cluster]:
    """The chosen cluster for the time of the block. Raises ClusterRefusedError or binaries.CannotBuildError."""
    given = choice.kubeconfig or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    if given and choice.kind:
        raise ClusterRefusedError(f"both a kubeconfig ({given}) and --kind were given; give one of them")
    if given:
        check_marker(given)
        yield Cluster(given, None)
    elif choice.kind:
        with _kind(choice, say) as kubeconfig:
            yield Cluster(kubeconfig, None)
    else:
        with temporary_directory("cluster") as directory, ControlPlane(directory, say=say) as plane:
            yield Cluster(plane.kubeconfig, plane)


def check_marker(kubeconfig: Path) -> None:
    """Raises ClusterRefusedError unless the cluster carries the sign that tests may write to it."""
    key, value = LABEL
    try:
        with Kube(kubeconfig, timeout=10) as kube:
            labels = kube.get(f"/api/v1/namespaces/{MARKER}")["metadata"].get("labels", {})
    except ApiError as error:
        if error.code not in (403, 404):
            raise
        labels = {}
    except httpx.TransportError as error:
        raise ClusterRefusedError(f"the cluster of {kubeconfig} does not answer: {error}") from error
    if labels.get(key) != value:
        raise ClusterRefusedError(
            f"the cluster of {kubeconfig} is not marked as one for tests, which make and delete namespaces and CRDs."
            " If it may be used, mark it:\n"
            f"  kubectl --kubeconfig {kubeconfig} create namespace {MARKER}\n"
            f"  kubectl --kubeconfig {kubeconfig} label namespace {MARKER} {key}={value}"
        )


def mark(kubeconfig: Path) -> None:
    """Set the sign; for clusters that we have made."""
    metadata = {"name": MARKER, "labels": dict([LABEL])}
    with Kube(kubeconfig) as kube:
        kube.apply(f"/api/v1/namespaces/{MARKER}", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})


@contextlib.contextmanager
def _kind(choice: Choice, say: binaries.Say) -> Iterator[Path]:
    program = choice.kind_binary or shutil.which("kind")
    if program is None:
        raise ClusterRefusedError("--kind needs kind on PATH (or --kind-bin PATH)")
    if not container_engine_runs():
        raise ClusterRefusedError("--kind needs a running container engine; neither docker nor podman answers")
    from pytest_kind.cluster import KindCluster  # noqa: PLC0415 (its imports are wanted here alone)

    directory = binaries.cache_root() / "kind"  # kept, because a kept cluster is of no use without its kubeconfig
    directory.mkdir(parents=True, exist_ok=True)
    kubeconfig, image = directory / "kubeconfig", choice.kind_image or KIND_IMAGE
    say(f"creating the kind cluster {KIND_CLUSTER}, unless it is there")
    with contextlib.chdir(directory):  # KindCluster makes a directory where it stands
        made = KindCluster(KIND_CLUSTER, kubeconfig, image=image, kind_path=Path(program).absolute())
        made.create()
    try:
        mark(kubeconfig)
        yield kubeconfig
    finally:
        if not choice.keep_kind:
            made.delete()
            kubeconfig.unlink(missing_ok=True)


def container_engine_runs() -> bool:
    for engine in ("docker", "podman"):
        if shutil.which(engine):
            with contextlib.suppress(subprocess.TimeoutExpired):
                done = subprocess.run([engine, "ps"], capture_output=True, timeout=20, check=False)
                if done.returncode == 0:
                    return True
    return False
