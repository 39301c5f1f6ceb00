"""One deploy or rollback at a time per repository, from its intent to its result, whoever holds the Lease meanwhile.

| the first | the second |
|---|---|
| deploys, rolls back | waits, and begins once that is on record |
| is parked, for nobody can tell whether its Job is at work | waits, and is told whose word is wanted |
| has a Job at work whose operator died, or is being deleted | waits for the Job's end all the same |
"""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from conveyor.cluster.protocol import Key, Kind
from tests.fakes.memory_store import JOBS, LEASES
from tests.unit.engine.rig import DEPLOY, NAMESPACE, SHOP, Rig

CART, PEAR = Key(NAMESPACE, "cart"), Key(NAMESPACE, "pear")
LEASE = Key(NAMESPACE, "deploy-shop")
POLL_SECONDS = 30.0
ROLLS_BACK = DEPLOY | {"rollbackTemplate": DEPLOY["template"], "onFailure": "Hold"}
BEFORE = {"image": "registry.test/cart@sha256:" + "0" * 64, "sha": "b" * 40, "item": "before"}
PRODUCTION = frozenset({"Production"})


def is_at_work(rig: Rig, effect: str) -> Callable[[], bool]:
    def found() -> bool:
        whole = [rig.cluster.store.objects[JOBS, key] for key in rig.cluster.store.keys(JOBS)]
        return any(effect.lower() in it["metadata"]["name"] and it["status"].get("active") for it in whole)

    return found


async def both_at_deploy(effect: str = "Production", **settings: Any) -> tuple[Rig, Key, Key]:
    """The first has a Job of this effect at work that does not end; the second comes after it."""
    rig = Rig(**settings)
    rig.repository(serialGate={"mode": "Disabled"}, deploy=ROLLS_BACK)
    rig.cluster.store.set_status(Kind.REPOSITORY, SHOP, {"production": BEFORE})
    rig.item(CART.name, title="A cart")
    rig.item(PEAR.name, title="A pear")
    rig.crew.exits = {"Production": [1]} if effect == "Rollback" else {}
    rig.crew.keeps = frozenset({effect})
    await rig.run_until(is_at_work(rig, effect))
    await rig.run(until=300)
    [first] = [key for key in (CART, PEAR) if rig.is_open(key, "transition")]
    return rig, first, PEAR if first == CART else CART


def holder(rig: Rig) -> str:
    found = rig.cluster.store.objects.get((LEASES, LEASE), {"spec": {}})
    return str(found["spec"].get("holderIdentity", ""))


def at_work(rig: Rig) -> list[str]:
    """Items whose effect is on record."""
    return [key.name for key in (CART, PEAR) if rig.is_open(key, "transition")]


def assert_waits_for(rig: Rig, second: Key, first: Key) -> str:
    assert rig.stage(second) == "deploy"
    assert at_work(rig) == [first.name]
    reason, text = rig.waiting(second)
    assert reason == "Lease"
    assert f"{first.name} " in text
    return text


async def test_second_waits_by_name_for_the_first_and_begins_when_its_result_is_on_record() -> None:
    rig, first, second = await both_at_deploy()
    assert_waits_for(rig, second, first)
    assert holder(rig).endswith(rig.whole(first).metadata.uid)
    rig.crew.keeps = frozenset()
    ended = rig.clock.now().timestamp()
    await rig.run_until(lambda: second.name in at_work(rig))
    assert rig.is_ended(first)
    assert rig.status(SHOP, Kind.REPOSITORY)["production"]["item"] == first.name
    assert rig.clock.now().timestamp() - ended < POLL_SECONDS  # it was told, and did not find out by asking
    await rig.run(CART, PEAR)
    assert [rig.stage(key) for key in (CART, PEAR)] == ["done", "done"]
    assert rig.status(SHOP, Kind.REPOSITORY)["production"]["sha"] == rig.forge.branches["main"]
    assert rig.cluster.store.keys(LEASES) == []


async def test_wait_for_the_first_is_written_once() -> None:
    rig, _, second = await both_at_deploy()
    version = rig.whole(second).metadata.resource_version
    await rig.run(until=1200)
    assert rig.whole(second).metadata.resource_version == version


async def both_at_work_without_leases() -> tuple[Rig, Key, Key]:
    """The one that was merged first, and the other, each with a Job at work."""
    rig = Rig(transition_lease=False)
    rig.repository(serialGate={"mode": "Disabled"})
    rig.item(CART.name, title="A cart")
    rig.item(PEAR.name, title="A pear")
    rig.crew.keeps = PRODUCTION
    await rig.run_until(lambda: len(productions(rig)) == 2)
    assert at_work(rig) == [CART.name, PEAR.name]
    later = rig.forge.branches["main"]
    first, second = sorted((CART, PEAR), key=lambda key: rig.status(key)["mergeSHA"] == later)
    return rig, first, second


def productions(rig: Rig) -> dict[str, Key]:
    """The deploys at work by their item."""
    store = rig.cluster.store
    found = [key for key in store.keys(JOBS) if "production" in key.name]
    return {key.name.split("-")[0]: key for key in found if store.objects[JOBS, key]["status"].get("active")}


async def test_without_leases_both_deploy_at_once_and_the_later_is_on_record() -> None:
    rig, first, second = await both_at_work_without_leases()
    for key in (first, second):
        rig.cluster.end_job(productions(rig)[key.name])
        await rig.run(key)
    assert rig.status(SHOP, Kind.REPOSITORY)["production"]["item"] == second.name


async def test_deploy_that_ends_after_a_later_one_does_not_replace_it_on_record() -> None:
    rig, first, second = await both_at_work_without_leases()
    rig.cluster.end_job(productions(rig)[second.name])
    await rig.run(second)
    rig.cluster.end_job(productions(rig)[first.name])
    await rig.run(until=300)
    assert rig.status(SHOP, Kind.REPOSITORY)["production"]["item"] == second.name
    assert rig.condition(first, "Stalled", Kind.WORKITEM)[1] == "DeployFailed"
    assert f"of {second.name} meanwhile" in rig.waiting(first)[1]


async def test_rollback_is_waited_for_like_a_deploy() -> None:
    rig, first, second = await both_at_deploy("Rollback", freeze=False)
    assert_waits_for(rig, second, first)
    rig.crew.keeps = frozenset()
    await rig.run(second)
    assert rig.condition(first, "Stalled", Kind.WORKITEM)[1] == "DeployFailed"
    assert rig.stage(second) == "done"


async def test_retry_of_a_failed_rollback_goes_back_once_a_deploy_that_it_waits_for_has_ended() -> None:
    """It is not answered before: taken for a new start of the stage, it would deploy again what has failed."""
    rig, first, second = await both_at_deploy("Rollback", freeze=False)
    rig.crew.exits, rig.crew.keeps = {"Rollback": [1], "Production": [1]}, PRODUCTION
    await rig.run_until(is_at_work(rig, "Production"))
    assert rig.condition(first, "Stalled", Kind.WORKITEM)[1] == "RollbackFailed"
    ask = {"metadata": {"annotations": {"request.conveyor.dev/retry": "r1"}}}
    rig.cluster.store.edit(Kind.WORKITEM, first, ask)
    await rig.run(until=300)
    assert rig.condition(first, "Stalled", Kind.WORKITEM)[1] == "RollbackFailed"
    assert at_work(rig) == [second.name]
    rig.crew.keeps = frozenset()
    await rig.run(until=3600)
    assert [name.split("-")[1] for name in rig.jobs if name.startswith(first.name)][-3:] == [
        "production",
        "rollback",
        "rollback",
    ]
    assert [(it["verb"], it["result"]) for it in rig.status(first)["handledRequests"]] == [("retry", "Accepted")]


async def parked() -> tuple[Rig, Key, Key]:
    """Somebody has deleted the first one's Job while it was at work."""
    rig, first, second = await both_at_deploy()
    for key in rig.cluster.store.keys(JOBS):
        if "production" in key.name:
            rig.cluster.store.remove(JOBS, key)
    await rig.run(until=300)
    assert rig.condition(first, "Stalled", Kind.WORKITEM)[1] == "EffectUnknown"
    return rig, first, second


@pytest.mark.parametrize("dies", [False, True], ids=["its operator lives", "its operator died"])
async def test_parked_deploy_keeps_the_second_waiting_for_a_persons_word(dies: bool) -> None:
    rig, first, second = await parked()
    if dies:
        rig.process = None
    await rig.run(until=3600)
    assert f"kubectl workitem why {first.name}" in assert_waits_for(rig, second, first)
    assert "EffectUnknown" in rig.waiting(second)[1]
    rig.crew.keeps = frozenset()
    ask = {"metadata": {"annotations": {"request.conveyor.dev/retry": "r1"}}}
    rig.cluster.store.edit(Kind.WORKITEM, first, ask)
    await rig.run(CART, PEAR)
    assert [rig.stage(key) for key in (CART, PEAR)] == ["done", "done"]


async def test_parked_deploy_keeps_its_lease() -> None:
    rig, first, _ = await parked()
    assert holder(rig).endswith(rig.whole(first).metadata.uid)


async def test_lease_of_an_operator_that_died_is_taken_over_by_its_item_alone() -> None:
    rig, first, second = await both_at_deploy()
    rig.process = None
    await rig.run(until=300)
    assert_waits_for(rig, second, first)
    assert holder(rig) == f"process-{rig.boots}/{rig.whole(first).metadata.uid}"
    assert "Gone" in rig.told.takeovers
    rig.crew.keeps = frozenset()
    await rig.run(CART, PEAR)
    assert [rig.stage(key) for key in (CART, PEAR)] == ["done", "done"]


async def test_job_of_an_operator_that_died_is_waited_for_before_its_item_is_looked_at() -> None:
    """The second has its pass first, and finds the Lease of a dead one."""
    rig, first, second = await both_at_deploy()
    process = await rig.boot()
    await process.items.reconcile(second)
    assert_waits_for(rig, second, first)
    assert holder(rig).startswith(f"process-{rig.boots - 1}/")


async def test_deleted_item_is_waited_for_until_its_job_has_ended() -> None:
    rig, first, second = await both_at_deploy()
    rig.cluster.store.delete(Kind.WORKITEM, first)
    await rig.run(until=300)
    assert holder(rig) == ""
    assert_waits_for(rig, second, first)
    rig.crew.keeps = frozenset()
    await rig.run(second)
    assert rig.stage(second) == "done"
    assert (Kind.WORKITEM, first) not in rig.cluster.store.objects
    assert rig.cluster.store.keys(LEASES) == []


async def test_lease_taken_away_by_a_person_lets_nobody_deploy_beside_a_job_at_work() -> None:
    rig, first, second = await both_at_deploy()
    ask = {"metadata": {"annotations": {"request.conveyor.dev/release-lease": "r1 by=anna"}}}
    rig.cluster.store.edit(Kind.WORKITEM, first, ask)
    await rig.run(until=300)
    assert [note for note, _ in rig.notes()].count("LeaseReleased") == 1
    assert_waits_for(rig, second, first)


async def test_deploys_go_on_in_the_order_of_their_merges() -> None:
    """Behind a later commit the earlier one would not be deployed any more."""
    rig = Rig()
    rig.repository(serialGate={"mode": "Disabled"})
    items = [rig.item(name, title=name) for name in ("cart", "pear", "plum", "fig")]
    rig.crew.keeps = PRODUCTION
    await rig.run(until=600)
    assert [rig.stage(key) for key in items] == ["deploy"] * 4
    order = [effect[1] for effect in rig.forge.calls.effects if effect[0] == "merge"]
    merged = sorted(items, key=lambda key: order.index(rig.status(key)["mergeSHA"]))
    rig.crew.keeps = frozenset()
    await rig.run(*items)
    assert [rig.stage(key) for key in items] == ["done"] * 4
    assert [name.split("-")[0] for name in rig.jobs if "production" in name] == [key.name for key in merged]


async def test_of_two_that_begin_at_once_one_deploys() -> None:
    """Neither has its intent on record when the other is decided about."""
    rig = Rig(workers=2)
    rig.repository(serialGate={"mode": "Disabled"})
    rig.item(CART.name, title="A cart")
    rig.item(PEAR.name, title="A pear")
    rig.crew.keeps = PRODUCTION
    await rig.run_until(lambda: both_are_held_before_it(rig))
    for key in (CART, PEAR):
        rig.cluster.store.edit(Kind.WORKITEM, key, {"spec": {"suspend": False}})
    process = rig.process
    assert process is not None
    for change in rig._backlog:
        process.seen(*change)
    await asyncio.gather(*(process.items.reconcile(key) for key in (CART, PEAR)))
    assert len(at_work(rig)) == 1


def both_are_held_before_it(rig: Rig) -> bool:
    """By a person, as soon as each is merged."""
    for key in (CART, PEAR):
        if rig.stage(key) == "deploy" and not rig.whole(key).spec.suspend:
            rig.cluster.store.edit(Kind.WORKITEM, key, {"spec": {"suspend": True}})
    return all(rig.stage(key) == "deploy" and rig.waiting(key)[0] == "Suspended" for key in (CART, PEAR))
