"""An automatic freeze is cleared by a person: at once, whoever else is away, and those who waited go on."""

from conveyor.api.annotations import FREEZE
from conveyor.cluster.protocol import JSONObject, Key, Kind
from tests.fakes.memory_faults import CallFault
from tests.unit.engine.rig import SHOP, Rig

STANDS: JSONObject = {
    "id": "t-1",
    "reason": "the deploy of 0ddba11c failed",
    "item": "older",
    "scope": "merge",
    "sinceTime": "2026-01-01T00:00:00Z",
}


async def frozen() -> tuple[Rig, Key]:
    """An item that waits for the freeze of an earlier deploy to end."""
    rig = Rig()
    rig.repository()
    rig.cluster.store.set_status(Kind.REPOSITORY, SHOP, {"freezes": [STANDS]})
    item = rig.item()
    await rig.run(until=60)
    assert rig.waiting(item)[0] == "RepositoryFrozen"
    return rig, item


def ask(rig: Rig, request: str, verb: str = "unfreeze") -> None:
    annotations = {f"request.conveyor.dev/{verb}": request}
    rig.cluster.store.edit(Kind.REPOSITORY, SHOP, {"metadata": {"annotations": annotations}})


def echoed(rig: Rig) -> list[str]:
    return [entry["result"] for entry in rig.status(SHOP, Kind.REPOSITORY)["handledRequests"]]


async def test_a_cleared_freeze_lets_the_waiting_item_go_on_at_once() -> None:
    rig, item = await frozen()
    ask(rig, "r1 by=ann t-1")
    await rig.run(until=1)
    assert rig.stage(item) not in ("created", "cancelled")
    (kept,) = rig.status(SHOP, Kind.REPOSITORY)["freezes"]
    assert (kept["clearedBy"], "clearedTime" in kept) == ("ann", True)
    assert "effectiveFreeze" not in rig.status(SHOP, Kind.REPOSITORY)
    assert rig.condition(SHOP, "Frozen")[0] == "False"
    assert ("Unfrozen", "freeze t-1 (the deploy of 0ddba11c failed) cleared by ann") in rig.notes()


async def test_an_unknown_id_is_refused_and_nothing_thaws() -> None:
    rig, item = await frozen()
    ask(rig, "r1 by=ann t-2")
    await rig.run(until=60)
    assert echoed(rig) == ["Refused: no automatic freeze t-2 stands; there stand t-1"]
    assert rig.waiting(item)[0] == "RepositoryFrozen"
    assert any(reason == "RequestRefused" for reason, _ in rig.notes())


async def test_it_is_answered_while_the_forge_is_away() -> None:
    rig, _ = await frozen()
    for _ in range(20):
        rig.forge.calls.fail_next("settings", CallFault.UNAVAILABLE)
    rig.clock.advance(3600)
    ask(rig, "r1 by=ann all")
    await rig.run(until=1)
    assert echoed(rig) == ["Accepted"]


async def test_a_freeze_in_git_holds_on_when_the_automatic_one_is_cleared() -> None:
    rig, item = await frozen()
    rig.cluster.store.edit(Kind.REPOSITORY, SHOP, {"metadata": {"annotations": {FREEZE: "audit"}}})
    ask(rig, "r1 by=ann all")
    await rig.run(until=60)
    assert rig.status(SHOP, Kind.REPOSITORY)["effectiveFreeze"]["source"] == "Annotation"
    assert rig.waiting(item) == ("RepositoryFrozen", "frozen: audit")


async def test_item_applied_again_after_its_deploy_failed_is_a_namesake_and_waits() -> None:
    rig = Rig()
    rig.repository()
    item = rig.item()
    rig.crew.exits["Production"] = [1]
    await rig.run_until(lambda: bool(rig.status(SHOP, Kind.REPOSITORY).get("freezes")))
    await rig.run(item, until=10)
    rig.cluster.store.delete(Kind.WORKITEM, item)
    await rig.run_until(lambda: (Kind.WORKITEM, item) not in rig.cluster.store.objects)
    for branch in rig.forge.branches.keys() - {"main"}:
        del rig.forge.branches[branch]
    rig.item()
    await rig.run(item, until=600)
    assert (rig.stage(item), rig.waiting(item)[0]) == ("created", "RepositoryFrozen")
