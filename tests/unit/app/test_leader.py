"""Who leads next, on a clock that the test moves. In each of these no two replicas lead at once: the field looks.

| the Lease | |
|---|---|
| is free | missing, given up, left alone for its time, its holder provably gone |
| is not | renewed, whatever the clocks say; another's duration; touched by somebody else |
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from conveyor.app.leader import claimed
from conveyor.cluster.leases import LeaseRecord, LeaseSpec
from conveyor.cluster.protocol import Key
from conveyor.engine.identity import Holder, this_process
from tests.fakes.memory_store import LEASES, PODS
from tests.unit.app.replicas import LEASE, Field, Replica, field

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
HOUR = 3600.0


@pytest.fixture
async def replicas() -> AsyncIterator[Field]:
    async with field() as made:
        yield made


# --- what is written

THEIRS = LeaseSpec("them", 15, acquire_time=NOON.replace(hour=9), renew_time=NOON.replace(hour=10), transitions=4)
CLAIMS = {
    "nobody's before": (None, LeaseSpec("me", 15, NOON, NOON, 0)),
    "another's before": (THEIRS, LeaseSpec("me", 15, NOON, NOON, 5)),
    "given up": (replace(THEIRS, holder=""), LeaseSpec("me", 15, NOON, NOON, 5)),
    "ours": (replace(THEIRS, holder="me"), LeaseSpec("me", 15, THEIRS.acquire_time, NOON, 4)),
}


@pytest.mark.parametrize(("before", "after"), CLAIMS.values(), ids=CLAIMS)
def test_claim_counts_a_change_of_holder_and_keeps_a_time_that_goes_on(
    before: LeaseSpec | None, after: LeaseSpec
) -> None:
    record = LeaseRecord("uid", "1", before) if before is not None else None
    assert claimed(record, "me", now=NOON) == after


# --- free


async def test_free_lease_makes_the_first_who_looks_the_leader_at_once(replicas: Field) -> None:
    first = await replicas.leader()
    assert (replicas.holder(), first.heard) == (str(first.me), ["lead"])
    assert replicas.shared.store.object(LEASES, LEASE)["metadata"]["labels"] == {
        "app.kubernetes.io/part-of": "conveyor"
    }


async def test_of_two_who_look_at_once_one_leads_and_the_other_stands_by(replicas: Field) -> None:
    both = [replicas.replica(), replicas.replica()]
    await replicas.passes(60)
    assert sorted(len(replica.heard) for replica in both) == [0, 1]


async def test_lease_that_is_left_alone_is_taken_after_its_time(replicas: Field) -> None:
    first, second = await replicas.leader(), replicas.replica()
    await replicas.passes(5)
    await first.die()
    assert 13 <= await replicas.until_leads(second, within=20) <= 17
    record = replicas.record()
    assert record is not None
    assert (record.holder, record.transitions) == (str(second.me), 1)


async def test_candidate_that_comes_late_waits_as_long_as_one_that_was_there(replicas: Field) -> None:
    first = await replicas.leader()
    await first.die()
    await replicas.passes(HOUR)
    late = replicas.replica()
    assert 14 <= await replicas.until_leads(late, within=20) <= 16


async def test_lease_without_holder_is_taken_at_the_next_look(replicas: Field) -> None:
    first, second = await replicas.leader(), replicas.replica()
    await replicas.passes(5)
    await first.die()
    await first.elector.release()
    assert await replicas.until_leads(second, within=3) <= 1.25


# --- not free


@pytest.mark.parametrize("off_by", [-HOUR, HOUR])
async def test_leader_whose_clock_is_wrong_by_an_hour_leads_on_and_is_followed_in_time(
    replicas: Field, off_by: float
) -> None:
    first, second = await replicas.leader(wall_clock_off_by=off_by), replicas.replica()
    await replicas.passes(120)
    assert (first.leads(), second.heard) == (True, [])
    await first.die()
    assert await replicas.until_leads(second, within=20) <= 17


async def test_another_version_of_a_leader_may_keep_longer_times(replicas: Field) -> None:
    first, second = await replicas.leader(), replicas.replica()
    await first.die()
    replicas.edit(leaseDurationSeconds=40)
    assert 39 <= await replicas.until_leads(second, within=45) <= 42


async def test_lease_that_names_no_duration_is_kept_for_ours(replicas: Field) -> None:
    first, second = await replicas.leader(), replicas.replica()
    await first.die()
    replicas.edit(leaseDurationSeconds=None)
    assert 14 <= await replicas.until_leads(second, within=20) <= 16


async def test_lease_that_others_put_marks_on_is_renewed_and_is_not_taken_for_renewed(replicas: Field) -> None:
    first, second = await replicas.leader(), replicas.replica()
    for number in range(30):
        replicas.shared.store.edit(LEASES, LEASE, {"metadata": {"annotations": {"theirs": str(number)}}})
        await replicas.passes(1)
    assert (first.leads(), first.heard) == (True, ["lead"])
    await first.die()
    for number in range(20):
        replicas.shared.store.edit(LEASES, LEASE, {"metadata": {"annotations": {"theirs": f"again {number}"}}})
        await replicas.passes(1)
    assert second.leads()


# --- proof of death

POD = Key("conveyor-system", "operator-0")


def in_pod(replicas: Field, *, started: str = "2026-11-20T08:00:00Z") -> Holder:
    container = {"name": "operator", "state": {"running": {"startedAt": started}}}
    metadata = {"namespace": POD.namespace, "name": POD.name}
    status = {"phase": "Running", "containerStatuses": [container]}
    stored = replicas.shared.store.add(PODS, POD, {"metadata": metadata, "status": status})
    return this_process(nonce="0123abcd", pod=POD, pod_uid=stored["metadata"]["uid"])


async def followed(replicas: Field, leader: Replica, *, gone: Any) -> float:
    """How long it takes another to lead once the leader died and this happened."""
    second = replicas.replica()
    await replicas.passes(30)
    assert (leader.leads(), second.heard) == (True, [])
    await leader.die()
    gone()
    return await replicas.until_leads(second, within=20)


async def test_leader_whose_pod_is_gone_is_followed_before_its_time(replicas: Field) -> None:
    first = replicas.started(in_pod(replicas))
    assert await followed(replicas, first, gone=lambda: replicas.shared.store.remove(PODS, POD)) <= 6


async def test_leader_whose_container_was_started_again_is_followed_before_its_time(replicas: Field) -> None:
    def restarted() -> None:
        container = {"name": "operator", "state": {"running": {"startedAt": replicas.clock.now().isoformat()}}}
        replicas.shared.store.set_status(PODS, POD, {"containerStatuses": [container]})

    first = replicas.started(in_pod(replicas))
    assert await followed(replicas, first, gone=restarted) <= 6


async def test_leader_whose_pod_is_merely_terminating_is_waited_for(replicas: Field) -> None:
    def terminating() -> None:
        replicas.shared.store.edit(PODS, POD, {"metadata": {"finalizers": ["hold"]}})
        replicas.shared.store.delete(PODS, POD)

    first = replicas.started(in_pod(replicas))
    assert await followed(replicas, first, gone=terminating) >= 12


async def test_container_that_follows_itself_in_its_pod_leads_at_once(replicas: Field) -> None:
    me = in_pod(replicas)
    first = replicas.started(me)
    await replicas.passes(5)
    await first.die()
    again = replicas.started(replace(me, nonce="4567cdef"))
    assert await replicas.until_leads(again, within=20) <= 0.25
