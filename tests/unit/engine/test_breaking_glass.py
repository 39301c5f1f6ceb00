"""Override and release-lease in the engine: what is at work ends first, and the item goes on from where it is put."""

import pytest

from conveyor.cluster.protocol import Key, Kind
from tests.fakes.memory_cluster import Fault
from tests.fakes.memory_store import JOBS, LEASES
from tests.unit.engine.rig import Rig


def ask(rig: Rig, item: Key, verb: str, text: str) -> None:
    annotations = {f"request.conveyor.dev/{verb}": f"r1 by=ann {text}"}
    rig.cluster.store.edit(Kind.WORKITEM, item, {"metadata": {"annotations": annotations}})


def echo(rig: Rig, item: Key) -> str:
    return str(rig.status(item)["handledRequests"][0]["result"])


async def at_work(kept: str, **settings: object) -> tuple[Rig, Key]:
    """An item that has come to the role or effect whose Job stays at work."""
    rig = Rig(**settings)  # type: ignore[arg-type]
    rig.repository()
    item = rig.item()
    rig.crew.keeps = frozenset({kept})
    await rig.run(until=60)
    return rig, item


def jobs_at_work(rig: Rig) -> list[str]:
    store = rig.cluster.store
    return [key.name for key in store.keys(JOBS) if store.objects[JOBS, key].get("status", {}).get("active")]


async def test_a_run_at_work_is_gone_before_the_item_is_moved() -> None:
    rig, item = await at_work("reviewer")
    (run,) = jobs_at_work(rig)
    rig.cluster.leave_pods(Key(item.namespace, run))
    ask(rig, item, "override", "review>development the reviewer is broken")
    await rig.run(until=30)
    assert (rig.stage(item), "handledRequests" in rig.status(item)) == ("review", False)
    rig.cluster.end_pods(Key(item.namespace, run))
    rig.crew.keeps = frozenset()
    await rig.run(item)
    assert (rig.stage(item), echo(rig, item)) == ("done", "Accepted")
    passed = [(entry["from"], entry["to"], entry["actor"]) for entry in rig.status(item)["history"] if "from" in entry]
    assert ("review", "development", "ann") in passed


async def test_a_deploy_under_way_is_not_torn_off() -> None:
    rig, item = await at_work("Production")
    ask(rig, item, "override", "deploy>cancelled enough")
    await rig.run(until=30)
    assert rig.stage(item) == "deploy"
    assert echo(rig, item).startswith("Refused: Production is under way")
    rig.crew.keeps = frozenset()
    await rig.run(item)
    assert rig.stage(item) == "done"


@pytest.mark.parametrize("writes", range(1, 5))
async def test_wherever_the_process_dies_the_move_happens_once(writes: int) -> None:
    rig, item = await at_work("reviewer")
    ask(rig, item, "override", "review>development once more")
    rig.crew.keeps = frozenset()
    rig.crew.idle = True
    rig.kill_after(writes)
    await rig.run(until=120)
    rig.crew.idle = False
    await rig.run(item)
    moves = [entry for entry in rig.status(item)["history"] if entry["cause"] == "override: once more"]
    assert (rig.boots, len(moves), rig.stage(item)) == (2, 1, "done")


async def test_a_lease_is_taken_away_and_the_effect_gone_on_with() -> None:
    rig, item = await at_work("Production")
    before = rig.status(item)["transition"]
    ask(rig, item, "release-lease", "it hangs")
    await rig.run(until=1)
    after = rig.status(item)["transition"]
    assert echo(rig, item) == "Accepted"
    assert (after["id"], after["fencingToken"]) == (before["id"], before["fencingToken"] + 1)
    assert rig.told.takeovers == ["Forced", "Forced"]  # its own, and the repository's deploys
    assert ("LeaseReleased", "its Leases are taken away by ann: it hangs") in rig.notes()
    rig.crew.keeps = frozenset()
    await rig.run(item)
    assert rig.stage(item) == "done"
    assert len([name for name in rig.jobs if "production" in name]) == 1


async def test_a_foreign_process_that_holds_on_loses_its_lease() -> None:
    rig, item = await at_work("Production")
    uid = rig.whole(item).metadata.uid
    for lease in rig.cluster.store.keys(LEASES):
        rig.cluster.store.edit(LEASES, lease, {"spec": {"holderIdentity": f"process-{rig.boots}/zombie/{uid}"}})
    ask(rig, item, "release-lease", "")
    await rig.run(until=1)
    assert echo(rig, item) == "Accepted"


async def test_without_leases_it_is_refused() -> None:
    rig, item = await at_work("Production", transition_lease=False)
    ask(rig, item, "release-lease", "")
    await rig.run(until=1)
    assert echo(rig, item) == "Refused: no Lease of this item is there"


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.ANSWER_LOST, Fault.REQUEST_LOST])
async def test_a_release_whose_answer_is_lost_is_found_to_have_happened(fault: Fault) -> None:
    rig, item = await at_work("Production")
    rig.cluster.fail_next("delete_lease", fault)
    ask(rig, item, "release-lease", "")
    await rig.run(until=30)
    assert echo(rig, item) == "Accepted"


async def test_a_lease_that_is_renewed_meanwhile_is_taken_away_all_the_same() -> None:
    rig, item = await at_work("Production")
    rig.cluster.fail_next("delete_lease", Fault.OVERTAKEN)
    ask(rig, item, "release-lease", "")
    await rig.run(until=1)
    assert (echo(rig, item), rig.told.takeovers) == ("Accepted", ["Forced", "Forced"])
