"""Who notices the watch after a deploy: the next item, which waits for the verdict, and the ticket, which shows it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from conveyor.api.objects import Repository
from conveyor.cluster.protocol import Key, Kind
from conveyor.engine.admission import admit
from tests.unit.engine.rig import NAMESPACE, SHOP, TRACKER, Rig
from tests.unit.engine.watching import (
    DEGRADED,
    DOWN,
    WATCH,
    monitor,
    shop,
    verdict,
    watched,
)


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
