"""Two operators as processes on a real API server: who works, and how soon the other does.

| the leader | the other works |
|---|---|
| is killed: on this host, or in a pod that is gone | at once: its death is proved |
| is killed in a pod of which nobody says anything | after the Lease's time |
| gets SIGTERM | at once |
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
from tests.integration.engine_process import Store, until
from tests.integration.leader_pair import Pair, leads, started

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("crds")]
NO_WAIT_SECONDS = 12.0
"""Less than the leader's Lease lasts, 15 s: nobody waited for its end (`scripts/bench take-over` measures it)."""
Start = Callable[..., Pair]


@pytest.fixture
def store(kube: Kube, namespace: str) -> Store:
    return Store(kube, namespace)


@pytest.fixture
def start(kubeconfig: Path, store: Store, tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(started(kubeconfig, store, tmp_path, **settings))


@pytest.mark.long
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
    assert seconds < NO_WAIT_SECONDS


@pytest.mark.long
def test_operator_that_is_killed_and_started_again_leads_at_once(start: Start, say: Say) -> None:
    pair = start()
    pair.other.kill()
    pair.leader.restart()
    began = time.monotonic()
    until(pair.leader.is_ready)
    until(lambda: leads(pair.leader))
    say(f"operator killed and started again: leads {time.monotonic() - began:.1f} s after its start")
    assert pair.seconds_to_the_next_step() < NO_WAIT_SECONDS


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


@pytest.mark.long
def test_leader_whose_pod_is_deleted_is_followed_at_once(
    start: Start, pod: dict[str, str], kube: Kube, namespace: str, say: Say
) -> None:
    pair = start(**pod)
    pair.leader.kill()
    kube.delete(f"/api/v1/namespaces/{namespace}/pods/operator-0", grace=0)
    seconds = pair.seconds_to_the_next_step()
    say(f"leader's pod gone: next step after {seconds:.1f} s")
    assert seconds < NO_WAIT_SECONDS


@pytest.mark.slow
@pytest.mark.long
def test_leader_of_which_nobody_knows_anything_is_followed_after_its_time(
    start: Start, pod: dict[str, str], say: Say
) -> None:
    pair = start(**pod)
    pair.leader.kill()
    seconds = pair.seconds_to_the_next_step()
    say(f"leader killed on a node that says nothing: next step after {seconds:.1f} s")
    assert seconds >= 10


# --- ends in order


def test_leader_that_is_told_to_end_is_followed_at_once(start: Start, say: Say) -> None:
    pair = start()
    pair.leader.send(signal.SIGTERM)
    seconds = pair.seconds_to_the_next_step()
    say(f"planned hand-over: next step after {seconds:.1f} s")
    assert pair.leader.ended(within=10) == 0
    assert leads(pair.other)
    assert seconds < NO_WAIT_SECONDS


@pytest.mark.long
def test_who_stands_by_and_is_told_to_end_ends_and_the_leader_leads_on(start: Start) -> None:
    pair = start()
    pair.other.send(signal.SIGTERM)
    assert pair.other.ended(within=10) == 0
    assert leads(pair.leader)
    assert pair.seconds_to_the_next_step() < NO_WAIT_SECONDS


# --- stands still


@pytest.mark.slow
@pytest.mark.long
def test_leader_that_stood_still_ends_and_writes_nothing(start: Start, say: Say) -> None:
    pair = start()
    pair.leader.send(signal.SIGSTOP)
    try:
        seconds = pair.seconds_to_the_next_step()
        say(f"leader stands still: next step after {seconds:.1f} s")
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
