"""An item whose forge was killed between moving its branch and seeing that in the pull request: it never catches up.

| cut off | what becomes of the item |
|---|---|
| our rebase | it goes on at once: the same patches follow each other |
| what the developer published | it goes on; where it has to be rebased, a minute later |
| the same, on a pull request of somebody else | it goes on with what was published |
| somebody's push | it is reviewed anew |
"""

from collections.abc import Callable

import pytest

from conveyor.cluster.protocol import Key
from conveyor.forge.change_id import change_id
from tests.unit.engine.rig import Rig
from tests.unit.engine.test_rebase_whole_way import assert_landed_once, at_the_rebase, behind, moves

AT_ONCE = 60.0
"""Seconds that are left to the whole of what is cut off, CI and deploy included."""


def dies(rig: Rig, *, first: Callable[[], object] = lambda: None) -> Callable[[], object]:
    """From now on the forge sees no move of a branch in its pull request."""

    def cut() -> None:
        first()
        rig.forge.dies_before_sync = True

    return cut


def is_late(rig: Rig) -> bool:
    return bool(rig.forge.pulls) and rig.forge.pull_refs[1] != rig.forge.pulls[1].head_sha


def effect_of(rig: Rig, item: Key) -> str:
    return str(rig.status(item).get("transition", {}).get("effect", ""))


async def test_rebase_that_the_forge_did_not_see_goes_on_at_once() -> None:
    rig, item = behind()
    rig.crew.then["tester"] = [dies(rig, first=rig.crew.then["tester"][0])]
    await rig.run_until(lambda: is_late(rig))
    await rig.run(item, until=AT_ONCE)
    assert is_late(rig)
    assert_landed_once(rig, item)


async def test_process_that_dies_meanwhile_goes_on_as_well() -> None:
    rig, item = behind()
    rig.crew.then["tester"] = [dies(rig, first=rig.crew.then["tester"][0])]
    await rig.run_until(lambda: is_late(rig))
    rig.process = None
    await rig.run(item, until=AT_ONCE)
    assert_landed_once(rig, item)


def sent_back() -> tuple[Rig, Key]:
    """An item with a second round of development, which the forge does not see."""
    rig = Rig()
    rig.repository()
    rig.crew.ci = "failure"
    rig.crew.then["ci"] = [dies(rig, first=lambda: setattr(rig.crew, "ci", "success"))]
    return rig, rig.item()


async def test_published_work_that_the_forge_did_not_see_is_reviewed_and_merged() -> None:
    rig, item = sent_back()
    await rig.run(item, until=3600)
    assert is_late(rig)
    assert rig.stage(item) == "done", rig.waiting(item)
    assert [effect[0] for effect in rig.forge.calls.effects] == ["create_branch", "open_pull_request", "merge"]
    assert {review.commit for review in rig.forge.pull_reviews[1]} == {rig.status(item)["mergeSHA"]}
    assert rig.told.violations == []


async def test_work_that_the_forge_sees_late_is_told_by_its_diff() -> None:
    rig, item = sent_back()
    rig.crew.then["tester"] = [moves(rig, "other.py")]
    await rig.run_until(lambda: not rig.crew.then["tester"])
    await rig.run_until(lambda: rig.waiting(item)[0] == "Forge" or effect_of(rig, item) == "Rebase")
    rig.forge.pull_refs[1] = rig.forge.pulls[1].head_sha
    await rig.run_until(lambda: effect_of(rig, item) == "Rebase")
    assert rig.status(item)["changeID"] == change_id(await rig.forge.diff(1))


@pytest.mark.parametrize("healed", [False, True], ids=["the rebase is not seen either", "the rebase is seen"])
async def test_work_that_was_not_seen_is_rebased_without_another_review(healed: bool) -> None:
    rig, item = sent_back()

    def base_moves() -> None:
        rig.forge.push("main", "other.py")
        rig.forge.dies_before_sync = not healed

    rig.crew.then["tester"] = [base_moves]
    await rig.run(item, until=3600)
    assert rig.stage(item) == "done", rig.waiting(item)
    assert is_late(rig) is not healed
    assert [effect[0] for effect in rig.forge.calls.effects].count("update_by_rebase") == 1
    assert [job.removeprefix("cart-").split("-")[0] for job in rig.jobs].count("reviewer") == 1


async def test_push_that_the_forge_did_not_see_is_reviewed() -> None:
    rig, item = await at_the_rebase()
    rig.forge.dies_before_sync = True
    await rig.forge.update_by_rebase(1)
    pushed = rig.forge.push(rig.status(item)["branch"], "foreign.py")
    await rig.run(item, until=3600)
    history = [(entry["to"], entry["cause"]) for entry in rig.status(item)["history"]]
    assert ("review", f"HeadMoved: somebody pushed {pushed[:12]}") in history
    assert is_late(rig)
    assert rig.stage(item) == "done"


async def test_published_work_on_a_pull_request_that_was_there_is_what_is_merged() -> None:
    rig = Rig()
    rig.repository()
    item = rig.item()
    await rig.run_until(lambda: rig.stage(item) == "development")
    branch = rig.status(item)["branch"]
    await rig.forge.open_pull_request(head=branch, base="main", title="Early", body="")
    rig.forge.dies_before_sync = True
    await rig.run(item, until=3600)
    assert is_late(rig)
    assert rig.stage(item) == "done", rig.waiting(item)
    assert rig.forge.branches["main"] == rig.forge.branches[branch]
    assert [job.removeprefix("cart-").split("-")[0] for job in rig.jobs].count("reviewer") == 1
