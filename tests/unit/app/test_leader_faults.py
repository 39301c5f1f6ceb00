"""Leading while things go wrong, on a clock that the test moves. No two replicas lead at once: the field looks.

| situation | |
|---|---|
| an answer that does not come | the request or the answer lost, a version overtaken, a call that hangs |
| the API server away | for all, for the leader alone, for a candidate |
| a person | deletes the Lease, empties it, writes another holder |
| an end | killed, stopped and continued, released in order |
| anything | at random |
"""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from conveyor.app import leader as module
from tests.fakes.memory_cluster import Fault
from tests.unit.app.replicas import Field, Replica, field

HOUR = 3600.0


@pytest.fixture
async def replicas() -> AsyncIterator[Field]:
    async with field() as made:
        yield made


# --- answers that do not come


@pytest.mark.parametrize("fault", [Fault.REQUEST_LOST, Fault.ANSWER_LOST, Fault.UNAVAILABLE, Fault.RATE_LIMITED])
async def test_candidate_whose_claim_is_not_answered_reads_what_became_of_it(replicas: Field, fault: Fault) -> None:
    second = replicas.replica()
    second.cluster.fail_next("create_lease", fault)
    assert await replicas.until_leads(second, within=3) <= 1.25
    record = replicas.record()
    assert record is not None
    assert record.transitions == 0


@pytest.mark.parametrize("fault", Fault)
async def test_leader_whose_renewal_goes_wrong_once_leads_on(replicas: Field, fault: Fault) -> None:
    first, second = await replicas.leader(), replicas.replica()
    first.cluster.fail_next("update_lease", fault)
    await replicas.passes(30)
    assert (first.leads(), first.heard, second.heard) == (True, ["lead"], [])


async def test_leader_whose_call_hangs_tries_again_in_time(replicas: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TURN_SECONDS", 0.01)  # of real time
    first = await replicas.leader()
    first.cluster.hangs = True
    await replicas.passes(2)
    async with asyncio.timeout(5):
        await first.cluster.gave_up.wait()
    await replicas.passes(30)
    assert (first.leads(), first.heard) == (True, ["lead"])


async def test_renewal_counts_from_when_it_was_sent(replicas: Field) -> None:
    """The API server had it then, and others may count from there."""
    first = await replicas.leader()
    first.cluster.answers_after = 3
    await replicas.passes(5.5)
    away(first)
    await replicas.passes(6.25)
    assert first.leads()
    await replicas.passes(0.5)
    assert not first.leads()


async def test_candidate_that_may_not_write_stands_by_and_tries_on(replicas: Field) -> None:
    first = replicas.replica()
    for _ in range(3):
        first.cluster.fail_next("create_lease", Fault.REJECTED)
    await replicas.passes(2)
    assert not first.leads()
    await replicas.passes(2)
    assert first.leads()


# --- the API server away


def away(*gone: Replica, is_away: bool = True) -> None:
    for replica in gone:
        replica.cluster.away = is_away


async def test_leader_that_cannot_renew_begins_no_work_after_its_deadline(replicas: Field) -> None:
    first = await replicas.leader()
    away(first)
    await replicas.passes(9)
    assert first.leads()
    await replicas.passes(3)
    assert (first.leads(), first.heard, first.task.done()) == (False, ["lead", "lapse"], False)


@pytest.mark.parametrize("seconds", [6, 12, 30, 600])
async def test_api_server_that_was_away_for_all_costs_no_restart_and_no_change_of_leader(
    replicas: Field, seconds: int
) -> None:
    first, second = await replicas.leader(), replicas.replica()
    await replicas.passes(5)
    away(first, second)
    await replicas.passes(seconds)
    away(first, second, is_away=False)
    await replicas.passes(30)
    assert (first.leads(), first.task.done(), second.heard) == (True, False, [])
    assert first.heard == ["lead"] + ["lapse", "lead"] * (seconds > 6)
    record = replicas.record()
    assert record is not None
    assert record.transitions == 0


async def test_leader_that_is_cut_off_alone_is_followed_and_ends(replicas: Field) -> None:
    first, second = await replicas.leader(), replicas.replica()
    await replicas.passes(5)
    away(first)
    assert await replicas.until_leads(second, within=20) <= 17
    away(first, is_away=False)
    await replicas.passes(3)
    assert (first.lost(), second.leads(), replicas.holder()) == (True, True, str(second.me))


async def test_candidate_that_could_not_look_for_a_while_watches_anew(replicas: Field) -> None:
    first, second = await replicas.leader(), replicas.replica()
    await replicas.passes(5)
    away(second)
    await first.die()
    await replicas.passes(60)
    away(second, is_away=False)
    assert 14 <= await replicas.until_leads(second, within=20) <= 17


# --- a person


async def test_leader_makes_a_deleted_lease_anew_and_leads_on(replicas: Field) -> None:
    first = await replicas.leader()
    replicas.remove()
    await replicas.passes(30)
    assert (first.leads(), first.heard, replicas.holder()) == (True, ["lead"], str(first.me))


async def test_leader_takes_an_emptied_lease_again(replicas: Field) -> None:
    first = await replicas.leader()
    replicas.edit(holderIdentity="")
    await replicas.passes(30)
    assert (first.leads(), replicas.holder()) == (True, str(first.me))


@pytest.mark.parametrize("later", [0.25, 0.75, 1.25, 1.75])
async def test_of_two_one_leads_soon_after_a_person_deleted_the_lease(replicas: Field, later: float) -> None:
    """Whoever looks first; the other, if it led, ends."""
    first, second = await replicas.leader(), replicas.replica()
    await replicas.passes(4 + later)
    replicas.remove()
    await replicas.passes(2.5)
    assert sorted([first.leads(), second.leads()]) == [False, True]
    assert first.lost() == second.leads()


async def test_leader_ends_where_a_person_names_another(replicas: Field) -> None:
    first = await replicas.leader()
    replicas.edit(holderIdentity="somebody")
    await replicas.passes(3)
    assert (first.lost(), replicas.holder()) == (True, "somebody")


# --- ends


async def test_leader_that_stood_still_knows_at_once_that_its_time_is_over_and_ends(replicas: Field) -> None:
    first, second = await replicas.leader(), replicas.replica()
    await replicas.passes(5)
    first.freeze()
    await replicas.until_leads(second, within=20)
    assert not first.elector.leads()
    first.thaw()
    await replicas.passes(0)
    assert (first.lost(), second.leads(), replicas.holder()) == (True, True, str(second.me))


async def test_leader_that_stood_still_with_nobody_to_follow_leads_on(replicas: Field) -> None:
    first = await replicas.leader()
    first.freeze()
    await replicas.passes(600)
    first.thaw()
    await replicas.passes(1)
    assert (first.leads(), first.heard) == (True, ["lead", "lead"])


async def test_release_leaves_the_lease_without_holder_and_its_count(replicas: Field) -> None:
    first, second = await replicas.leader(), replicas.replica()
    await first.die()
    await replicas.until_leads(second, within=20)
    await second.die()
    await second.elector.release()
    record = replicas.record()
    assert record is not None
    assert (record.holder, record.transitions, record.duration_seconds) == ("", 1, 1)
    assert not second.elector.leads()


async def test_release_leaves_anothers_lease_alone(replicas: Field) -> None:
    first, second = await replicas.leader(), replicas.replica()
    await replicas.passes(1)
    await second.die()
    await second.elector.release()
    assert (replicas.holder(), first.leads()) == (str(first.me), True)


@pytest.mark.parametrize("verb", ["lease", "update_lease"])
@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.RATE_LIMITED])
async def test_release_that_fails_holds_no_end_up(replicas: Field, verb: str, fault: Fault) -> None:
    first = await replicas.leader()
    await first.die()
    first.cluster.fail_next(verb, fault)
    await first.elector.release()
    assert replicas.holder() == str(first.me)


# --- anything


@pytest.mark.parametrize("seed", range(15))
async def test_whatever_happens_no_two_lead_at_once_and_in_the_end_one_does(replicas: Field, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    for _ in range(3):
        replicas.replica(wall_clock_off_by=chance.choice((-HOUR, 0.0, HOUR)))
    for _ in range(60):
        await replicas.passes(chance.choice((0.25, 1, 4, 12)))
        await befall(replicas, chance)
    for replica in replicas.replicas:
        away(replica, is_away=False)
        replica.thaw()
    replicas.replica()
    await replicas.passes(40)
    assert replicas.leaders() == 1


async def befall(replicas: Field, chance: random.Random) -> None:
    """One of the things that happen to a replica, or a new one in the place of one that ended."""
    replica = chance.choice(replicas.replicas[-3:])
    match chance.randrange(6):
        case 0:
            away(replica, is_away=not replica.cluster.away)
        case 1:
            replica.cluster.fail_next(
                chance.choice(("update_lease", "lease", "create_lease")), chance.choice(list(Fault))
            )
        case 2:
            replica.freeze()
        case 3:
            replica.thaw()
        case 4:
            await replica.die()
            await replica.elector.release()
            replicas.replica()
        case _:
            await replica.die()
            replicas.replica()
