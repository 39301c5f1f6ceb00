"""Two operators as processes on a real API server: who works, and how soon the other does.

| the leader | the other works |
|---|---|
| is killed: on this host, or in a pod that is gone | at once: its death is proved |
| is killed in a pod of which nobody says anything | after the Lease's time |
| gets SIGTERM | within three seconds |
| stands still, and goes on after it was followed | goes on; the old one ends and writes nothing |
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.api import STRATEGIC, Kube
from tests.cluster.binaries import Say
from tests.integration.engine_process import OperatorProcess, Store, until

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("crds")]
HAND_OVER_SECONDS = 3.0
TAKEOVER_SECONDS = 30.0
LEADS = ("conveyor_leader", "1.0")


class Pair:
    """An operator that leads, and one that stands by."""

    def __init__(self, leader: OperatorProcess, other: OperatorProcess, store: Store) -> None:
        self.leader, self.other, self.store = leader, other, store

    def seconds_to_the_next_step(self) -> float:
        """From now until somebody has looked at a new item."""
        began = time.monotonic()
        self.store.item("next")
        until(lambda: self.store.stage("next") == "created", within=60)
        return time.monotonic() - began


def leads(operator: OperatorProcess) -> bool:
    name, value = LEADS
    return operator.metric(name) == value


Start = Callable[..., Pair]


@pytest.fixture
def store(kube: Kube, namespace: str) -> Store:
    return Store(kube, namespace)


@pytest.fixture
def start(kubeconfig: Path, namespace: str, store: Store, tmp_path: Path) -> Iterator[Start]:
    """Starts both, the leader with settings of its own, each once the other is ready."""
    with ExitStack() as stack:

        def operator(name: str, **settings: object) -> OperatorProcess:
            process = OperatorProcess(kubeconfig, namespace, tmp_path / name, **settings)  # type: ignore[arg-type]
            return stack.enter_context(process)

        def pair(**settings: object) -> Pair:
            leader = operator("leader.log", **settings)
            until(lambda: leads(leader))
            other = operator("other.log")
            until(other.is_ready)
            store.item("before")
            until(lambda: store.stage("before") == "created")
            until(lambda: '"name":"before"' in other.answer("/queue")[1])
            return Pair(leader, other, store)

        yield pair


def test_who_stands_by_answers_and_does_nothing(start: Start) -> None:
    pair = start()
    assert pair.other.is_ready()
    assert pair.other.answer("/healthz") == (200, "ok\n")
    assert pair.other.metric("conveyor_leader") == "0.0"
    passes = [
        line for line in pair.other.answer("/metrics")[1].splitlines() if "reconcile_duration_seconds_count" in line
    ]
    assert {line.split()[-1] for line in passes} == {"0.0"}


def test_leader_of_this_host_that_is_killed_is_followed_at_once(start: Start, say: Say) -> None:
    pair = start()
    pair.leader.kill()
    seconds = pair.seconds_to_the_next_step()
    say(f"leader killed on this host: next step after {seconds:.1f} s")
    assert seconds <= 10


def test_operator_that_is_killed_and_started_again_leads_at_once(start: Start, say: Say) -> None:
    pair = start()
    pair.other.kill()
    pair.leader.restart()
    began = time.monotonic()
    until(pair.leader.is_ready)
    until(lambda: leads(pair.leader))
    say(f"operator killed and started again: leads {time.monotonic() - began:.1f} s after its start")
    assert pair.seconds_to_the_next_step() <= 5


# --- in pods


@pytest.fixture
def pod(kube: Kube, namespace: str) -> dict[str, str]:
    """A pod that runs, as far as anybody can tell, and an operator's settings that say it is in it."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    spec = {"containers": [{"name": "operator", "image": "example.invalid/x"}]}
    made = kube.post(path, {"metadata": {"name": "operator-0"}, "spec": spec})
    entry: dict[str, Any] = {"name": "operator", "image": "x", "imageID": "", "ready": True, "restartCount": 0}
    entry["state"] = {"running": {"startedAt": made["metadata"]["creationTimestamp"]}}
    kube.patch(
        f"{path}/operator-0/status",
        {"status": {"phase": "Running", "containerStatuses": [entry]}},
        content_type=STRATEGIC,
    )
    return {"POD_UID": made["metadata"]["uid"], "POD_NAME": "operator-0", "POD_NAMESPACE": namespace}


def test_leader_whose_pod_is_deleted_is_followed_at_once(
    start: Start, pod: dict[str, str], kube: Kube, namespace: str, say: Say
) -> None:
    pair = start(**pod)
    pair.leader.kill()
    kube.delete(f"/api/v1/namespaces/{namespace}/pods/operator-0", grace=0)
    seconds = pair.seconds_to_the_next_step()
    say(f"leader's pod gone: next step after {seconds:.1f} s")
    assert seconds <= 10


@pytest.mark.slow
@pytest.mark.long
def test_leader_of_which_nobody_knows_anything_is_followed_after_its_time(
    start: Start, pod: dict[str, str], say: Say
) -> None:
    pair = start(**pod)
    pair.leader.kill()
    seconds = pair.seconds_to_the_next_step()
    say(f"leader killed on a node that says nothing: next step after {seconds:.1f} s")
    assert 10 <= seconds <= TAKEOVER_SECONDS


# --- ends in order


def test_leader_that_is_told_to_end_is_followed_within_three_seconds(start: Start, say: Say) -> None:
    pair = start()
    pair.leader.send(signal.SIGTERM)
    seconds = pair.seconds_to_the_next_step()
    say(f"planned hand-over: next step after {seconds:.1f} s")
    assert pair.leader.ended(within=10) == 0
    assert leads(pair.other)
    assert seconds <= HAND_OVER_SECONDS


def test_who_stands_by_and_is_told_to_end_ends_and_the_leader_leads_on(start: Start) -> None:
    pair = start()
    pair.other.send(signal.SIGTERM)
    assert pair.other.ended(within=10) == 0
    assert leads(pair.leader)
    assert pair.seconds_to_the_next_step() <= 5


# --- stands still


@pytest.mark.slow
@pytest.mark.long
def test_leader_that_stood_still_ends_and_writes_nothing(start: Start, say: Say) -> None:
    pair = start()
    pair.leader.send(signal.SIGSTOP)
    try:
        seconds = pair.seconds_to_the_next_step()
        say(f"leader stands still: next step after {seconds:.1f} s")
        assert seconds <= TAKEOVER_SECONDS
        for number in range(10):
            pair.store.item(f"meanwhile-{number}")
        until(lambda: all(pair.store.stage(f"meanwhile-{number}") == "created" for number in range(10)))
        before = versions(pair.store)
    finally:
        pair.leader.send(signal.SIGCONT)
    assert pair.leader.ended(within=15) == 1
    assert "leadership was lost to host:" in pair.leader.log.read_text()
    assert versions(pair.store) == before
    assert leads(pair.other)


def versions(store: Store) -> dict[str, str]:
    items = store.kube.get(store.path("workitems"))["items"]
    return {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in items}
