"""A merge that lands when its intent is gone, for a person said `retry` of what nobody could tell."""

from dataclasses import replace

import pytest

from conveyor.cluster.protocol import Key, Kind
from conveyor.engine.indicate import remark
from tests.fakes.memory_faults import CallFault
from tests.unit.engine.rig import Rig
from tests.unit.engine.test_breaking_glass import jobs_at_work


def ask(rig: Rig, item: Key, verb: str, text: str = "") -> None:
    """Each time anew, even where the verb was said before."""
    word = f"{verb}-{len(rig.status(item).get('handledRequests', []))} by=ann {text}".rstrip()
    rig.cluster.store.edit(Kind.WORKITEM, item, {"metadata": {"annotations": {f"request.conveyor.dev/{verb}": word}}})


async def retried() -> tuple[Rig, Key]:
    """Its merge was parked, and a person has just retried it: nothing is intended yet."""
    rig = Rig()
    rig.repository()
    item = rig.item()
    for _ in range(2000):
        rig.forge.calls.fail_next("merge", CallFault.REQUEST_LOST)
    await rig.run_until(lambda: rig.condition(item, "Stalled", Kind.WORKITEM)[1] == "EffectUnknown")
    rig.forge.calls.clear_faults()
    ask(rig, item, "retry")
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


async def at_work_again() -> tuple[Rig, Key]:
    """A person sent it back to development after the retry, and its developer is at work."""
    rig, item = await retried()
    rig.crew.keeps = frozenset({"developer"})
    ask(rig, item, "rework", "not yet")
    await rig.run_until(lambda: rig.stage(item) == "development" and jobs_at_work(rig) != [])
    return rig, item


async def sent_back() -> tuple[Rig, Key]:
    """Then the merge that was asked for before landed."""
    rig, item = await at_work_again()
    await rig.forge.merge(rig.status(item)["pullRequest"]["number"], head=rig.status(item)["headSHA"])
    ask(rig, item, "refresh")  # as the forge's webhook has it looked at
    await rig.run(until=600)
    rig.crew.keeps = frozenset()
    return rig, item


def productions(rig: Rig) -> list[str]:
    return [name for name in rig.jobs if "production" in name]


async def test_after_the_item_was_sent_back_its_run_ends_and_a_person_is_asked() -> None:
    rig, item = await sent_back()
    status = rig.status(item)
    assert rig.condition(item, "Stalled", Kind.WORKITEM)[:2] == ("True", "MergedLate")
    assert "kubectl workitem override" in status["waiting"]["message"]
    assert (rig.stage(item), status["mergeSHA"]) == ("development", rig.forge.branches["main"])
    assert ("activeRun" in status, "transition" in status, jobs_at_work(rig), productions(rig)) == (
        False,
        False,
        [],
        [],
    )


@pytest.mark.parametrize(
    ("merged_by", "stage", "stalled"),
    [("operator", "development", ("True", "MergedLate")), ("ann", "done", ("False", "Progressing"))],
    ids=["by our late request", "by a person"],
)
async def test_without_any_webhook_a_merge_behind_a_run_is_noticed_when_the_run_ends(
    merged_by: str, stage: str, stalled: tuple[str, str]
) -> None:
    rig, item = await at_work_again()
    number = rig.status(item)["pullRequest"]["number"]
    await rig.forge.merge(number, head=rig.status(item)["headSHA"])
    rig.forge.pulls[number] = replace(rig.forge.pulls[number], merged_by=merged_by)
    await rig.run(until=600)
    assert jobs_at_work(rig) != []
    rig.crew.keeps = frozenset()
    runs = len(rig.jobs)
    await rig.run(until=600)
    assert (rig.stage(item), rig.condition(item, "Stalled", Kind.WORKITEM)[:2]) == (stage, stalled)
    assert (len(rig.jobs), jobs_at_work(rig)) == (runs, [])


@pytest.mark.parametrize(("stage", "deploys"), [("deploy", 1), ("done", 0)])
async def test_after_the_item_was_sent_back_a_person_says_whether_it_is_deployed(stage: str, deploys: int) -> None:
    rig, item = await sent_back()
    ask(rig, item, "override", f"development>{stage} as it stands")
    await rig.run(item)
    assert rig.stage(item) == "done"
    assert len(productions(rig)) == deploys


@pytest.mark.parametrize("verb", ["retry", "resume"])
async def test_after_the_item_was_sent_back_nothing_goes_on_as_if_it_had_not_landed(verb: str) -> None:
    rig, item = await sent_back()
    ask(rig, item, verb)
    await rig.run(until=600)
    assert rig.condition(item, "Stalled", Kind.WORKITEM)[1] == "MergedLate"
    assert productions(rig) == []


@pytest.mark.parametrize(("verb", "text"), [("rework", "more"), ("override", "development>architecture more")])
async def test_after_the_item_was_sent_back_more_work_is_done_on_a_branch_of_its_own(verb: str, text: str) -> None:
    rig, item = await sent_back()
    merged = rig.status(item)["mergeSHA"]
    ask(rig, item, verb, text)
    await rig.run(item)
    assert rig.stage(item) == "done"
    assert rig.status(item)["branch"].endswith("-r1")
    assert rig.status(item)["mergeSHA"] != merged
    assert len(productions(rig)) == 1


async def cancelled() -> tuple[Rig, Key]:
    """A person cancelled it after the retry, before anything was intended again."""
    rig, item = await retried()
    rig.cluster.store.edit(Kind.WORKITEM, item, {"spec": {"cancel": True}})
    await rig.run_until(lambda: rig.stage(item) == "cancelled")
    return rig, item


async def test_after_the_item_was_cancelled_it_says_so_and_its_ticket_is_told_once() -> None:
    rig, item = await cancelled()
    await rig.run(until=400)
    await rig.forge.merge(rig.status(item)["pullRequest"]["number"], head=rig.status(item)["headSHA"])
    await rig.run(until=600)
    assert rig.condition(item, "Stalled", Kind.WORKITEM)[:2] == ("True", "MergedLate")
    assert (rig.stage(item), rig.status(item)["mergeSHA"]) == ("cancelled", rig.forge.branches["main"])
    assert [reason for reason, _ in rig.notes()].count("MergedLate") == 1
    assert productions(rig) == []
    words = remark(rig.whole(item))
    assert words is not None
    assert "after the item was cancelled" in words.text


async def test_merge_that_lands_before_a_new_process_looks_at_the_cancelled_item_is_told() -> None:
    rig, item = await cancelled()
    rig.process = None
    await rig.forge.merge(rig.status(item)["pullRequest"]["number"], head=rig.status(item)["headSHA"])
    await rig.run(until=600)
    assert rig.condition(item, "Stalled", Kind.WORKITEM)[1] == "MergedLate"


async def test_whoever_merges_a_cancelled_items_pull_request_by_hand_is_not_answered() -> None:
    rig, item = await cancelled()
    number = rig.status(item)["pullRequest"]["number"]
    await rig.forge.merge(number, head=rig.status(item)["headSHA"])
    rig.forge.pulls[number] = replace(rig.forge.pulls[number], merged_by="ann")
    await rig.run(until=600)
    assert (rig.stage(item), rig.condition(item, "Stalled", Kind.WORKITEM)[0]) == ("cancelled", "False")
    assert "mergeSHA" not in rig.status(item)


async def reads_of_a_new_process(rig: Rig) -> int:
    rig.process, before = None, rig.forge.calls.reads
    await rig.run(until=1)
    return rig.forge.calls.reads - before


async def test_cancelled_item_is_looked_at_for_an_hour_and_then_left_alone() -> None:
    rig, _ = await cancelled()
    soon = await reads_of_a_new_process(rig)
    await rig.run(until=3600)
    assert soon - await reads_of_a_new_process(rig) == 1
