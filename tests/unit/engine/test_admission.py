"""Admission is one write on the Repository as it was read: a rival, a freeze, a deletion in between is noticed.

| the active item | is |
|---|---|
| under way, or admitted a moment ago | left in its place, also if only the API server knows of it |
| ended, gone, a namesake of one that is gone | followed by the next |
| this very item, by a write whose answer was lost or after which we died | not written again |
"""

from typing import Any

import pytest

from conveyor.api.objects import Repository
from conveyor.cluster.protocol import JSONObject, Key, Kind
from conveyor.engine.admission import admit
from conveyor.engine.outcomes import Again, Outcome
from tests.fakes.memory_cluster import Fault
from tests.unit.engine.process import Process
from tests.unit.engine.rig import SHOP, Rig

FROZEN = {"metadata": {"annotations": {"conveyor.dev/freeze": "holidays"}}}


async def ready(**spec: Any) -> tuple[Rig, Process]:
    rig = Rig()
    rig.repository(**spec)
    await rig.run(until=5)
    assert rig.process is not None
    return rig, rig.process


async def ask(rig: Rig, process: Process, item: Key) -> Repository | Outcome:
    """Admission, decided upon what this process knows now."""
    before = Repository.model_validate(rig.cluster.store.object(Kind.REPOSITORY, SHOP))
    return await admit(process.world, process.hub, rig.whole(item), before)


def new_item(rig: Rig, process: Process, name: str) -> Key:
    key = rig.item(name, title=name)
    process.hub.item_seen(rig.cluster.store.object(Kind.WORKITEM, key))
    return key


def active(rig: Rig) -> str:
    return str(rig.status(SHOP, Kind.REPOSITORY).get("activeItem", {}).get("name", ""))


def set_active(rig: Rig, name: str, uid: str) -> None:
    rig.cluster.store.set_status(Kind.REPOSITORY, SHOP, {"activeItem": {"name": name, "uid": uid}})


def uid(rig: Rig, key: Key) -> str:
    return str(rig.cluster.store.object(Kind.WORKITEM, key)["metadata"]["uid"])


def written(rig: Rig) -> list[JSONObject]:
    return [it.body for it in rig.cluster.writes_of("patch_status") if "activeItem" in it.body]


async def test_first_in_a_free_lane_is_admitted() -> None:
    rig, process = await ready()
    one = new_item(rig, process, "one")
    assert isinstance(await ask(rig, process, one), Repository)
    assert active(rig) == "one"


async def test_of_two_processes_that_admit_rivals_at_once_one_succeeds() -> None:
    """Each knows its own item only; both have read the Repository before either has written."""
    rig, process = await ready()
    one = new_item(rig, process, "one")
    two = rig.item("two", title="two")
    rig.cluster.overtake = lambda *_: set_active(rig, "two", uid(rig, two))
    rig.cluster.fail_next("set_finalizers", Fault.OVERTAKEN)
    assert isinstance(await ask(rig, process, one), Again)
    assert active(rig) == "two"
    assert isinstance(await ask(rig, process, one), Again)
    assert active(rig) == "two"


@pytest.mark.parametrize("verb", ["set_finalizers", "patch_status"])
async def test_freeze_in_between_is_noticed(verb: str) -> None:
    rig, process = await ready()
    one = new_item(rig, process, "one")
    rig.cluster.overtake = lambda kind, key: rig.cluster.store.edit(kind, key, FROZEN)
    rig.cluster.fail_next(verb, Fault.OVERTAKEN)
    assert isinstance(await ask(rig, process, one), Again)
    assert isinstance(await ask(rig, process, one), Again)
    assert (active(rig), written(rig)) == ("", [])


async def test_deletion_of_the_repository_is_noticed() -> None:
    rig, process = await ready()
    one = new_item(rig, process, "one")
    rig.cluster.store.edit(Kind.REPOSITORY, SHOP, {"metadata": {"finalizers": ["their.own/finalizer"]}})
    rig.cluster.store.delete(Kind.REPOSITORY, SHOP)
    assert isinstance(await ask(rig, process, one), Again)
    assert active(rig) == ""


async def test_active_item_that_this_process_has_not_seen_yet_keeps_its_lane() -> None:
    rig, process = await ready()
    one = new_item(rig, process, "one")
    unseen = rig.item("unseen", title="unseen")
    set_active(rig, "unseen", uid(rig, unseen))
    assert isinstance(await ask(rig, process, one), Again)
    assert process.cache.items.get(unseen) is not None
    assert active(rig) == "unseen"


async def test_active_item_that_is_gone_is_followed_by_the_next() -> None:
    rig, process = await ready()
    one = new_item(rig, process, "one")
    set_active(rig, "gone", "uid-of-the-gone")
    assert isinstance(await ask(rig, process, one), Repository)
    assert active(rig) == "one"


async def test_namesake_of_the_active_item_does_not_keep_its_lane() -> None:
    rig, process = await ready()
    one, namesake = new_item(rig, process, "one"), rig.item("two", title="two", priority=-1)
    set_active(rig, namesake.name, "uid-of-the-gone")
    assert isinstance(await ask(rig, process, one), Repository)
    assert active(rig) == "one"


@pytest.mark.parametrize("stage", ["done", "cancelled"])
async def test_active_item_that_has_ended_is_followed_by_the_next(stage: str) -> None:
    rig, process = await ready()
    one, two = new_item(rig, process, "one"), new_item(rig, process, "two")
    set_active(rig, "two", uid(rig, two))
    process.hub.item_seen(rig.cluster.store.set_status(Kind.WORKITEM, two, {"stage": stage}))
    assert isinstance(await ask(rig, process, one), Repository)
    assert active(rig) == "one"


async def test_admission_that_stands_already_is_not_written_again() -> None:
    rig, process = await ready()
    one = new_item(rig, process, "one")
    assert isinstance(await ask(rig, process, one), Repository)
    assert isinstance(await ask(rig, process, one), Repository)
    assert len(written(rig)) == 1


async def test_admission_whose_answer_is_lost_is_found_to_stand() -> None:
    rig, process = await ready()
    one = new_item(rig, process, "one")
    rig.cluster.fail_next("patch_status", Fault.ANSWER_LOST)
    assert isinstance(await ask(rig, process, one), Again)
    assert isinstance(await ask(rig, process, one), Repository)
    assert len(written(rig)) == 1


async def test_item_admitted_before_a_death_does_not_begin_in_a_freeze_made_since() -> None:
    rig = Rig()
    rig.repository()
    await rig.run(until=5)
    item = rig.item()
    rig.cluster.fail_next("set_finalizers", Fault.UNAVAILABLE, after=1)  # the Repository's goes, the item's does not
    for _ in range(20):
        rig.cluster.fail_next("set_finalizers", Fault.UNAVAILABLE)
    await rig.run(until=1)
    assert active(rig) == item.name
    rig.cluster.store.edit(Kind.REPOSITORY, SHOP, FROZEN)
    rig.process = None
    await rig.run(until=600)
    assert rig.waiting(item)[0] == "RepositoryFrozen"
    assert rig.forge.calls.effects == []


@pytest.mark.parametrize("off", [{"serialGate": {"mode": "Disabled"}}, None], ids=["here", "everywhere"])
async def test_without_the_serial_gate_each_admission_is_written_and_none_occupies(off: JSONObject | None) -> None:
    rig = Rig(serial_gate=off is not None)
    rig.repository(**(off or {}))
    items = [rig.item(name, title=name) for name in ("one", "two", "three")]
    rig.crew.idle = True
    await rig.run(until=120)
    assert {rig.stage(item) for item in items} == {"analysis"}
    assert {body["activeItem"]["name"] for body in written(rig)} == {"one", "two", "three"}
