"""A ticket that is cancelled or closed while its item cannot follow: heard once what is under way has ended."""

import pytest

from conveyor.cluster.protocol import Key, Kind
from tests.fakes.memory_faults import CallFault
from tests.unit.engine.rig import NAMESPACE, SHOP, TRACKER, Rig
from tests.unit.engine.starts import BEFORE, POD

ITEM = Key(NAMESPACE, "shop-et-17")
DEPLOY = {"template": POD, "rollbackTemplate": POD}


def begin(on_failure: str) -> Rig:
    rig = Rig()
    rig.repository(tracker=TRACKER, deploy=DEPLOY | {"onFailure": on_failure})
    rig.cluster.store.set_status(Kind.REPOSITORY, SHOP, {"production": BEFORE})
    rig.tracker.add(17, "A cart", state="To Analyse")
    return rig


def under_way(rig: Rig, effect: str) -> bool:
    return rig.is_open(ITEM, "transition") and rig.status(ITEM)["transition"]["effect"] == effect


def cancel(rig: Rig) -> None:
    rig.tracker.move("ticket-17", "Cancelled")


@pytest.mark.parametrize("on_failure", ["Rework", "Hold"])
async def test_ticket_cancelled_in_mid_deploy_is_not_worked_on_again_when_that_fails(on_failure: str) -> None:
    rig = begin(on_failure)
    rig.crew.exits["Production"] = [1]
    rig.crew.keeps = frozenset({"Production"})
    await rig.run_until(lambda: under_way(rig, "Production"))
    await rig.run(until=120)
    cancel(rig)
    await rig.run(until=120)
    (said,) = [comment.text for comment in rig.tracker.said["ticket-17"] if "not broken off" in comment.text]
    assert said.startswith("Production is under way")
    rig.crew.keeps = frozenset()
    await rig.run(ITEM, until=7200)
    assert rig.stage(ITEM) == "cancelled"
    assert [job.rsplit("-", 2)[1] for job in rig.jobs if "production" in job] == ["production"]
    assert rig.tracker.tickets["ticket-17"].state_id == "Cancelled"


async def test_ticket_cancelled_in_mid_merge_is_not_merged_once_the_base_has_moved() -> None:
    rig = begin("Hold")
    for _ in range(500):
        rig.forge.calls.fail_next("merge", CallFault.UNAVAILABLE)
    await rig.run_until(lambda: under_way(rig, "Merge"))
    cancel(rig)
    await rig.run(until=120)
    assert under_way(rig, "Merge")
    rig.forge.calls.clear_faults()
    rig.forge.push("main", "other.py")
    await rig.run(ITEM, until=7200)
    assert rig.stage(ITEM) == "cancelled"
    assert [effect for effect in rig.forge.calls.effects if effect[0] == "merge"] == []


async def test_ticket_cancelled_in_mid_deploy_that_passes_is_done() -> None:
    rig = begin("Hold")
    rig.crew.keeps = frozenset({"Production"})
    await rig.run_until(lambda: under_way(rig, "Production"))
    cancel(rig)
    await rig.run(until=600)
    rig.crew.keeps = frozenset()
    await rig.run(ITEM, until=7200)
    await rig.run(until=60)
    assert (rig.stage(ITEM), rig.tracker.tickets["ticket-17"].state_id) == ("done", "Done")


@pytest.mark.parametrize("role", ["developer", "tester"])
async def test_ticket_closed_in_mid_run_keeps_the_item_from_going_on_after_it(role: str) -> None:
    rig = begin("Hold")
    rig.crew.keeps = frozenset({role})
    await rig.run_until(lambda: role in "".join(rig.jobs))
    await rig.run(until=60)
    rig.tracker.move("ticket-17", "Done")
    await rig.run(until=120)
    runs, rig.crew.keeps = len(rig.jobs), frozenset()
    await rig.run(ITEM, until=3600)
    assert rig.condition(ITEM, "Stalled", Kind.WORKITEM)[1] == "TicketClosed"
    assert len(rig.jobs) == runs
    rig.tracker.move("ticket-17", "To Analyse")
    await rig.run(ITEM, until=3600)
    assert rig.stage(ITEM) == "done"


@pytest.mark.parametrize("role", ["developer", "tester"])
async def test_ticket_cancelled_just_before_it_is_set_to_the_next_state_stays_so(role: str) -> None:
    """Nobody was told of it yet: the poll has not asked."""
    rig = begin("Hold")
    rig.crew.then[role] = [lambda: cancel(rig)]
    await rig.run(until=7200)
    assert (rig.stage(ITEM), rig.tracker.tickets["ticket-17"].state_id) == ("cancelled", "Cancelled")
    assert [job for job in rig.jobs if "production" in job] == []
