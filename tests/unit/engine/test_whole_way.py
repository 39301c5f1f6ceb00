"""An item's whole way, without network: each effect once, nothing written that changes nothing, whatever dies when.

| disturbance | where |
|---|---|
| none | items without and with ticket, two in a lane, a dependency, more items than slots |
| the process dies | after every single write of the way, ticket and human gates included |
| an answer is lost, a request is lost, somebody else writes first | at every status write of the way |
| the forge's answer or request is lost | at every effect |
"""

from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from conveyor.cluster.protocol import Key, Kind
from tests.fakes.memory_cluster import Fault
from tests.fakes.memory_faults import CallFault
from tests.fakes.memory_store import LEASES
from tests.unit.engine.picks import picks
from tests.unit.engine.rig import NAMESPACE, TRACKER, Rig

PERSON = {"approval": {"analysis": "Person", "deploy": "Person"}}
EFFECTS = ["create_branch", "open_pull_request", "merge"]
JOBS = ["analyst", "architect", "developer", "reviewer", "tester", "production"]


def by_hand() -> tuple[Rig, Key]:
    rig = Rig()
    rig.repository()
    return rig, rig.item()


def by_ticket() -> tuple[Rig, Key]:
    """A ticket that a person starts, and approves whenever it is asked for."""
    rig = Rig()
    rig.repository(tracker=TRACKER, gates=PERSON)
    rig.tracker.add(17, "A cart", state="To Analyse")
    return rig, Key(NAMESPACE, "shop-et-17")


async def carry(rig: Rig, item: Key) -> None:
    """To the end, with a person who approves what is asked."""
    for _ in range(20):
        await rig.run(until=120)
        if rig.is_ended(item):
            return
        if rig.is_open(item, "approval"):
            rig.tracker.move("ticket-17", "Approved")
    raise AssertionError(f"it does not get to its end: {rig.stage(item)} {rig.waiting(item)}")


def assert_done_once(rig: Rig, item: Key) -> None:
    assert rig.stage(item) == "done", rig.waiting(item)
    assert [effect[0] for effect in rig.forge.calls.effects] == EFFECTS
    assert rig.status(item)["mergeSHA"] == rig.forge.branches["main"]
    assert [job.removeprefix(f"{item.name}-").split("-")[0] for job in rig.jobs] == JOBS
    markers = Counter(effect[2] for effect in rig.tracker.calls.effects if effect[0] == "comment")
    assert set(markers.values()) <= {1}
    assert rig.cluster.store.keys(LEASES) == []
    assert rig.told.violations == []
    assert rig.told.failures == []


WAYS = pytest.mark.parametrize("begin", [by_hand, by_ticket])
Begin = Callable[[], tuple[Rig, Key]]


@WAYS
async def test_undisturbed_item_is_done_and_each_effect_was_once(begin: Begin) -> None:
    rig, item = begin()
    await carry(rig, item)
    assert_done_once(rig, item)
    assert rig.cluster.writes_of("patch_status", outcome="unchanged") == []


@WAYS
async def test_item_that_is_done_is_written_no_more(begin: Begin) -> None:
    rig, item = begin()
    await carry(rig, item)
    written, requests = len(rig.cluster.writes), rig.forge.calls.effects + rig.tracker.calls.effects
    await rig.run(until=86400)
    assert len(rig.cluster.writes) == written
    assert rig.forge.calls.effects + rig.tracker.calls.effects == requests


# --- deaths


@pytest.mark.slow
@pytest.mark.parametrize("begin", [by_ticket, pytest.param(by_hand, marks=pytest.mark.long)])
async def test_process_killed_after_any_single_write_ends_the_same(begin: Begin) -> None:
    rig, item = begin()
    await carry(rig, item)
    writes = rig.writes
    assert writes > 40
    for number in picks(range(1, writes + 1), count=80):
        rig, item = begin()
        rig.kill_after(number)
        await carry(rig, item)
        assert rig.boots == 2, f"it was not killed after write {number}"
        assert_done_once(rig, item)


@pytest.mark.parametrize("seed", range(5))
async def test_process_killed_again_and_again_ends_the_same(seed: int) -> None:
    chance = Random(seed)  # noqa: S311 a seeded test
    rig, item = by_ticket()
    rig.kill_after(*(chance.randint(2, 8) for _ in range(12)))
    await carry(rig, item)
    assert rig.boots == 13
    assert_done_once(rig, item)


# --- answers


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        Fault.ANSWER_LOST,
        Fault.OVERTAKEN,
        *(pytest.param(fault, marks=pytest.mark.long) for fault in (Fault.REQUEST_LOST, Fault.UNAVAILABLE)),
    ],
)
async def test_any_single_status_write_that_goes_wrong_changes_nothing_in_the_end(fault: Fault) -> None:
    rig, item = by_hand()
    await carry(rig, item)
    for number in range(len(rig.cluster.writes_of("patch_status"))):
        rig, item = by_hand()
        rig.cluster.fail_next("patch_status", fault, after=number)
        await carry(rig, item)
        assert_done_once(rig, item)


@WAYS
async def test_every_status_write_whose_answer_is_lost_is_found_to_stand(begin: Begin) -> None:
    rig, item = begin()
    for _ in range(100):
        rig.cluster.fail_next("patch_status", Fault.ANSWER_LOST)
    await carry(rig, item)
    assert_done_once(rig, item)


@pytest.mark.parametrize("fault", CallFault)
@pytest.mark.parametrize("verb", EFFECTS)
async def test_effect_that_nobody_confirms_happens_once(verb: str, fault: CallFault) -> None:
    rig, item = by_hand()
    for _ in range(3):
        rig.forge.calls.fail_next(verb, fault)
    await carry(rig, item)
    assert_done_once(rig, item)


@pytest.mark.parametrize("fault", [Fault.ANSWER_LOST, Fault.REQUEST_LOST, Fault.UNAVAILABLE])
@pytest.mark.parametrize("verb", ["create_job", "start_job"])
async def test_job_that_nobody_confirms_is_created_once(verb: str, fault: Fault) -> None:
    rig, item = by_hand()
    for _ in range(4):
        rig.cluster.fail_next(verb, fault)
    await carry(rig, item)
    assert_done_once(rig, item)


@pytest.mark.parametrize("fault", CallFault)
@pytest.mark.parametrize("verb", ["set_state", "comment"])
async def test_ticket_that_nobody_confirms_shows_everything_once(verb: str, fault: CallFault) -> None:
    rig, item = by_ticket()
    for _ in range(3):
        rig.tracker.calls.fail_next(verb, fault)
    await carry(rig, item)
    assert_done_once(rig, item)
    assert rig.tracker.tickets["ticket-17"].state_id == "Done"


async def test_forge_away_for_an_hour_makes_the_item_late_and_nothing_else() -> None:
    rig, item = by_hand()
    rig.crew.idle = True
    await rig.run(until=30)
    rig.forge.calls.down = True
    rig.crew.idle = False
    await rig.run(until=3600)
    assert rig.stage(item) not in ("done", "cancelled")
    rig.forge.calls.down = False
    await carry(rig, item)
    assert_done_once(rig, item)


# --- several items


async def test_two_items_of_one_repository_go_one_after_the_other() -> None:
    rig = Rig()
    rig.repository()
    first, second = rig.item("first", title="First"), rig.item("second", title="Second")
    await rig.run(first, second)
    heads = rig.forge.ancestors(rig.forge.branches["main"])
    assert heads.index(rig.status(first)["mergeSHA"]) > heads.index(rig.status(second)["mergeSHA"])
    assert rig.status(second)["baseSHA"] == rig.status(first)["mergeSHA"]


async def test_item_waits_for_those_it_depends_on_and_starts_by_itself() -> None:
    rig = Rig()
    rig.repository()
    second = rig.item("second", dependsOn=[{"name": "third"}], title="Second")
    await rig.run(until=60)
    assert rig.waiting(second) == ("DependencyMissing", "there is no WorkItem third")
    third = rig.item("third", title="Third")
    await rig.run(second, third)
    assert rig.status(second)["baseSHA"] == rig.status(third)["mergeSHA"]


async def test_cycle_of_three_is_found_by_all_and_opened_for_all() -> None:
    rig = Rig()
    rig.repository()
    names = ("one", "two", "three")
    keys = [rig.item(name, title=name) for name in names]
    await rig.boot()
    for key, needed in zip(keys, ("two", "three", "one"), strict=True):
        rig.cluster.store.edit(Kind.WORKITEM, key, {"spec": {"dependsOn": [{"name": needed}]}})
    await rig.run(until=60)
    assert {rig.condition(key, "Stalled", Kind.WORKITEM)[1] for key in keys} == {"DependencyCycle"}
    rig.cluster.store.edit(Kind.WORKITEM, keys[2], {"spec": {"dependsOn": None}})
    await rig.run(*keys)
    assert {rig.stage(key) for key in keys} == {"done"}


@pytest.mark.parametrize("workers", [1, 8])
async def test_more_items_than_slots_all_get_their_turn_and_never_more_at_once(workers: int) -> None:
    rig = Rig(workers=workers, max_concurrent_runs=2, serial_gate=False)
    rig.repository()
    rig.repository("other", maxConcurrentRuns=1)
    keys = [rig.item(f"a{number}", title=f"a{number}") for number in range(3)]
    keys += [rig.item(f"b{number}", repository="other", title=f"b{number}") for number in range(2)]
    await rig.run(until=120)
    assert rig.crew.most_at_once == 2
    assert all(any(job.startswith(f"{key.name}-tester") for job in rig.jobs) for key in keys)
