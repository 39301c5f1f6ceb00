"""The watch after a deploy, with everything outside in memory: verdicts, freeze, deaths, early wakes.

A watch of two minutes with a probe each 10 s, degraded after three failures in a row.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from conveyor.cluster.protocol import Kind
from tests.fakes.memory_cluster import Fault
from tests.unit.engine.process import PROBES
from tests.unit.engine.rig import SHOP, Rig
from tests.unit.engine.watching import (
    DEGRADED,
    DOWN,
    degraded_events,
    deployed_by,
    freezes,
    monitor,
    shop,
    verdict,
    watched,
)

# --- healthy


def stored_now(rig: Rig) -> datetime:
    """Now, as a status keeps it: in whole seconds."""
    return rig.clock.now().replace(microsecond=0)


async def test_product_that_stays_well_is_healthy_at_the_end_of_the_watch_and_costs_one_write() -> None:
    rig, item = shop()
    await rig.run(item)
    done, written = stored_now(rig), len(rig.cluster.writes)
    assert monitor(rig, item)["verdict"] == "Watching"
    await rig.run(until=86400)
    assert verdict(rig, item) == "Healthy"
    assert len(rig.cluster.writes) == written + 1
    assert rig.probes.asked == [done + timedelta(seconds=10 * number) for number in range(1, 13)]
    assert (rig.stage(item), freezes(rig), degraded_events(rig), rig.told.verdicts) == ("done", [], [], ["Healthy"])


async def test_product_that_recovers_in_time_is_healthy() -> None:
    rig, item = shop()
    await rig.run(item)
    rig.probes.trouble = DOWN
    await rig.run(until=25)
    assert (monitor(rig, item)["failures"], monitor(rig, item)["message"]) == (2, DEGRADED)
    rig.probes.trouble = ""
    await rig.run(until=10)
    assert monitor(rig, item)["failures"] == 0
    rig.probes.trouble = DOWN
    await rig.run(until=25)
    rig.probes.trouble = ""
    await rig.run(until=600)
    assert verdict(rig, item) == "Healthy"


async def test_without_probes_nothing_is_asked_and_nothing_waits() -> None:
    rig, item = shop(monitor={"probes": []})
    second = rig.item("second", title="Second")
    await rig.run(item, second)
    assert rig.probes.asked == []
    assert "monitor" not in rig.status(item)


async def test_where_the_merge_is_the_deploy_the_watch_begins_by_itself() -> None:
    rig, item = shop(deploy={})
    await rig.run(item)
    await rig.run(until=600)
    assert verdict(rig, item) == "Healthy"


# --- degraded


async def test_degraded_product_freezes_its_repository_and_the_next_item_waits() -> None:
    rig, item = shop()
    second = rig.item("second", title="Second")
    await rig.run(item)
    rig.probes.trouble = DOWN
    await rig.run(until=3600)
    (freeze,) = freezes(rig)
    assert (freeze["id"], freeze["item"], freeze["scope"]) == (deployed_by(rig, item), "first", "merge")
    assert freeze["reason"] == f"the deploy of FIRST is degraded: {DEGRADED}"
    assert monitor(rig, item)["freezeID"] == freeze["id"]
    assert (verdict(rig, item), rig.stage(item), rig.told.verdicts) == ("Degraded", "done", ["Degraded"])
    assert degraded_events(rig) == [f"the deploy is degraded; Repository shop is frozen: {DEGRADED}"]
    assert rig.condition(SHOP, "Frozen") == ("True", "Automatic", freeze["reason"])
    assert rig.status(SHOP, Kind.REPOSITORY)["effectiveFreeze"]["sinceTime"] == freeze["sinceTime"]
    assert (rig.stage(second), rig.waiting(second)[0]) == ("created", "RepositoryFrozen")


async def test_after_the_freeze_is_cleared_the_next_item_goes_on() -> None:
    rig, item = shop()
    second = rig.item("second", title="Second")
    await rig.run(item)
    rig.probes.trouble = DOWN
    await rig.run(until=60)
    rig.probes.trouble = ""
    rig.cluster.store.edit(
        Kind.REPOSITORY, SHOP, {"metadata": {"annotations": {"request.conveyor.dev/unfreeze": "1 by=lead all"}}}
    )
    await rig.run(item, second)
    assert (verdict(rig, item), rig.stage(second)) == ("Degraded", "done")


@pytest.mark.parametrize(
    "how",
    [{"monitor": {"onDegraded": "AlertOnly"}}, {"settings": {"freeze": False}}],
    ids=["alert only", "freezes switched off"],
)
async def test_without_a_freeze_a_degraded_product_is_told_of_and_touches_nothing_else(how: dict[str, Any]) -> None:
    rig, item = shop(**how)
    second = rig.item("second", title="Second")
    await rig.run(item)
    rig.probes.trouble = DOWN
    await rig.run(item, second)
    assert monitor(rig, item) == monitor(rig, item) | {"verdict": "Degraded", "failures": 3, "freezeID": ""}
    assert freezes(rig) == []
    assert degraded_events(rig)[:1] == [f"the deploy is degraded; nothing is frozen: {DEGRADED}"]
    assert rig.stage(second) == "done"


async def test_degraded_verdict_takes_three_probes_an_interval_apart() -> None:
    rig, item = shop()
    await rig.run(item)
    done = stored_now(rig)
    rig.probes.trouble = DOWN
    await rig.run(until=3600)
    assert rig.probes.asked == [done + timedelta(seconds=10 * number) for number in (1, 2, 3)]


# --- woken early, killed, disturbed


async def test_item_woken_every_second_is_probed_no_oftener_and_no_failure_counts_twice() -> None:
    rig, item = shop()
    await rig.run(item)
    done = rig.clock.now()
    rig.probes.trouble = DOWN
    for second in range(29):
        rig.cluster.store.edit(Kind.WORKITEM, item, {"metadata": {"annotations": {"touched": str(second)}}})
        await rig.run(until=0)
        rig.clock.advance(1)
    assert rig.probes.asked == [done + timedelta(seconds=10), done + timedelta(seconds=20)]
    assert (verdict(rig, item), monitor(rig, item)["failures"]) == ("Watching", 2)


@pytest.mark.parametrize("trouble", ["", DOWN])
async def test_process_killed_after_any_write_of_the_watch_ends_the_same(trouble: str) -> None:
    rig, item = shop()
    await rig.run(item)
    before = rig.writes
    rig.probes.trouble = trouble
    await watched(rig, item)
    writes = rig.writes - before
    assert writes == (1 if not trouble else 7)  # three counts, the finalizer, the freeze, what shows it, the verdict
    for number in range(writes + 1):
        rig, item = shop()
        await rig.run(item)
        rig.probes.trouble = trouble
        if number:
            rig.kill_after(number)
        else:
            rig.process = None
        await watched(rig, item)
        await rig.run(until=600)
        assert rig.boots == 2, f"it was not killed after write {number}"
        assert (rig.stage(item), verdict(rig, item)) == ("done", "Degraded" if trouble else "Healthy")
        assert len(freezes(rig)) == (1 if trouble else 0)
        assert monitor(rig, item).get("failures") == (3 if trouble else 0)
        assert rig.told.violations == []


@pytest.mark.parametrize("fault", [Fault.ANSWER_LOST, Fault.REQUEST_LOST, Fault.OVERTAKEN, Fault.UNAVAILABLE])
@pytest.mark.parametrize("number", range(5))
async def test_any_write_of_the_watch_that_goes_wrong_ends_the_same(number: int, fault: Fault) -> None:
    rig, item = shop()
    await rig.run(item)
    rig.probes.trouble = DOWN
    rig.cluster.fail_next("patch_status", fault, after=number)
    await watched(rig, item)
    assert (verdict(rig, item), monitor(rig, item)["failures"], len(freezes(rig))) == ("Degraded", 3, 1)
    assert rig.told.violations == []


async def test_operator_away_until_long_after_the_watch_probes_before_it_says_healthy() -> None:
    rig, item = shop()
    await rig.run(item)
    rig.process = None
    rig.clock.advance(86400)
    await rig.run(until=5)
    assert (verdict(rig, item), len(rig.probes.asked)) == ("Healthy", 1)


async def test_product_that_fails_when_the_operator_is_back_is_degraded_however_late() -> None:
    rig, item = shop()
    await rig.run(item)
    rig.process = None
    rig.clock.advance(86400)
    rig.probes.trouble = DOWN
    await rig.run(until=25)
    assert verdict(rig, item) == "Degraded"


async def test_watch_that_is_no_longer_wanted_ends() -> None:
    rig, item = shop()
    await rig.run(item)
    rig.cluster.store.edit(Kind.REPOSITORY, SHOP, {"spec": {"monitor": {"probes": None}}})
    await rig.run(until=600)
    assert "monitor" not in rig.status(item)
    assert rig.process is not None
    assert rig.process.next_due() == float("inf") or PROBES not in str(rig.process._due)


async def test_item_deleted_in_its_watch_is_probed_no_more() -> None:
    rig, item = shop()
    await rig.run(item)
    rig.cluster.store.delete(Kind.WORKITEM, item)
    await rig.run(until=600)
    assert rig.probes.asked == []


async def test_watch_goes_on_when_its_repository_is_back() -> None:
    rig, item = shop()
    await rig.run(item)
    whole = rig.cluster.store.object(Kind.REPOSITORY, SHOP)
    rig.cluster.store.delete(Kind.REPOSITORY, SHOP)
    await rig.run(until=60)
    assert rig.probes.asked == []
    rig.cluster.store.add(Kind.REPOSITORY, SHOP, whole | {"metadata": {"namespace": SHOP.namespace, "name": SHOP.name}})
    await rig.run(until=600)
    assert verdict(rig, item) == "Healthy"


async def test_product_that_hangs_holds_no_pass_up() -> None:
    rig, item = shop()
    await rig.run(item)
    rig.clock.advance(10)
    rig.probes.hangs = True
    process = rig.process or await rig.boot()
    probing = asyncio.create_task(process.prober.reconcile(item))
    await asyncio.wait_for(process.items.reconcile(item), timeout=5)
    assert not probing.done()
    probing.cancel()
