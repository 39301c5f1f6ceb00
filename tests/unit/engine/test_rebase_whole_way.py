"""An item's whole way past a base that moves, without network: rebased, tested again, merged once, whatever dies when.

| disturbance | where |
|---|---|
| the base moves once, again, for ever, in conflict, while merges are frozen | between the tests and the merge |
| the process dies | after every single write of the way, re-test and coverage mark included |
| the forge's answer or request is lost | at every rebase and merge |
| somebody pushes | between the intent and the rebase |
| CI is silent | on the rebased commit, across a restart |
"""

from collections.abc import Callable

import pytest

from conveyor.cluster.protocol import Key, Kind
from tests.fakes.memory_faults import CallFault
from tests.unit.engine.people import ask
from tests.unit.engine.picks import picks
from tests.unit.engine.rig import SHOP, Rig

GATES = {"approval": {"analysis": "Auto", "deploy": "Auto"}}
COVERED = GATES | {"coverage": {"enabled": True}}
EFFECTS = ["create_branch", "open_pull_request", "update_by_rebase", "merge"]
JOBS = ["analyst", "architect", "developer", "reviewer", "tester", "production"]


def moves(rig: Rig, *files: str) -> Callable[[], object]:
    """Somebody's push to the base."""
    return lambda: rig.forge.push("main", *files)


def behind() -> tuple[Rig, Key]:
    """An item whose base moves while it is tested."""
    rig = Rig()
    rig.repository()
    rig.crew.then["tester"] = [moves(rig, "other.py")]
    return rig, rig.item()


def covered() -> tuple[Rig, Key]:
    """The same in a repository whose coverage may not fall."""
    rig = Rig()
    rig.repository(gates=COVERED)
    rig.crew.coverage = 81.5
    rig.crew.then["tester"] = [moves(rig, "other.py")]
    return rig, rig.item()


def assert_landed_once(rig: Rig, item: Key) -> None:
    assert rig.stage(item) == "done", rig.waiting(item)
    assert [effect[0] for effect in rig.forge.calls.effects] == EFFECTS
    assert [job.removeprefix(f"{item.name}-").split("-")[0] for job in rig.jobs] == JOBS
    assert rig.status(item)["mergeSHA"] == rig.forge.branches["main"]
    landed = [rig.forge.commits[commit].files for commit in rig.forge.ancestors(rig.forge.branches["main"])]
    assert landed[0] == {"cart.py"}
    assert {"other.py"} in landed
    assert "attempts" not in rig.status(item)
    assert rig.told.violations == []
    assert rig.told.failures == []


WAYS = pytest.mark.parametrize("begin", [behind, covered])
Begin = Callable[[], tuple[Rig, Key]]


@WAYS
async def test_base_that_moved_is_rebased_on_and_nobody_works_again(begin: Begin) -> None:
    rig, item = begin()
    await rig.run(item)
    assert_landed_once(rig, item)
    assert rig.cluster.writes_of("patch_status", outcome="unchanged") == []


@pytest.mark.slow
@WAYS
async def test_process_killed_after_any_single_write_ends_the_same(begin: Begin) -> None:
    rig, item = begin()
    await rig.run(item)
    writes = rig.writes
    assert writes > 40
    for number in picks(range(writes // 2, writes + 1), count=16):  # what comes before is no different
        rig, item = begin()
        rig.kill_after(number)
        await rig.run(item)
        assert rig.boots == 2, f"it was not killed after write {number}"
        assert_landed_once(rig, item)


@pytest.mark.parametrize("fault", CallFault)
@pytest.mark.parametrize("verb", ["update_by_rebase", "merge"])
async def test_effect_that_nobody_confirms_happens_once(verb: str, fault: CallFault) -> None:
    rig, item = behind()
    for _ in range(3):
        rig.forge.calls.fail_next(verb, fault)
    await rig.run(item)
    assert_landed_once(rig, item)


# --- the base moves again


async def test_base_that_moves_while_ci_works_is_charged_and_rebased_on_again() -> None:
    rig, item = behind()
    rig.crew.then["ci"] = [lambda: None, moves(rig, "third.py")]
    await rig.run(item)
    assert rig.stage(item) == "done"
    assert [effect[0] for effect in rig.forge.calls.effects].count("update_by_rebase") == 2
    assert [(it["cause"], it["count"]) for it in rig.status(item)["attempts"]] == [("BaseMoved", 1)]


async def test_base_that_never_rests_is_a_persons_matter_and_retry_goes_on() -> None:
    rig, item = behind()
    rig.crew.then["ci"] = [lambda: None] + [moves(rig, f"{number}.py") for number in range(20)]
    await rig.run(item, until=7200)
    assert rig.condition(item, "Stalled", Kind.WORKITEM)[:2] == ("True", "BaseMoved")
    assert [effect[0] for effect in rig.forge.calls.effects].count("update_by_rebase") == 6
    rig.crew.then["ci"].clear()
    rig.cluster.store.edit(Kind.WORKITEM, item, {"metadata": {"annotations": {"request.conveyor.dev/retry": "1"}}})
    await rig.run(item)
    assert rig.stage(item) == "done"


async def test_setting_that_forbids_rebases_leaves_a_moved_base_to_a_person() -> None:
    rig = Rig(premerge_rebase=False)
    rig.repository()
    rig.crew.then["tester"] = [moves(rig, "other.py")]
    item = rig.item()
    await rig.run(item, until=3600)
    assert rig.condition(item, "Stalled", Kind.WORKITEM)[:2] == ("True", "BaseMoved")
    assert "update_by_rebase" not in [effect[0] for effect in rig.forge.calls.effects]


FREEZE = {"conveyor.dev/freeze": "audit", "conveyor.dev/freeze-scope": "merge"}


PARKED = {
    "type": "Stalled",
    "status": "True",
    "reason": "EffectUnknown",
    "message": "",
    "lastTransitionTime": "2026-11-20T09:00:00Z",
}


@pytest.mark.parametrize("late", [False, True], ids=["", "the watch is late"])
@pytest.mark.parametrize("moved", [False, True], ids=["up to date", "behind"])
async def test_nothing_is_rebased_or_merged_once_merges_are_frozen(moved: bool, late: bool) -> None:
    rig, item = behind()
    move = rig.crew.then["tester"][0]

    def frozen() -> None:
        told, rig.cluster.store.on_change = rig.cluster.store.on_change, None if late else rig.cluster.store.on_change
        rig.cluster.store.edit(Kind.REPOSITORY, SHOP, {"metadata": {"annotations": FREEZE}})
        rig.cluster.store.on_change = told
        if moved:
            move()

    rig.crew.then["tester"] = [frozen]
    await rig.run(item, until=3600)
    assert rig.waiting(item) == ("RepositoryFrozen", "merges are frozen: audit")
    assert {"update_by_rebase", "merge"}.isdisjoint(effect[0] for effect in rig.forge.calls.effects)
    rig.cluster.store.edit(Kind.REPOSITORY, SHOP, {"metadata": {"annotations": dict.fromkeys(FREEZE)}})
    await rig.run(item)
    assert rig.stage(item) == "done"


@pytest.mark.parametrize("parked", [False, True], ids=["", "parked and resumed"])
async def test_merge_that_was_intended_before_the_freeze_is_sent_after_the_thaw_alone(parked: bool) -> None:
    rig = Rig()
    rig.repository()
    item = rig.item()
    await rig.run_until(lambda: rig.status(item).get("transition", {}).get("effect") == "Merge")
    rig.process = None
    rig.cluster.store.edit(Kind.REPOSITORY, SHOP, {"metadata": {"annotations": FREEZE}})
    if parked:
        rig.cluster.store.set_status(Kind.WORKITEM, item, {"transition": {"phase": "Unknown"}, "conditions": [PARKED]})
        ask("resume")(rig, item)
    await rig.run(item, until=7200)
    assert rig.waiting(item) == ("RepositoryFrozen", "merges are frozen: audit")
    assert "merge" not in [effect[0] for effect in rig.forge.calls.effects]
    rig.cluster.store.edit(Kind.REPOSITORY, SHOP, {"metadata": {"annotations": dict.fromkeys(FREEZE)}})
    await rig.run(item)
    assert rig.stage(item) == "done"


# --- conflicts and pushes


async def test_conflict_goes_to_the_developer_with_the_files_named() -> None:
    rig, item = behind()
    rig.crew.then["tester"] = [moves(rig, "cart.py", "other.py")]
    await rig.run(item, until=7200)
    causes = [entry["cause"] for entry in rig.status(item)["history"] if entry["to"] == "development"]
    assert causes[1] == "Conflict: feature/CART-a-cart conflicts with main; both changed cart.py"
    assert rig.condition(item, "Stalled", Kind.WORKITEM)[:2] == ("True", "RetriesExhausted")
    assert {(it["cause"], it["count"]) for it in rig.status(item)["attempts"]} == {("Conflict", 3)}
    assert rig.is_open(item, "transition") is False


async def at_the_rebase() -> tuple[Rig, Key]:
    """The intent is on record, and the forge has not been reached yet."""
    rig, item = behind()
    for _ in range(200):
        rig.forge.calls.fail_next("update_by_rebase", CallFault.UNAVAILABLE)
    await rig.run(item, until=30)
    assert rig.status(item)["transition"]["effect"] == "Rebase"
    rig.forge.calls.clear_faults()
    return rig, item


async def test_push_between_intent_and_rebase_is_reviewed_and_not_rebased_before() -> None:
    rig, item = await at_the_rebase()
    pushed = rig.forge.push(rig.status(item)["branch"], "foreign.py")
    await rig.run(item)
    history = [(entry["to"], entry["cause"]) for entry in rig.status(item)["history"]]
    assert ("review", f"HeadMoved: somebody pushed {pushed[:12]}") in history
    assert rig.stage(item) == "done"
    assert [effect[0] for effect in rig.forge.calls.effects] == EFFECTS


async def test_rebase_by_somebody_else_with_another_change_is_reviewed() -> None:
    rig, item = await at_the_rebase()
    await rig.forge.update_by_rebase(1)
    rig.forge.push(rig.status(item)["branch"], "foreign.py")
    await rig.run(item)
    assert "review" in [entry["to"] for entry in rig.status(item)["history"] if entry.get("from") == "deploy-staging"]
    assert rig.stage(item) == "done"


# --- CI on the rebased commit


async def test_ci_that_is_silent_on_the_rebased_commit_is_a_persons_matter_after_its_time_across_a_restart() -> None:
    rig, item = behind()
    tested = rig.crew.then["tester"][0]

    def silenced() -> None:
        tested()
        rig.crew.ci = ""

    rig.crew.then["tester"] = [silenced]
    await rig.run(item, until=600)
    assert rig.waiting(item)[0] == "CI"
    rig.process = None
    await rig.run(item, until=200)
    assert rig.waiting(item)[0] == "CI"
    await rig.run(item, until=300)
    assert rig.condition(item, "Stalled", Kind.WORKITEM)[:2] == ("True", "CISilent")
    assert "900 s since the rebase are over" in rig.waiting(item)[1]
    rig.crew.ci = "success"
    await rig.run(item)
    assert_landed_once(rig, item)


async def test_red_ci_on_the_rebased_commit_is_the_developers() -> None:
    rig, item = behind()
    tested = rig.crew.then["tester"][0]

    def reddened() -> None:
        tested()
        rig.crew.ci = "failure"

    rig.crew.then["tester"] = [reddened]
    rig.crew.then["ci"] = [lambda: None, lambda: setattr(rig.crew, "ci", "success")]
    await rig.run(item)
    assert rig.stage(item) == "done"
    assert [(it["cause"], it["count"]) for it in rig.status(item)["attempts"]] == [("CI", 1)]


# --- coverage


async def test_mark_follows_the_merge_and_the_next_item_has_to_reach_it() -> None:
    rig, item = covered()
    await rig.run(item)
    mark = rig.status(SHOP, Kind.REPOSITORY)["coverage"]
    assert mark == {"percent": 81.5, "sha": rig.status(item)["mergeSHA"]}
    rig.crew.coverage = 81.4
    worse = rig.item("worse", title="Worse")
    await rig.run(worse, until=7200)
    assert rig.condition(worse, "Stalled", Kind.WORKITEM)[:2] == ("True", "RetriesExhausted")
    assert rig.status(SHOP, Kind.REPOSITORY)["coverage"] == mark


async def test_merge_result_mark_and_deploy_are_written_in_this_order() -> None:
    rig, item = covered()
    await rig.run(item)
    found = [
        step
        for write in rig.cluster.writes
        for step, belongs in {
            "merged, mark intended": write.body.get("mergeSHA") and write.body["transition"]["effect"] == "Ratchet",
            "mark": write.verb == "patch_status" and "coverage" in write.body,
            "deploy intended": (write.body.get("transition") or {}).get("effect") == "Production",
            "deploy": write.verb == "create_job" and "production" in write.key.name,
        }.items()
        if belongs
    ]
    assert found == ["merged, mark intended", "mark", "deploy intended", "deploy"]
