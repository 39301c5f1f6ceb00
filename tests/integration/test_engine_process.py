"""`conveyor-operator` as a process on a real API server: its start, what it outlives, its end.

| situation | |
|---|---|
| start | ready when all is listed and not before; wrong settings end it with their name |
| an object comes, changes, goes | the watch tells of it, and leaves nothing on the object |
| the API server away | live, not restarted, goes on when it is back; the leader stays the leader |
| an object deleted while no watch was open | found by the resync |
| SIGTERM | ends soon, with 0, and leaves nothing open |
"""

import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster import crds
from tests.cluster.api import Kube
from tests.cluster.binaries import Say
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fixtures import unique_name
from tests.integration.engine_process import OperatorProcess, Store, call, until


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory, say: Say) -> Iterator[ControlPlane]:
    """Servers of our own: others' controllers take half a minute to be themselves again after an outage."""
    with ControlPlane(tmp_path_factory.mktemp("plane"), say=say) as servers:
        with Kube(servers.kubeconfig) as kube:
            crds.install(kube)
        yield servers


@pytest.fixture
def store(plane: ControlPlane, request: pytest.FixtureRequest) -> Iterator[Store]:
    with Kube(plane.kubeconfig) as kube:
        name = unique_name(request.node.name)
        kube.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        yield Store(kube, name)


@pytest.fixture
def operator(plane: ControlPlane, store: Store, tmp_path: Path) -> Iterator[OperatorProcess]:
    with OperatorProcess(plane.kubeconfig, store.namespace, tmp_path / "log", resync=1.0) as process:
        yield process


@contextmanager
def without_apiserver(control_plane: ControlPlane) -> Iterator[None]:
    control_plane.kill_apiserver()
    try:
        yield
    finally:
        control_plane.start_apiserver()


def test_operator_is_ready_when_all_is_listed_and_not_before(
    plane: ControlPlane, store: Store, operator: OperatorProcess
) -> None:
    store.item("cart")
    with without_apiserver(plane):
        operator.restart()
        until(lambda: operator.answer("/healthz")[0] == 200)
        assert operator.answer("/readyz") == (503, "not listed yet: repositories, workitems\n")
    until(operator.is_ready)
    assert '"name":"cart"' in operator.answer("/queue")[1]
    assert operator.is_running()


def test_watch_tells_of_every_change_and_leaves_nothing_on_an_object(
    plane: ControlPlane, store: Store, tmp_path: Path
) -> None:
    with OperatorProcess(plane.kubeconfig, store.namespace, tmp_path / "log", resync=3600) as operator:
        until(operator.is_ready)

        def queued() -> list[str]:
            return [entry["name"] for entry in json.loads(operator.answer("/queue")[1])["items"]]

        for name in ("first", "second"):
            store.item(name)
            until(lambda name=name: store.stage(name) == "created")  # type: ignore[misc]
        until(lambda: queued() == ["first", "second"])
        store.kube.patch(store.path("workitems", "second"), {"spec": {"priority": 5}})
        until(lambda: queued() == ["second", "first"])
        store.kube.delete(store.path("workitems", "first"))
        until(lambda: queued() == ["second"])
    metadata = store.kube.get(store.path("workitems", "second"))["metadata"]
    assert metadata.keys().isdisjoint({"annotations", "finalizers"})


def test_api_server_that_goes_and_comes_costs_no_restart(
    plane: ControlPlane, store: Store, operator: OperatorProcess
) -> None:
    until(operator.is_ready)
    store.item("before")
    until(lambda: store.stage("before") == "created")
    probes = set()
    with without_apiserver(plane):
        end = time.monotonic() + 6
        while time.monotonic() < end:
            probes.add(operator.answer("/healthz"))
            time.sleep(0.5)
    store.item("after")
    until(lambda: store.stage("after") == "created")
    probes.add(operator.answer("/healthz"))
    assert probes == {(200, "ok\n")}
    assert operator.is_running()


@pytest.mark.slow
@pytest.mark.long
def test_api_server_away_for_longer_than_a_lease_lasts_costs_no_restart_and_no_leader(
    plane: ControlPlane, store: Store, operator: OperatorProcess, tmp_path: Path
) -> None:
    until(lambda: operator.metric("conveyor_leader") == "1.0")
    with OperatorProcess(plane.kubeconfig, store.namespace, tmp_path / "other") as other:
        until(other.is_ready)
        with without_apiserver(plane):
            until(lambda: operator.metric("conveyor_leader") == "0.0")
            time.sleep(8)
        until(lambda: operator.metric("conveyor_leader") == "1.0")
        store.item("after")
        until(lambda: store.stage("after") == "created")
        assert (operator.is_running(), other.is_running(), other.metric("conveyor_leader")) == (True, True, "0.0")


def test_object_deleted_while_nobody_watched_is_found_gone(
    plane: ControlPlane, store: Store, operator: OperatorProcess
) -> None:
    for name in ("first", "second"):
        store.item(name)
    until(lambda: '"name":"second"' in operator.answer("/queue")[1])
    operator.send(signal.SIGSTOP)
    try:
        plane.restart_apiserver()
        store.kube.delete(store.path("workitems", "first"))
    finally:
        operator.send(signal.SIGCONT)
    until(lambda: '"name":"first"' not in operator.answer("/queue")[1])
    assert '"name":"second"' in operator.answer("/queue")[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_signal_ends_it_soon_and_in_order(
    plane: ControlPlane, store: Store, tmp_path: Path, number: signal.Signals
) -> None:
    with OperatorProcess(plane.kubeconfig, store.namespace, tmp_path / "log") as operator:
        until(operator.is_ready)
        store.item("cart")
        until(lambda: store.stage("cart") == "created")  # the watch told of it, so all is at work
        operator.send(number)
        assert operator.ended(within=5) == 0
    log = operator.log.read_text()
    assert not [line for line in log.splitlines() if '"level": "error"' in line or '"level": "critical"' in line]


WRONG = {
    "a number": ({"MAX_CONCURRENT_RUNS": "many"}, "CONVEYOR_MAX_CONCURRENT_RUNS"),
    "an address": ({"HTTP_ADDRESS": "here"}, "CONVEYOR_HTTP_ADDRESS"),
    "several": ({"NAMESPACES": "No_Such", "RETENTION_DAYS": "-1"}, "CONVEYOR_RETENTION_DAYS"),
    "a file that is not there": ({"KUBECONFIG": "/nowhere/kubeconfig"}, "CONVEYOR_KUBECONFIG"),
}


@pytest.mark.parametrize(
    ("settings", "named"),
    [pytest.param(*WRONG[name], id=name, marks=[pytest.mark.long] * (name != "several")) for name in WRONG],
)
def test_wrong_setting_ends_the_start_with_its_name(settings: dict[str, str], named: str) -> None:
    ended = call(**settings)
    assert ended.returncode == 1
    assert ended.stderr.startswith("conveyor-operator: CONVEYOR_")
    assert named in ended.stderr
    assert "Traceback" not in ended.stderr


def test_kubeconfig_that_cannot_be_used_ends_the_start_with_its_path(tmp_path: Path) -> None:
    broken = tmp_path / "kubeconfig"
    broken.write_text("clusters: [")
    ended = call(KUBECONFIG=broken)
    assert ended.returncode == 1
    assert str(broken) in ended.stderr


def test_address_that_is_taken_ends_the_start_with_it(plane: ControlPlane) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = call(KUBECONFIG=plane.kubeconfig, HTTP_ADDRESS=f"127.0.0.1:{taken.getsockname()[1]}")
    assert ended.returncode == 1
    assert "127.0.0.1" in ended.stderr
