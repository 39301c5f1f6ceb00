"""Image, staging, deploy, rollback and rework on an item's whole way, whatever dies when: each Job once per intent.

| what goes wrong | the end |
|---|---|
| nothing | done, with image and deploy on record |
| the first deploy | rolled back, frozen for others, mended on a new branch, done |
| the first deploy, held | rolled back, DeployFailed until a person says retry |
| the first deploy and its rollback | RollbackFailed until a person says retry, then rolled back, mended, done |
| the first image, the first staging | the developer again, then done |
"""

from collections import Counter
from typing import Any

import pytest

from conveyor.cluster.protocol import Key, Kind
from tests.fakes.memory_cluster import Fault
from tests.fakes.memory_store import JOBS, LEASES
from tests.unit.engine.picks import picks
from tests.unit.engine.rig import NAMESPACE, SHOP, Rig

POD = {"spec": {"containers": [{"name": "work", "image": "work:1"}]}}
GATES = {"approval": {"analysis": "Auto", "deploy": "Auto"}, "image": {"enabled": True, "template": POD}}
BEFORE = {"image": "registry.test/cart@sha256:" + "0" * 64, "sha": "b" * 40, "item": "before"}
ROLES = ["analyst", "architect", "developer", "reviewer", "tester"]
LANDS = ["image", "staging", "production"]


def begin(*, on_failure: str = "Rework", **exits: list[int]) -> tuple[Rig, Key]:
    rig = Rig()
    deploy = {"template": POD, "rollbackTemplate": POD, "onFailure": on_failure}
    rig.repository(gates=GATES, staging={"template": POD}, deploy=deploy)
    rig.cluster.store.set_status(Kind.REPOSITORY, SHOP, {"production": BEFORE})
    rig.crew.exits = {effect: list(codes) for effect, codes in exits.items()}
    return rig, rig.item()


async def carry(rig: Rig, item: Key) -> None:
    """To the end, with a person who says retry whenever it is Stalled."""
    for number in range(10):
        await rig.run(item, until=3600)
        if rig.is_ended(item) and not rig.cluster.store.keys(LEASES):
            return
        if rig.condition(item, "Stalled", Kind.WORKITEM)[0] == "True":
            ask = {"metadata": {"annotations": {"request.conveyor.dev/retry": f"r{number}"}}}
            rig.cluster.store.edit(Kind.WORKITEM, item, ask)
    raise AssertionError(f"it does not get to its end: {rig.stage(item)} {rig.waiting(item)}")


def jobs(rig: Rig, item: Key) -> list[str]:
    return [job.removeprefix(f"{item.name}-").split("-")[0] for job in rig.jobs]


def assert_deployed_once(rig: Rig, item: Key, expected: list[str]) -> None:
    """Done, by the last deploy; each Job was created under its name once, and nobody holds one any more."""
    assert rig.stage(item) == "done", rig.waiting(item)
    assert jobs(rig, item) == expected
    assert max(Counter(rig.jobs).values()) == 1
    production = rig.status(SHOP, Kind.REPOSITORY)["production"]
    merged = rig.status(item)["mergeSHA"]
    assert (production["sha"], production["item"], merged) == (merged, item.name, rig.forge.branches["main"])
    assert production["image"] == rig.status(item)["image"]
    whole = [rig.cluster.store.object(JOBS, key) for key in rig.cluster.store.keys(JOBS)]
    held = [job["metadata"]["name"] for job in whole if job["metadata"].get("finalizers")]
    assert (held, rig.cluster.store.keys(LEASES)) == ([], [])
    assert "transition" not in rig.status(item)
    assert (rig.told.violations, rig.told.failures) == ([], [])


def freezes(rig: Rig) -> list[str]:
    return [freeze["item"] for freeze in rig.status(SHOP, Kind.REPOSITORY).get("freezes", [])]


AGAIN = ["developer", "reviewer", "tester", *LANDS]
WAYS: dict[str, tuple[dict[str, Any], list[str], int]] = {
    "nothing": ({}, [*ROLES, *LANDS], 0),
    "the deploy": ({"Production": [1]}, [*ROLES, *LANDS, "rollback", *AGAIN], 1),
    "the deploy, held": (
        {"Production": [1], "on_failure": "Hold"},
        [*ROLES, *LANDS, "rollback", "production"],
        1,
    ),
    "deploy and rollback": (
        {"Production": [1], "Rollback": [1]},
        [*ROLES, *LANDS, "rollback", "rollback", *AGAIN],
        1,
    ),
    "the image": ({"Image": [1]}, [*ROLES, "image", *AGAIN], 0),
    "staging": ({"Staging": [1]}, [*ROLES, "image", "staging", *AGAIN], 0),
}
EACH = pytest.mark.parametrize("name", WAYS)


@EACH
async def test_item_is_deployed_once_whatever_failed_before(name: str) -> None:
    how, expected, frozen = WAYS[name]
    rig, item = begin(**how)
    await carry(rig, item)
    assert_deployed_once(rig, item, expected)
    assert freezes(rig) == [item.name] * frozen
    assert rig.cluster.writes_of("patch_status", outcome="unchanged") == []


@pytest.mark.slow
@EACH
async def test_process_killed_after_any_single_write_of_it_ends_the_same(name: str) -> None:
    how, expected, frozen = WAYS[name]
    rig, item = begin(**how)
    await carry(rig, item)
    for number in picks(range(rig.writes // 3, rig.writes + 1), count=10):  # what comes before is no different
        rig, item = begin(**how)
        rig.kill_after(number)
        await carry(rig, item)
        assert_deployed_once(rig, item, expected)
        assert freezes(rig) == [item.name] * frozen, f"killed after write {number}"


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault", [Fault.ANSWER_LOST, Fault.OVERTAKEN, pytest.param(Fault.REQUEST_LOST, marks=pytest.mark.long)]
)
async def test_any_status_write_that_goes_wrong_changes_nothing_in_the_end(fault: Fault) -> None:
    how, expected, _ = WAYS["the deploy"]
    rig, item = begin(**how)
    await carry(rig, item)
    for number in picks(range(len(rig.cluster.writes_of("patch_status"))), count=10):
        rig, item = begin(**how)
        rig.cluster.fail_next("patch_status", fault, after=number)
        await carry(rig, item)
        assert_deployed_once(rig, item, expected)


async def test_others_are_held_while_the_mend_lands() -> None:
    rig, item = begin(Production=[1])
    other = rig.item("other", title="Other")
    await carry(rig, item)
    await rig.run(until=600)
    assert rig.stage(item) == "done"
    assert rig.waiting(other)[0] == "RepositoryFrozen"
    ask = {"metadata": {"annotations": {"request.conveyor.dev/unfreeze": "u1 by=anna all"}}}
    rig.cluster.store.edit(Kind.REPOSITORY, SHOP, ask)
    await rig.run(other)
    assert rig.stage(other) == "done"


async def test_last_job_of_an_item_that_stays_is_let_go_in_the_pass_that_takes_its_answer() -> None:
    rig, item = begin(Production=[1], on_failure="Hold")
    await rig.run_until(lambda: rig.condition(item, "Stalled", Kind.WORKITEM)[1] == "DeployFailed")
    whole = [rig.cluster.store.object(JOBS, key) for key in rig.cluster.store.keys(JOBS)]
    assert [job["metadata"]["name"] for job in whole if job["metadata"].get("finalizers")] == []


async def test_rolled_back_item_is_where_a_person_left_it_until_they_speak() -> None:
    rig, item = begin(Production=[1], on_failure="Hold")
    await rig.run(until=7200)
    assert rig.condition(item, "Stalled", Kind.WORKITEM)[1] == "DeployFailed"
    assert rig.status(SHOP, Kind.REPOSITORY)["production"] == BEFORE
    ask = {"metadata": {"annotations": {"request.conveyor.dev/rework": "w1 by=anna mend it"}}}
    rig.cluster.store.edit(Kind.WORKITEM, item, ask)
    await carry(rig, item)
    assert_deployed_once(rig, item, [*ROLES, *LANDS, "rollback", *AGAIN])
    assert rig.status(item)["branch"].endswith("-r1")


async def test_job_that_somebody_deletes_is_read_to_its_end_and_let_go_of() -> None:
    rig, item = begin()
    rig.crew.keeps = frozenset({"Production"})
    await rig.run(until=600)
    name = rig.status(item)["transition"]["job"]["name"]
    key = Key(NAMESPACE, name)
    await rig.cluster.delete_job(key, uid=rig.cluster.store.object(JOBS, key)["metadata"]["uid"])
    await rig.run(until=120)
    assert rig.stage(item) == "deploy"
    rig.cluster.end_job(key)
    await carry(rig, item)
    assert_deployed_once(rig, item, [*ROLES, *LANDS])


async def test_job_that_vanishes_after_it_was_seen_is_never_created_again() -> None:
    rig, item = begin()
    rig.crew.keeps = frozenset({"Production"})
    await rig.run(until=600)
    key = Key(NAMESPACE, rig.status(item)["transition"]["job"]["name"])
    rig.cluster.store.remove(JOBS, key)
    await rig.run(until=600)
    assert rig.condition(item, "Stalled", Kind.WORKITEM)[1] == "EffectUnknown"
    assert jobs(rig, item) == [*ROLES, *LANDS]
