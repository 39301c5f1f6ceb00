"""Whose name stands in a Lease, and what proves that its process is gone. The table is in the module's docstring."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from conveyor.cluster.pods import ContainerFact, PodFact
from conveyor.cluster.protocol import Key
from conveyor.engine.identity import (
    Holder,
    Liveness,
    liveness,
    parse,
    pod_verdict,
    process_start,
    process_verdict,
    this_process,
)
from tests.fakes.memory_cluster import Fault, MemoryCluster
from tests.fakes.memory_store import PODS

ALIVE, DEAD, UNKNOWN = Liveness.ALIVE, Liveness.DEAD, Liveness.UNKNOWN
ACQUIRED = datetime(2026, 11, 21, 12, 0, 0, 500_000, tzinfo=UTC)
BEFORE, AFTER = ACQUIRED - timedelta(minutes=5), ACQUIRED + timedelta(seconds=1)
POD = Key("conveyor-system", "operator-7d9f-x2x")
THEM = Holder("uid-1", "conveyor-system.operator-7d9f-x2x", "0123abcd")
ME = Holder("uid-2", "conveyor-system.operator-7d9f-yyy", "4567cdef")


# --- names


@pytest.mark.parametrize("acquisition", ["", "7"])
@pytest.mark.parametrize("pod_uid", ["", "uid-1"])
def test_identity_is_read_back_from_its_text(pod_uid: str, acquisition: str) -> None:
    mine = this_process(nonce="0123abcd", pod=POD, pod_uid=pod_uid).acquiring(acquisition)
    assert parse(str(mine)) == mine
    assert mine.pod() == (POD if pod_uid else None)


@pytest.mark.parametrize("text", ["", "somebody", "a/b", "uid/name/nonce", "uid//nonce", "a/b.c/d/e/f"])
def test_name_that_is_none_of_ours_is_nobody_we_know(text: str) -> None:
    assert parse(text) is None


def test_longest_identity_fits_into_a_status() -> None:
    mine = this_process(nonce="f" * 16, pod=Key("n" * 63, "p" * 63), pod_uid="u" * 36).acquiring("f" * 16)
    assert len(str(mine)) <= 256


def test_pod_that_is_known_by_half_is_told_by_its_process() -> None:
    assert this_process(nonce="n", pod=POD).place.startswith("host:")


# --- pods


def pod(uid: str = "uid-1", phase: str = "Running", *containers: ContainerFact, deleting: bool = False) -> PodFact:
    return PodFact(uid, phase, deleting, containers)


def ran(*, since: datetime | None, ended: datetime | None = None) -> ContainerFact:
    return ContainerFact("operator", 0, started=since, ended=ended)


VERDICTS: dict[str, tuple[PodFact | None, Liveness]] = {
    "a missing pod": (None, DEAD),
    "a namesake made later": (pod("uid-9", "Running", ran(since=BEFORE)), DEAD),
    "a pod that runs": (pod("uid-1", "Running", ran(since=BEFORE)), ALIVE),
    "a container that was started again": (pod("uid-1", "Running", ran(since=AFTER)), DEAD),
    "a container that ended": (pod("uid-1", "Running", ran(since=None, ended=AFTER)), DEAD),
    "a container that ended and was started again": (pod("uid-1", "Running", ran(since=AFTER, ended=AFTER)), DEAD),
    "a container started again before the acquisition": (
        pod("uid-1", "Running", ran(since=BEFORE, ended=BEFORE)),
        ALIVE,
    ),
    "a container that ended before the acquisition, they say": (
        pod("uid-1", "Running", ran(since=None, ended=BEFORE)),
        UNKNOWN,
    ),
    "one of two containers started again": (pod("uid-1", "Running", ran(since=AFTER), ran(since=BEFORE)), ALIVE),
    "a Terminating pod": (pod("uid-1", "Running", ran(since=BEFORE), deleting=True), UNKNOWN),
    "a Terminating pod whose container ended": (
        pod("uid-1", "Failed", ran(since=None, ended=AFTER), deleting=True),
        DEAD,
    ),
    "a pod that failed without a word of its node": (pod("uid-1", "Failed"), UNKNOWN),
    "a pod whose node was lost": (pod("uid-1", "Unknown", ran(since=BEFORE)), UNKNOWN),
    "a pod that has not started": (pod("uid-1", "Pending"), UNKNOWN),
}


@pytest.mark.parametrize(("fact", "verdict"), VERDICTS.values(), ids=VERDICTS)
def test_pod_tells_of_its_holder(fact: PodFact | None, verdict: Liveness) -> None:
    assert pod_verdict(THEM, fact, acquired=ACQUIRED) == verdict


def test_container_that_began_within_the_second_of_the_acquisition_proves_nothing() -> None:
    """The kubelet writes whole seconds, cut."""
    second = ACQUIRED.replace(microsecond=0)
    assert pod_verdict(THEM, pod("uid-1", "Running", ran(since=second)), acquired=ACQUIRED) == ALIVE


def test_container_started_again_proves_nothing_where_no_acquisition_is_known() -> None:
    assert pod_verdict(THEM, pod("uid-1", "Running", ran(since=AFTER)), acquired=None) == ALIVE


# --- asked of the cluster


async def verdict(cluster: MemoryCluster, holder: Holder, *, me: Holder = ME) -> Liveness:
    return await liveness(cluster, str(holder), me=me, acquired=ACQUIRED)


async def test_this_very_process_is_alive_whatever_it_acquired() -> None:
    assert await verdict(MemoryCluster(), ME.acquiring("9")) == ALIVE


async def test_predecessor_in_this_pod_is_dead() -> None:
    assert await verdict(MemoryCluster(), replace(ME, nonce="another")) == DEAD


async def test_holder_is_looked_for_in_the_pod_that_it_names() -> None:
    cluster, status = MemoryCluster(), {"phase": "Running", "containerStatuses": [running_since(BEFORE)]}
    metadata = {"namespace": POD.namespace, "name": POD.name}
    stored = cluster.store.add(PODS, POD, {"metadata": metadata, "status": status})
    there = replace(THEM, place=stored["metadata"]["uid"])
    assert await verdict(cluster, there) == ALIVE
    assert await verdict(cluster, replace(there, place="uid-of-an-earlier-one")) == DEAD
    cluster.store.remove(PODS, POD)
    assert await verdict(cluster, there) == DEAD


def running_since(time: datetime) -> dict[str, Any]:
    return {"name": "operator", "state": {"running": {"startedAt": time.isoformat()}}}


async def test_pod_that_cannot_be_read_proves_nothing() -> None:
    cluster = MemoryCluster()
    cluster.fail_next("pod", Fault.UNAVAILABLE)
    assert await verdict(cluster, THEM) == UNKNOWN


async def test_somebody_elses_word_proves_nothing() -> None:
    assert await liveness(MemoryCluster(), "somebody", me=ME, acquired=ACQUIRED) == UNKNOWN


# --- this host


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


HERE = this_process(nonce="4567cdef")


def on_this_host(process: subprocess.Popen[bytes], start: str | None = None) -> Holder:
    found = process_start(process.pid) if start is None else start
    return replace(HERE, process=f"{process.pid}.{found}", nonce="0123abcd")


async def test_process_of_this_host_that_runs_is_alive(child: subprocess.Popen[bytes]) -> None:
    assert await verdict(MemoryCluster(), on_this_host(child), me=HERE) == ALIVE


def test_process_of_this_host_that_ended_is_dead_before_and_after_its_parent_knows(
    child: subprocess.Popen[bytes],
) -> None:
    holder = on_this_host(child)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert process_verdict(holder, process_start(child.pid)) == DEAD
    child.wait()
    assert process_verdict(holder, process_start(child.pid)) == DEAD


async def test_later_process_under_the_holders_number_is_another(child: subprocess.Popen[bytes]) -> None:
    assert await verdict(MemoryCluster(), on_this_host(child, start="1"), me=HERE) == DEAD


async def test_process_of_another_host_proves_nothing(child: subprocess.Popen[bytes]) -> None:
    elsewhere = replace(on_this_host(child), place="host:elsewhere.00000000")
    child.kill()
    child.wait()
    assert await verdict(MemoryCluster(), elsewhere, me=HERE) == UNKNOWN


@pytest.mark.parametrize("process", ["-1.5", "0.5", "many.5", "99999999999999999999.5"])
async def test_number_that_no_process_has_proves_nothing(process: str) -> None:
    assert await verdict(MemoryCluster(), replace(HERE, process=process, nonce="n"), me=HERE) == UNKNOWN


def test_processes_of_a_host_differ_by_their_number() -> None:
    assert HERE.process.startswith(f"{os.getpid()}.")
    assert HERE.process == f"{os.getpid()}.{process_start(os.getpid())}"
