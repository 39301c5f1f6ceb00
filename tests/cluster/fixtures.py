"""Fixtures of the tests that need real servers; a plugin of `tests/conftest.py`, so that every folder has them.

| fixture | scope | what |
|---|---|---|
| `kubeconfig`, `kube` | session | the chosen cluster, and a small client of it |
| `control_plane` | session | its servers, to be restarted or killed; skips where they are not ours |
| `crds` | session | `crds/*.yaml` installed |
| `namespace` | test | a namespace of the test's own |
| `process_node` | test | runs the pods of `namespace`; skips where nodes are real |
| `gitea` | session | a Gitea; never change what is global in it |
| `gitea_repository` | test | a repository of the test's own, with one commit |
"""

import re
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.cluster import binaries
from tests.cluster.api import ApiError, Kube
from tests.cluster.choose import Choice, Cluster, ClusterRefusedError
from tests.cluster.choose import cluster as chosen_cluster
from tests.cluster.control_plane import ControlPlane
from tests.cluster.crds import NoCrdsError
from tests.cluster.crds import install as install_crds
from tests.cluster.gitea import Gitea, Repository
from tests.cluster.node import ProcessNode
from tests.cluster.processes import temporary_directory

_MARKED_BY = {"cluster": {"kubeconfig", "control_plane"}, "gitea": {"gitea"}}


@pytest.hookimpl(tryfirst=True)  # before -m is looked at
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for marker, fixtures in _MARKED_BY.items():
            if fixtures & set(getattr(item, "fixturenames", ())):
                item.add_marker(marker)


def unique_name(prefix: str) -> str:
    """A name that no other test has: lower case, for namespaces, repositories and users alike."""
    return f"{re.sub(r'[^a-z0-9]+', '-', prefix.lower())[:40].strip('-')}-{secrets.token_hex(4)}"


@pytest.fixture(scope="session")
def say(pytestconfig: pytest.Config) -> binaries.Say:
    """Prints past pytest's capture: a build of minutes is not silent."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def write(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n{line}", flush=True)

    return write


@pytest.fixture(scope="session")
def chosen(pytestconfig: pytest.Config, say: binaries.Say) -> Iterator[Cluster]:
    """The options are pytest-kind's, but for `--kind`."""
    option = pytestconfig.getoption
    kubeconfig = option("kubeconfig")
    choice = Choice(
        kubeconfig=Path(kubeconfig) if kubeconfig else None,
        kind=option("kind"),
        kind_binary=option("kind_bin"),
        kind_image=option("kind_image"),
        keep_kind=option("keep_cluster"),
    )
    began = time.monotonic()
    try:
        with chosen_cluster(choice, say) as cluster:
            say(f"cluster ready in {time.monotonic() - began:.1f} s")
            yield cluster
    except (ClusterRefusedError, binaries.CannotBuildError) as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def kubeconfig(chosen: Cluster) -> Path:
    return chosen.kubeconfig


@pytest.fixture(scope="session")
def control_plane(chosen: Cluster) -> ControlPlane:
    if chosen.control_plane is None:
        pytest.skip("the given cluster's servers are not ours to stop")
    return chosen.control_plane


@pytest.fixture(scope="session")
def kube(kubeconfig: Path) -> Iterator[Kube]:
    with Kube(kubeconfig) as client:
        yield client


@pytest.fixture(scope="session")
def crds(kube: Kube) -> None:
    """Installed and served; a test that needs them fails when they have not been generated."""
    try:
        install_crds(kube)
    except NoCrdsError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def namespace(kube: Kube, request: pytest.FixtureRequest) -> Iterator[str]:
    name = unique_name(request.node.name)
    kube.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    _until_service_account(kube, name)
    yield name
    kube.delete(f"/api/v1/namespaces/{name}")


def _until_service_account(kube: Kube, namespace: str) -> None:
    """Pods are refused before the namespace's default service account is there."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            kube.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/default")
        except ApiError as error:
            if error.code != 404:
                raise
            time.sleep(0.02)
        else:
            return
    pytest.fail(f"no default service account in {namespace} after 30 s: is the controller manager running?")


@pytest.fixture
async def process_node(anyio_backend: str, chosen: Cluster, namespace: str) -> AsyncIterator[ProcessNode]:
    if chosen.control_plane is None:
        pytest.skip("the given cluster has nodes of its own, which would take the pods")
    async with ProcessNode(chosen.kubeconfig, namespaces=[namespace]) as node:
        yield node


@pytest.fixture(scope="session")
def gitea(say: binaries.Say) -> Iterator[Gitea]:
    began = time.monotonic()
    try:
        with temporary_directory("gitea") as directory, Gitea(directory, say=say) as server:
            say(f"Gitea ready in {time.monotonic() - began:.1f} s")
            server.create_organization("tests")
            yield server
    except binaries.CannotBuildError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def gitea_repository(gitea: Gitea, request: pytest.FixtureRequest) -> Repository:
    return gitea.create_repository("tests", unique_name(request.node.name), files={"README.md": "# For a test\n"})
