"""The watch after a deploy, with everything outside in memory: verdicts, freeze, the next item, deaths, early wakes.

A watch of two minutes with a probe each 10 s, degraded after three failures in a row.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from conveyor.api.objects import Repository
from conveyor.cluster.protocol import JSONObject, Key, Kind
from conveyor.engine.admission import admit
from tests.fakes.memory_cluster import Fault
from tests.unit.engine.rig import NAMESPACE, PROBES, SHOP, TRACKER, Rig

WATCH: JSONObject = {
    "windowSeconds": 120,
    "intervalSeconds": 10,
    "failureThreshold": 3,
    "probes": [{"url": "https://shop.test/healthz"}],
}
DOWN = "it answered 500, wanted 2xx"
DEGRADED = f"https://shop.test/healthz: {DOWN}"


def shop(*, monitor: JSONObject | None = None, settings: JSONObject | None = None, **spec: Any) -> tuple[Rig, Key]:
    rig = Rig(**(settings or {}))
    rig.repository(monitor=WATCH | (monitor or {}), **spec)
    return rig, rig.item("first", title="First")


def monitor(rig: Rig, item: Key) -> JSONObject:
    found: JSONObject = rig.status(item).get("monitor", {})
    return found


def verdict(rig: Rig, item: Key) -> str:
    return str(monitor(rig, item).get("verdict", ""))


def freezes(rig: Rig) -> list[JSONObject]:
    found: list[JSONObject] = rig.status(SHOP, Kind.REPOSITORY).get("freezes", [])
    return found


def deployed_by(rig: Rig, item: Key) -> str:
    """The id of the deploy's transition, as history has it."""
    return str(rig.status(item)["history"][-1]["transitionID"])


def degraded_events(rig: Rig) -> list[str]:
    return [text for reason, text in rig.notes() if reason == "Degraded"]


# --- healthy


async def test_product_that_stays_well_is_healthy_at_the_end_of_the_watch_and_costs_one_write() -> None:
    rig, item = shop()
    await rig.run(item)
    done, written = rig.clock.now(), len(rig.cluster.writes)
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
    done = rig.clock.now()
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


async def watched(rig: Rig, item: Key) -> None:
    """To the end of the watch."""
    for _ in range(20):
        await rig.run(until=60)
        if verdict(rig, item) not in ("", "Watching"):
            return
    raise AssertionError(f"no verdict: {monitor(rig, item)}")


@pytest.mark.parametrize("trouble", ["", DOWN])
async def test_process_killed_after_any_write_of_the_watch_ends_the_same(trouble: str) -> None:
    rig, item = shop()
    await rig.run(item)
    before = rig.writes
    rig.probes.trouble = trouble
    await watched(rig, item)
    writes = rig.writes - before
    assert writes == (1 if not trouble else 6)  # three counts, the freeze, what shows it, the verdict
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


# --- who waits for it


def head_of_the_lane(rig: Rig, second: Key) -> tuple[str, str]:
    return rig.stage(second), rig.waiting(second)[0]


async def test_next_item_waits_for_the_verdict_and_starts_with_it() -> None:
    rig, item = shop()
    second, third = rig.item("second", title="Second"), rig.item("third", title="Third")
    await rig.run(item)
    await rig.run(until=110)
    assert head_of_the_lane(rig, second) == ("created", "Monitor")
    assert rig.waiting(third)[0] == "EarlierItem"
    assert "on" not in rig.status(second)["waiting"] or rig.status(second)["waiting"]["on"]["kind"] == "Repository"
    until = datetime.fromisoformat(monitor(rig, item)["untilTime"])
    await rig.run(second)
    started = next(entry for entry in rig.status(second)["history"] if entry["to"] == "analysis")
    assert until <= datetime.fromisoformat(started["time"]) <= until + timedelta(seconds=5)


@pytest.mark.parametrize(
    "off",
    [
        {"serialGate": {"waitForMonitor": False}},
        {"serialGate": {"mode": "Disabled"}},
        {"settings": {"serial_gate": False}},
    ],
    ids=["it need not wait", "no serial gate here", "no serial gate at all"],
)
async def test_next_item_does_not_wait_where_it_need_not(off: dict[str, Any]) -> None:
    rig, item = shop(**off)
    second = rig.item("second", title="Second")
    await rig.run(item)
    await rig.run(until=0)
    assert verdict(rig, item) == "Watching"
    assert rig.stage(second) != "created"


async def test_watch_that_began_since_the_decision_is_noticed_by_the_admission() -> None:
    rig, item = shop()
    second = rig.item("second", title="Second")
    await rig.run(item)
    process = rig.process or await rig.boot()
    repository = Repository.model_validate(rig.cluster.store.object(Kind.REPOSITORY, SHOP))
    await admit(process.world, process.hub, rig.whole(second), repository)
    assert rig.status(SHOP, Kind.REPOSITORY)["activeItem"]["name"] == "first"


async def test_item_of_another_repository_does_not_wait() -> None:
    rig, item = shop()
    rig.repository("other")
    await rig.run(item)
    other = rig.item("elsewhere", repository="other", title="Elsewhere")
    await rig.run(other)
    assert verdict(rig, item) == "Watching"


async def test_next_item_waits_five_minutes_past_the_end_at_most_whatever_keeps_the_verdict() -> None:
    rig, item = shop(monitor={"intervalSeconds": 3600})
    second = rig.item("second", title="Second")
    await rig.run(item)
    rig.probes.trouble = DOWN
    longest = rig.clock.now() + timedelta(seconds=120 + 300)
    await rig.run(until=120 + 299)
    assert head_of_the_lane(rig, second) == ("created", "Monitor")
    rig.clock.advance((longest - rig.clock.now()).total_seconds())
    await rig.run(until=1)
    assert verdict(rig, item) == "Watching"
    assert rig.stage(second) != "created"


# --- the ticket


def by_ticket(**monitor: Any) -> tuple[Rig, Key]:
    rig = Rig()
    rig.repository(tracker=TRACKER, monitor=WATCH | monitor)
    rig.tracker.states_of["Monitoring"] = "started"
    rig.tracker.add(17, "A cart", state="To Analyse")
    return rig, Key(NAMESPACE, "shop-et-17")


def shown(rig: Rig) -> str:
    return rig.tracker.tickets["ticket-17"].state_id


async def test_ticket_shows_the_watch_and_then_done() -> None:
    rig, item = by_ticket()
    await rig.run(until=60)
    await rig.run(item)
    await rig.run(until=5)
    assert shown(rig) == "Monitoring"
    await rig.run(until=300)
    assert (verdict(rig, item), shown(rig)) == ("Healthy", "Done")


async def test_ticket_of_a_project_without_such_a_state_is_done_at_once() -> None:
    rig, item = by_ticket()
    del rig.tracker.states_of["Monitoring"]
    await rig.run(until=60)
    await rig.run(item)
    await rig.run(until=5)
    assert shown(rig) == "Done"


@pytest.mark.parametrize("on_degraded", ["Freeze", "AlertOnly"])
async def test_ticket_of_a_degraded_deploy_is_blocked_and_says_what_failed_once(on_degraded: str) -> None:
    rig, item = by_ticket(onDegraded=on_degraded)
    await rig.run(until=60)
    await rig.run(item)
    rig.probes.trouble = DOWN
    await watched(rig, item)
    rig.process = None
    await rig.run(until=60)
    assert shown(rig) == "Blocked"
    (said,) = [comment.text for comment in rig.tracker.said["ticket-17"] if "degraded" in comment.text]
    assert DEGRADED in said
    assert ("kubectl workitem unfreeze" in said) == (on_degraded == "Freeze")
