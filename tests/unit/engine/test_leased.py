"""Leases in an item's way: taken with the region, waited for, given up with it; off where they are switched off."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from conveyor.api.annotations import LABEL_WORKITEM
from conveyor.cluster.protocol import Key, Kind
from conveyor.engine.events import EventRecorder
from conveyor.engine.renewing import sweep
from conveyor.pipeline.case import SOON
from tests.fakes.memory_store import LEASES
from tests.unit.engine.crew import REVIEWER
from tests.unit.engine.rig import NAMESPACE, SHOP, Rig
from tests.unit.engine.starts import GATES, POD


def leases_made(rig: Rig) -> Counter[str]:
    made = [write.key.name.split("-")[0] for write in rig.cluster.writes_of("create_lease", outcome="applied")]
    return Counter(made)


async def test_item_takes_each_lease_once_and_leaves_none() -> None:
    rig = Rig()
    rig.repository()
    item = rig.item()
    await rig.run(item)
    assert leases_made(rig) == {"merge": 1, "deploy": 1, "transition": 2}
    assert rig.cluster.store.keys(LEASES) == []


@pytest.mark.parametrize(
    "settings", [{"transition_lease": False}, {"transition_lease_repositories": frozenset({"other"})}]
)
async def test_without_leases_the_item_ends_the_same(settings: dict[str, Any]) -> None:
    rig = Rig(**settings)
    rig.repository()
    item = rig.item()
    await rig.run(item)
    assert rig.stage(item) == "done"
    assert leases_made(rig) == {}


async def test_lease_that_somebody_alive_holds_is_waited_for() -> None:
    rig = Rig()
    rig.repository()
    item = rig.item()
    foreign = {
        "metadata": {"name": "merge-shop", "namespace": NAMESPACE},
        "spec": {"holderIdentity": "elsewhere/other"},
    }
    key = Key(NAMESPACE, "merge-shop")
    rig.cluster.store.add(LEASES, key, foreign)
    rig.alive.add("elsewhere/other")
    await rig.run(until=40)
    assert rig.waiting(item)[0] == "Lease"
    assert "elsewhere/other" in rig.waiting(item)[1]
    rig.cluster.store.remove(LEASES, key)
    await rig.run(item)
    assert rig.stage(item) == "done"


def foreign_lease(rig: Rig, name: str, holder: str) -> Key:
    """Of somebody who may be alive."""
    key = Key(NAMESPACE, name)
    found = {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": {"holderIdentity": holder}}
    rig.cluster.store.add(LEASES, key, found)
    rig.alive.add(holder)
    return key


async def test_item_that_gives_up_one_of_two_leases_wakes_others_and_not_itself() -> None:
    """Its predecessor, which nobody can tell to be dead, has the one: the other would come and go without end."""
    rig = Rig()
    rig.repository()
    item = rig.item()
    merges = foreign_lease(rig, "merge-shop", "elsewhere/other")
    await rig.run(until=40)
    assert rig.waiting(item)[0] == "Lease"
    uid = rig.whole(item).metadata.uid
    foreign_lease(rig, f"transition-{uid}", f"elsewhere/{uid}")
    rig.cluster.store.remove(LEASES, merges)
    before = leases_made(rig)["merge"]
    await rig.run(until=50)
    assert rig.waiting(item)[0] == "Lease"
    assert leases_made(rig)["merge"] - before <= 60 / SOON


async def test_item_that_a_freeze_stops_before_its_merge_holds_no_lease_and_goes_on_after_the_thaw() -> None:
    """Or others of the repository, the mend among them, would wait behind it for as long as the freeze lasts."""
    rig = Rig()
    rig.repository(gates={key: GATES[key] for key in ("approval", "image")}, staging={"template": POD})
    item = rig.item()
    frozen = {"conveyor.dev/freeze": "audit", "conveyor.dev/freeze-scope": "merge"}
    rig.crew.then["Image"] = [
        lambda: rig.cluster.store.edit(Kind.REPOSITORY, SHOP, {"metadata": {"annotations": frozen}})
    ]
    await rig.run(item, until=7200)
    assert (rig.stage(item), rig.waiting(item)[0]) == ("deploy-staging", "RepositoryFrozen")
    assert rig.cluster.store.keys(LEASES) == []
    thawed: dict[str, None] = dict.fromkeys(frozen)
    rig.cluster.store.edit(Kind.REPOSITORY, SHOP, {"metadata": {"annotations": thawed}})
    await rig.run(item)
    assert rig.stage(item) == "done"
    assert rig.cluster.store.keys(LEASES) == []


async def before_its_merge(during_image: Callable[[Rig, Key], None]) -> tuple[Rig, Key]:
    """Half an hour after this happened while its image was built."""
    rig = Rig()
    rig.repository(gates={key: GATES[key] for key in ("approval", "image")}, staging={"template": POD})
    item = rig.item()
    rig.crew.then["Image"] = [lambda: during_image(rig, item)]
    await rig.run(item, until=1800)
    assert rig.stage(item) == "deploy-staging"
    return rig, item


def suspend(rig: Rig, item: Key, *, suspended: bool = True) -> None:
    rig.cluster.store.edit(Kind.WORKITEM, item, {"spec": {"suspend": suspended}})


def dismiss_reviews(rig: Rig, _: Key) -> None:
    for reviews in rig.forge.pull_reviews.values():
        reviews[:] = [replace(review, dismissed=True) for review in reviews]


async def test_item_that_a_person_holds_before_its_merge_holds_no_lease() -> None:
    rig, item = await before_its_merge(suspend)
    assert rig.waiting(item)[0] == "Suspended"
    assert rig.cluster.store.keys(LEASES) == []
    suspend(rig, item, suspended=False)
    await rig.run(item)
    assert rig.stage(item) == "done"


async def test_item_that_has_to_be_reviewed_anew_before_its_merge_holds_no_lease() -> None:
    """The forge may dismiss an approval when our rebase is pushed; a person takes their time."""
    rig, item = await before_its_merge(dismiss_reviews)
    assert rig.waiting(item)[0] == "Review"
    assert rig.cluster.store.keys(LEASES) == []
    rig.forge.review(1, "APPROVED", author=REVIEWER)
    await rig.run(item)
    assert rig.stage(item) == "done"


async def test_item_that_waits_for_the_lease_of_merges_is_cancelled_without_it() -> None:
    """Whose merge is parked has it until a person decides, and that may take days."""
    rig, item = await before_its_merge(suspend)
    foreign_lease(rig, "merge-shop", "elsewhere/other")
    suspend(rig, item, suspended=False)
    await rig.run(until=10)
    assert rig.waiting(item)[0] == "Lease"
    rig.cluster.store.edit(Kind.WORKITEM, item, {"spec": {"cancel": True}})
    await rig.run(item, until=40)
    assert rig.stage(item) == "cancelled"


async def test_switch_flipped_in_mid_transition_does_not_change_the_one_under_way() -> None:
    """The new process takes over the Lease of the intent, though it would begin no intent with one."""
    rig = Rig()
    rig.repository()
    item = rig.item()
    await rig.run_until(lambda: rig.status(item).get("transition", {}).get("effect") == "Merge")
    assert rig.status(item)["transition"]["leaseUsed"] is True
    rig.process = None
    rig.settings(transition_lease=False)
    await rig.run(item)
    assert rig.stage(item) == "done"
    assert rig.told.takeovers == ["Gone", "Gone"]
    assert rig.cluster.store.keys(LEASES) == []


@pytest.mark.parametrize("alive", [False, True], ids=["by the dead", "by who may be alive"])
async def test_lease_that_is_taken_after_the_items_end_is_swept_away(alive: bool) -> None:
    """By a request that was late: nobody is told of it."""
    rig = Rig()
    rig.repository()
    item = rig.item()
    await rig.run(item)
    key = Key(NAMESPACE, f"transition-{rig.cluster.store.object(Kind.WORKITEM, item)['metadata']['uid']}")
    metadata = {"name": key.name, "namespace": NAMESPACE, "labels": {LABEL_WORKITEM: item.name}}
    rig.cluster.store.add(LEASES, key, {"metadata": metadata, "spec": {"holderIdentity": "elsewhere/late"}})
    if alive:
        rig.alive.add("elsewhere/late")
    world = (await rig.boot()).world
    await sweep(world, EventRecorder(world))
    assert rig.cluster.store.keys(LEASES) == ([key] if alive else [])
    rig.clock.advance(61)
    await sweep(world, EventRecorder(world))
    assert rig.cluster.store.keys(LEASES) == []
