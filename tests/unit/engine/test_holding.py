"""A Repository is held while items of it are under way or an automatic freeze stands, and lost for no longer than that.

| what | while |
|---|---|
| held | the first item is admitted, an automatic freeze is made |
| let go | the last item has ended, the freeze is cleared; nobody waits, or it is being deleted |
| gone all the same | an item is under way: its run ends, it waits, and goes on when the Repository is back |
"""

from typing import Any

import pytest

from conveyor.api.annotations import ITEMS_FINALIZER
from conveyor.cluster.protocol import JSONObject, Key, Kind
from tests.fakes.memory_store import JOBS, LEASES
from tests.unit.engine.picks import picks
from tests.unit.engine.rig import SHOP, Rig
from tests.unit.engine.test_whole_way import EFFECTS

FREEZE: JSONObject = {"id": "t-1", "reason": "degraded", "item": "cart", "sinceTime": "2026-11-20T10:00:00Z"}


def is_there(rig: Rig) -> bool:
    return (Kind.REPOSITORY, SHOP) in rig.cluster.store.objects


def finalizers(rig: Rig) -> list[str]:
    found: list[str] = rig.cluster.store.object(Kind.REPOSITORY, SHOP)["metadata"].get("finalizers") or []
    return found


def holds(rig: Rig) -> list[str]:
    """Each change of the finalizer, as written."""
    written = (it for it in rig.cluster.writes_of("set_finalizers") if it.kind == Kind.REPOSITORY)
    return [" ".join(it.body["finalizers"]) for it in written]


async def at_work(**spec: Any) -> tuple[Rig, Key]:
    """An item whose analyst has begun."""
    rig = Rig()
    rig.repository(**spec)
    item = rig.item()
    rig.crew.idle = True
    await rig.run(until=60)
    assert rig.is_open(item, "activeRun")
    return rig, item


async def test_repository_without_items_is_neither_held_nor_written_for_it() -> None:
    rig = Rig()
    rig.repository()
    await rig.run(until=3600)
    assert (finalizers(rig), holds(rig)) == ([], [])


async def test_repository_is_held_once_for_all_its_items_and_let_go_after_the_last() -> None:
    rig = Rig()
    rig.repository()
    items = [rig.item(name, title=name) for name in ("one", "two", "three")]
    await rig.run(*items)
    await rig.run(until=60)
    assert holds(rig) == [ITEMS_FINALIZER, ""]
    assert finalizers(rig) == []


async def test_deleted_repository_stays_until_its_item_has_ended_and_starts_nothing_new() -> None:
    rig, item = await at_work()
    late = rig.item("late", title="Late")
    rig.cluster.store.delete(Kind.REPOSITORY, SHOP)
    rig.crew.idle = False
    await rig.run(item)
    await rig.run(until=60)
    assert rig.stage(item) == "done"
    assert not is_there(rig)
    assert rig.stage(late) == "created"


async def test_deleted_repository_that_is_held_says_so_once() -> None:
    rig, _ = await at_work()
    rig.cluster.store.delete(Kind.REPOSITORY, SHOP)
    await rig.run(until=3600)
    status, reason, message = rig.condition(SHOP, "Deleting")
    assert (status, reason) == ("True", "ItemsUnderWay")
    assert "kubectl workitem queue" in message
    assert [note for note, _ in rig.notes()].count("DeletionHeld") == 1


async def test_deleted_repository_stays_while_an_automatic_freeze_stands() -> None:
    rig = Rig()
    rig.repository()
    await rig.run(until=60)
    rig.cluster.store.set_status(Kind.REPOSITORY, SHOP, {"freezes": [FREEZE]})
    await rig.run(until=60)
    assert finalizers(rig) == [ITEMS_FINALIZER]
    rig.cluster.store.delete(Kind.REPOSITORY, SHOP)
    await rig.run(until=3600)
    assert rig.condition(SHOP, "Deleting")[1] == "Frozen"
    unfreeze = {"metadata": {"annotations": {"request.conveyor.dev/unfreeze": "u1 by=lead all"}}}
    rig.cluster.store.edit(Kind.REPOSITORY, SHOP, unfreeze)
    await rig.run(until=60)
    assert not is_there(rig)


async def test_finalizers_of_others_stay() -> None:
    rig = Rig()
    rig.repository()
    rig.cluster.store.edit(Kind.REPOSITORY, SHOP, {"metadata": {"finalizers": ["their.own/finalizer"]}})
    item = rig.item()
    await rig.run(item)
    await rig.run(until=60)
    assert finalizers(rig) == ["their.own/finalizer"]


# --- gone all the same


async def lose(rig: Rig) -> None:
    """Somebody takes the finalizer off: it is gone at once."""
    rig.cluster.store.remove(Kind.REPOSITORY, SHOP)
    await rig.run(until=300)


async def test_run_ends_and_the_item_waits_when_its_repository_is_gone() -> None:
    rig, item = await at_work()
    await lose(rig)
    assert rig.cluster.store.keys(JOBS) == []
    assert rig.condition(item, "Stalled", Kind.WORKITEM)[:2] == ("True", "RepositoryMissing")
    assert not rig.is_open(item, "activeRun")
    assert "attempts" not in rig.status(item)


async def test_item_goes_on_when_its_repository_is_back() -> None:
    rig, item = await at_work()
    await lose(rig)
    rig.repository()
    rig.crew.idle = False
    await rig.run(item)
    assert rig.stage(item) == "done"
    assert [effect[0] for effect in rig.forge.calls.effects] == EFFECTS
    assert rig.cluster.store.keys(LEASES) == []


async def test_repository_that_is_back_before_anybody_looked_costs_no_run() -> None:
    rig, item = await at_work()
    rig.cluster.store.on_change = None  # its watch is late
    rig.cluster.store.remove(Kind.REPOSITORY, SHOP)
    rig.repository()
    process = rig.process
    assert process is not None
    process.cache.drop_repository(SHOP, uid=process.cache.repositories.get(SHOP).uid, version=10**6)  # type: ignore[union-attr]
    await process.items.reconcile(item)
    assert rig.is_open(item, "activeRun")
    assert len(rig.cluster.store.keys(JOBS)) == 1


async def test_item_admitted_before_its_repository_was_made_anew_keeps_its_lane() -> None:
    rig, item = await at_work()
    second = rig.item("second", title="Second")
    await lose(rig)
    rig.repository()
    await rig.run(until=60)
    assert (rig.stage(item), rig.stage(second)) == ("analysis", "created")


@pytest.mark.slow
async def test_repository_gone_after_any_write_and_back_again_changes_nothing_in_the_end() -> None:
    rig = Rig()
    rig.repository()
    await rig.run(rig.item())
    for number in picks(range(2, rig.writes)):
        rig = Rig()
        rig.repository()
        item = rig.item()
        rig.at_write[number] = lambda rig=rig: rig.cluster.store.remove(Kind.REPOSITORY, SHOP)  # type: ignore[misc]
        await rig.run(until=600)
        rig.repository()
        await rig.run(item)
        assert rig.stage(item) == "done", (number, rig.waiting(item))
        assert [effect[0] for effect in rig.forge.calls.effects] == EFFECTS
        assert rig.cluster.store.keys(LEASES) == []
        assert (rig.told.violations, rig.told.failures) == ([], [])
