"""Each switch off gives back the behaviour without its feature; flipped in mid-transition it changes none under way.

| switch | off | flipped |
|---|---|---|
| TRANSITION_LEASE_ENABLED, _REPOSITORIES | `test_leased` | off `test_leased`, on here |
| SERIAL_GATE_ENABLED, _REPOSITORIES | `test_admission`, here | here |
| FREEZE_ENABLED | here | here: on, it holds what was not sent yet |
| DEPENDENCIES_ENABLED, _SOURCE | here | here |
| PREMERGE_REBASE_ALWAYS | `test_rebase_whole_way` | here |
| EVENTS_ENABLED | `test_events` | no transition heeds it |
| RECONCILE_TRACKER_ENABLED | `tests/unit/app/test_parts.py` | no transition heeds it |

`RECONCILE_ENABLED` and `RECONCILE_SKIP_BLOCKED_ENABLED` are accepted and not read by this version: an item that waits
for what reports nothing looks again by itself.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from conveyor.cluster.protocol import JSONObject, Key, Kind
from tests.unit.engine.rig import SHOP, TRACKER, Rig

FROZEN: JSONObject = {"conveyor.dev/freeze": "audit", "conveyor.dev/freeze-scope": "merge"}
OPEN: JSONObject = {"dependsOn": [{"name": "never"}]}


def with_one(*, dependsOn: Any = (), **settings: Any) -> tuple[Rig, Key]:  # noqa: N803 the API's spelling
    rig = Rig(**settings)
    rig.repository()
    return rig, rig.item(dependsOn=list(dependsOn))


def frozen(rig: Rig) -> None:
    rig.cluster.store.edit(Kind.REPOSITORY, SHOP, {"metadata": {"annotations": FROZEN}})


def flip(rig: Rig, **settings: Any) -> None:
    """The next process has other settings."""
    rig.process = None
    rig.settings(**settings)


def intends(rig: Rig, item: Key, effect: str) -> Callable[[], bool]:
    return lambda: bool(rig.status(item).get("transition", {}).get("effect") == effect)


def effects(rig: Rig) -> list[str]:
    return [effect[0] for effect in rig.forge.calls.effects]


# --- off


async def test_without_freezes_a_frozen_repository_goes_on() -> None:
    rig, item = with_one(freeze=False)
    frozen(rig)
    await rig.run(item)
    assert rig.stage(item) == "done"


@pytest.mark.parametrize("chosen", [{"serial_gate": False}, {"serial_gate_repositories": frozenset({"other"})}])
async def test_without_the_serial_gate_items_are_under_way_together(chosen: dict[str, Any]) -> None:
    rig = Rig(**chosen)
    rig.repository()
    items = [rig.item(name, title=name) for name in ("one", "two")]
    rig.crew.idle = True
    await rig.run(until=60)
    assert [rig.stage(item) for item in items] == ["analysis", "analysis"]


async def test_without_dependencies_an_item_waits_for_none_and_a_cycle_is_none() -> None:
    rig = Rig(dependencies=False)
    rig.repository()
    items = [rig.item(name, title=name, dependsOn=[{"name": on}]) for name, on in (("one", "two"), ("two", "one"))]
    await rig.run(*items)
    assert [rig.stage(item) for item in items] == ["done", "done"]


@pytest.mark.parametrize(
    ("source", "by_spec", "stage"),
    [("spec", False, "done"), ("spec", True, "created"), ("tracker", True, "done"), ("tracker", False, "created")],
)
async def test_dependencies_of_the_other_source_are_not_waited_for(source: str, by_spec: bool, stage: str) -> None:
    rig = Rig(dependencies_source=source)
    rig.repository(tracker=TRACKER)
    rig.tracker.add(18, "Never done")
    ticket = rig.tracker.add(17, "A cart", state="To Analyse")
    if not by_spec:
        rig.tracker.tickets[ticket] = replace(rig.tracker.tickets[ticket], blocked_by=("ticket-18",))
    about = {"tracker": "Plane", "projectID": TRACKER["projectID"], "issueID": ticket, "key": "ET-17", "url": "u"}
    item = rig.item("shop-et-17", source=about, **(OPEN if by_spec else {}))
    await rig.run(until=3600)
    assert rig.stage(item) == stage, rig.waiting(item)


# --- flipped in mid-transition


async def test_leases_switched_on_do_not_bind_the_merge_under_way() -> None:
    rig, item = with_one(transition_lease=False)
    await rig.run_until(intends(rig, item, "Merge"))
    flip(rig, transition_lease=True)
    await rig.run(item)
    taken = [write.key.name.split("-")[0] for write in rig.cluster.writes_of("create_lease")]
    assert (rig.stage(item), taken) == ("done", ["deploy", "transition"])


async def test_serial_gate_switched_on_leaves_those_under_way_alone() -> None:
    rig = Rig(serial_gate=False)
    rig.repository()
    items = [rig.item(name, title=name) for name in ("one", "two")]
    await rig.run_until(lambda: all("transition" in rig.status(item) for item in items))
    flip(rig, serial_gate=True)
    await rig.run(*items)
    assert [rig.stage(item) for item in items] == ["done", "done"]
    verbs = [effect[0] for effect in rig.forge.calls.effects]
    assert verbs.index("merge") > max(n for n, verb in enumerate(verbs) if verb == "open_pull_request")


async def test_freezes_switched_on_hold_a_merge_that_was_not_sent_as_a_new_freeze_does() -> None:
    """The exception among the switches: a freeze holds what may still be held, and nobody knows which freeze is new."""
    rig, item = with_one(freeze=False)
    frozen(rig)
    await rig.run_until(intends(rig, item, "Merge"))
    flip(rig, freeze=True)
    await rig.run(item)
    assert (rig.stage(item), effects(rig).count("merge")) == ("deploy-staging", 0)
    rig.cluster.store.edit(Kind.REPOSITORY, SHOP, {"metadata": {"annotations": dict.fromkeys(FROZEN)}})
    await rig.run(item)
    assert (rig.stage(item), effects(rig).count("merge")) == ("done", 1)


async def test_dependencies_switched_on_do_not_hold_who_has_begun() -> None:
    rig, item = with_one(dependencies=False, dependsOn=OPEN["dependsOn"])
    await rig.run_until(intends(rig, item, "CutBranch"))
    flip(rig, dependencies=True)
    await rig.run(item)
    assert rig.stage(item) == "done"


async def test_rebases_switched_off_do_not_stop_the_one_under_way() -> None:
    rig, item = with_one()
    rig.crew.then["tester"] = [lambda: rig.forge.push("main", "other.py")]
    await rig.run_until(intends(rig, item, "Rebase"))
    flip(rig, premerge_rebase=False)
    await rig.run(item)
    assert (rig.stage(item), effects(rig).count("update_by_rebase")) == ("done", 1)
