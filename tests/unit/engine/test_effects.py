"""The last look before an effect, and its answer: a hint when to read, never a result."""

import pytest

from conveyor.api.objects import Repository, WorkItem
from conveyor.cluster.protocol import JSONObject, Key, Kind
from conveyor.engine import effects
from conveyor.web.errors import Ambiguous, Conflict, NotFound, OutsideError, RateLimited, Refused, Unavailable
from tests.fakes.memory_cluster import Fault
from tests.fakes.memory_faults import CallFault
from tests.unit.engine.process import Process
from tests.unit.engine.rig import SHOP, Rig


async def at_the_intent() -> tuple[Rig, Process, Key]:
    """An item whose branch is about to be cut."""
    rig = Rig()
    rig.repository()
    item = rig.item()
    for _ in range(20):
        rig.forge.calls.fail_next("create_branch", CallFault.UNAVAILABLE)
    await rig.run(until=2)
    rig.forge.calls.clear_faults()
    assert rig.process is not None
    return rig, rig.process, item


async def apply(rig: Rig, process: Process, whole: WorkItem) -> effects.Applied:
    """As a pass does that has read this item."""
    repository = Repository.model_validate(rig.cluster.store.object(Kind.REPOSITORY, SHOP))
    assert whole.status.transition is not None
    return await effects.apply(process.world, whole, repository, whole.status.transition)


async def test_intent_that_is_ours_is_carried_out() -> None:
    rig, process, item = await at_the_intent()
    assert (await apply(rig, process, rig.whole(item))).result == "applied"
    assert rig.status(item)["branch"] in rig.forge.branches


@pytest.mark.parametrize(
    "change",
    [{"holder": "process-2"}, {"fencingToken": 99}, {"id": "another"}],
    ids=["another owner", "a raised token", "another intent"],
)
async def test_intent_that_is_no_longer_ours_is_left_alone(change: dict[str, object]) -> None:
    rig, process, item = await at_the_intent()
    mine = rig.whole(item)
    rig.cluster.store.set_status(Kind.WORKITEM, item, {"transition": change})
    applied = await apply(rig, process, mine)
    assert applied.result == "superseded"
    assert list(rig.forge.branches) == ["main"]


async def test_intent_of_a_namesake_is_left_alone() -> None:
    rig, process, item = await at_the_intent()
    mine = rig.whole(item)
    rig.cluster.store.edit(Kind.WORKITEM, item, {"metadata": {"uid": "another"}})
    assert (await apply(rig, process, mine)).result == "superseded"


async def test_pass_that_was_overtaken_takes_what_is_there_and_does_not_spin() -> None:
    rig, process, item = await at_the_intent()
    rig.cluster.store.on_change = None  # its watch is late
    rig.cluster.store.set_status(Kind.WORKITEM, item, {"transition": {"holder": "process-2"}})
    await process.items.reconcile(item)
    record = process.cache.items.get(item)
    assert record is not None
    assert str(record.version) == rig.cluster.store.object(Kind.WORKITEM, item)["metadata"]["resourceVersion"]


async def test_item_cancelled_in_the_moment_of_its_merge_intent_is_not_merged() -> None:
    """The write that loses has no effect, neither before it nor by being sent again on the newer version."""
    rig = Rig()
    rig.repository()
    await rig.run(rig.item())
    bodies = [write.body for write in rig.cluster.writes_of("patch_status")]
    merge = next(at for at, body in enumerate(bodies) if _intends_merge(body))
    rig = Rig()
    rig.repository()
    item = rig.item()
    rig.cluster.overtake = lambda kind, key: rig.cluster.store.edit(kind, key, {"spec": {"cancel": True}})
    rig.cluster.fail_next("patch_status", Fault.OVERTAKEN, after=merge)
    await rig.run(item)
    assert _intends_merge(rig.cluster.writes_of("patch_status", outcome="lost")[-1].body)
    assert (rig.stage(item), _merges(rig)) == ("cancelled", [])


async def test_freeze_that_the_watch_has_not_told_yet_stops_the_merge() -> None:
    rig = Rig()
    shop = rig.repository()
    item = rig.item()
    await rig.run_until(lambda: rig.stage(item) == "deploy-staging")
    tell, rig.cluster.store.on_change = rig.cluster.store.on_change, None
    frozen = {"conveyor.dev/freeze": "holidays", "conveyor.dev/freeze-scope": "merge"}
    rig.cluster.store.edit(Kind.REPOSITORY, shop, {"metadata": {"annotations": frozen}})
    rig.cluster.store.on_change = tell
    await rig.run(until=60)
    assert (rig.waiting(item)[0], _merges(rig)) == ("RepositoryFrozen", [])
    assert not rig.is_open(item, "transition")


def _intends_merge(body: JSONObject) -> bool:
    return (body.get("transition") or {}).get("effect") == "Merge"


def _merges(rig: Rig) -> list[tuple[str, ...]]:
    return [effect for effect in rig.forge.calls.effects if effect[0] == "merge"]


ANSWERS: list[tuple[OutsideError, str]] = [
    (Conflict("exists"), "conflict"),
    (Refused("no"), "refused"),
    (NotFound("gone"), "refused"),
    (Unavailable("down"), "unavailable"),
    (Ambiguous("lost"), "unknown"),
    (RateLimited("slow down", until_seconds=30), "unavailable"),
]


@pytest.mark.parametrize(("error", "result"), ANSWERS, ids=lambda it: type(it).__name__)
async def test_answer_says_when_to_read_and_never_at_once_again(error: OutsideError, result: str) -> None:
    rig, process, item = await at_the_intent()
    rig.forge.refusal = error
    applied = await apply(rig, process, rig.whole(item))
    assert applied.result == result
    assert applied.after > 0 or applied.refusal


async def test_refusal_is_shown_to_people_and_the_effect_tried_again() -> None:
    rig, _, item = await at_the_intent()
    rig.forge.refusal = Refused("POST branches: 403 the token may not")
    await rig.run(until=20)
    reason, message = rig.waiting(item)
    assert reason == "Admission"
    assert "403 the token may not" in message
    rig.forge.refusal = None
    await rig.run(item)
    assert rig.stage(item) == "done"
