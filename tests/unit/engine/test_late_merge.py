"""A merge that lands when its intent is gone, for a person said `retry` of what nobody could tell."""

from conveyor.cluster.protocol import Key, Kind
from tests.fakes.memory_faults import CallFault
from tests.unit.engine.rig import Rig

RETRY = {"metadata": {"annotations": {"request.conveyor.dev/retry": "r1"}}}


async def retried() -> tuple[Rig, Key]:
    """Its merge was parked, and a person has just retried it: nothing is intended yet."""
    rig = Rig()
    rig.repository()
    item = rig.item()
    for _ in range(2000):
        rig.forge.calls.fail_next("merge", CallFault.REQUEST_LOST)
    await rig.run_until(lambda: rig.condition(item, "Stalled", Kind.WORKITEM)[1] == "EffectUnknown")
    rig.forge.calls.clear_faults()
    rig.cluster.store.edit(Kind.WORKITEM, item, RETRY)
    await rig.run_until(lambda: "transition" not in rig.status(item))
    return rig, item


async def test_it_is_deployed_like_any_other() -> None:
    rig, item = await retried()
    await rig.forge.merge(rig.status(item)["pullRequest"]["number"], head=rig.status(item)["headSHA"])
    await rig.run(item)
    assert rig.stage(item) == "done"
    assert rig.status(item)["mergeSHA"] == rig.forge.branches["main"]
    assert len([name for name in rig.jobs if "production" in name]) == 1
    assert len([effect for effect in rig.forge.calls.effects if effect[0] == "merge"]) == 1


async def test_it_is_deployed_though_another_intent_is_on_record_by_then() -> None:
    rig, item = await retried()
    await rig.run_until(lambda: "transition" in rig.status(item))
    await rig.forge.merge(rig.status(item)["pullRequest"]["number"], head=rig.status(item)["headSHA"])
    await rig.run(item)
    assert rig.stage(item) == "done"
    assert len([name for name in rig.jobs if "production" in name]) == 1
