"""`queue`: the operator's order, and for each item who is ahead and why it has not started."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor.api.fields import rfc3339
from conveyor.api.objects import WorkItem
from conveyor.cli.api import read_item
from conveyor.cli.items import waiter_of
from conveyor.cli.lanes import Lanes, queue
from conveyor.cli.sheet import Listing
from conveyor.pipeline.lane import head
from tests.unit.cli.memory_api import MemoryApi
from tests.unit.cli.objects import NOW, active_run, ago, at, item, repository, stalled, waiting
from tests.unit.cli.sessions import command

AT_WORK = item("shop-et-17", status=at("review", waiting=waiting("Run"), activeRun=active_run("reviewer", "review")))
OLD = item("shop-et-18", status=at("created"), created=ago(hours=4))
URGENT = item("shop-et-19", status=at("created"), created=ago(hours=3), spec={"priority": 5})
DEPENDENT = item("shop-et-20", status=at("created"), spec={"dependsOn": [{"name": "web-ab-3"}]})
HELD = item("shop-et-21", status=at("created"), spec={"suspend": True})
BLOCKER = item("web-ab-3", repository="web", status=at("review"))


async def rows(items: list[Any], *repositories: Any) -> dict[str, dict[str, Any]]:
    found = await command(MemoryApi(items, repositories or [repository()]), "queue -o json")
    return {row["name"]: row for row in json.loads(found.output)["items"]}


async def test_a_lane_with_work_shows_position_who_is_ahead_and_why() -> None:
    api = MemoryApi([OLD, HELD, AT_WORK, URGENT, DEPENDENT, BLOCKER], [repository(), repository("web")])
    result = await command(api, "queue --repository shop")
    assert result.output == (
        "REPO   READY   UNDER-WAY    WAITING   FROZEN\n"
        "shop   True    shop-et-17   4         -\n"
        "\n"
        "POS   NAME         REPO   STAGE     PRIORITY   AHEAD        AGE   WHY\n"
        "0     shop-et-17   shop   review    0          -            5h    under way: waits for Run\n"
        "1     shop-et-19   shop   created   5          shop-et-17   3h    "
        "starts when it has ended: one item at a time\n"
        "-     shop-et-20   shop   created   0          -            5h    "
        "passed over: depends on web-ab-3, which is open\n"
        "-     shop-et-21   shop   created   0          -            5h    passed over: spec.suspend is set\n"
        "2     shop-et-18   shop   created   0          shop-et-19   4h    "
        "goes after it: one item at a time, by priority, then age\n"
    )


@pytest.mark.parametrize(
    ("repo", "why"),
    [
        pytest.param(repository(), "next to start", id="free"),
        pytest.param(
            repository(ready=("False", "BadCredentials", "the token is refused")),
            "the Repository is not Ready: BadCredentials: the token is refused",
            id="not ready",
        ),
        pytest.param(repository(ready=None), "the operator has not looked at the Repository yet", id="not looked at"),
        pytest.param(
            repository(annotations={"conveyor.dev/freeze": "release week"}),
            "the Repository is frozen: release week",
            id="frozen",
        ),
    ],
)
async def test_the_head_of_a_free_lane_says_what_holds_the_repository(repo: Any, why: str) -> None:
    assert (await rows([OLD], repo))["shop-et-18"]["why"] == why


async def test_the_repository_is_missing_its_items_say_so() -> None:
    found = await command(MemoryApi([OLD]), "queue -o json")
    (lane,), (row,) = json.loads(found.output)["repositories"], json.loads(found.output)["items"]
    assert (lane["ready"], row["why"]) == ("Missing", "there is no Repository shop that can be read")


async def test_a_freeze_with_an_end_is_shown_with_reach_and_end() -> None:
    annotations = {
        "conveyor.dev/freeze": "release week",
        "conveyor.dev/freeze-until": "2026-03-07T00:00:00Z",
        "conveyor.dev/freeze-scope": "merge",
    }
    found = await command(MemoryApi([], [repository(annotations=annotations)]), "queue -o json")
    (lane,) = json.loads(found.output)["repositories"]
    assert lane["frozen"] == "Annotation, merge until 2026-03-07T00:00:00Z: release week"


async def test_a_stalled_item_holds_the_lane_unless_the_repository_lets_others_pass() -> None:
    stuck = item("shop-et-17", status=at("review", **stalled("CISilent")))
    holding = await rows([stuck, OLD])
    passing = await rows([stuck, OLD], repository(spec={"serialGate": {"onStalled": "Pass"}}))
    assert holding["shop-et-18"]["ahead"] == "shop-et-17"
    assert (passing["shop-et-18"]["ahead"], passing["shop-et-18"]["why"]) == ("", "next to start")
    assert passing["shop-et-17"]["why"] == "Stalled: CISilent (others pass it)"


async def test_without_a_serial_gate_nobody_goes_first() -> None:
    found = await rows([AT_WORK, OLD, URGENT], repository(spec={"serialGate": {"mode": "Disabled"}}))
    assert {row["ahead"] for row in found.values()} == {""}


async def test_an_admitted_item_is_first_whatever_its_priority() -> None:
    active = {"activeItem": {"name": "shop-et-18", "uid": "uid-shop-et-18"}}
    found = await rows([OLD, URGENT], repository(status=active))
    assert [(name, row["position"]) for name, row in found.items()] == [("shop-et-18", 1), ("shop-et-19", 2)]


MONITORED = {"monitor": {"probes": [{"url": "https://shop.test"}]}}
LAST = {"activeItem": {"name": "shop-et-16", "uid": "uid-shop-et-16"}}


def deployed(verdict: str = "Watching", **left: float) -> Any:
    """The item that deployed last; `left` until the end of its watch."""
    end = rfc3339(NOW + timedelta(**left))
    return item("shop-et-16", status=at("done", monitor={"untilTime": end, "verdict": verdict}))


async def test_the_next_one_says_which_watch_it_waits_for_and_until_when() -> None:
    found = await rows([OLD, deployed(minutes=4)], repository(spec=MONITORED, status=LAST))
    assert found["shop-et-18"]["why"] == (
        "starts when the watch over the last deploy has ended: shop-et-16 is watched until 2026-03-02T12:04:00Z"
    )


@pytest.mark.parametrize(
    ("last", "gate"),
    [
        pytest.param(deployed("Healthy", minutes=4), {}, id="it has a verdict"),
        pytest.param(deployed(minutes=-5), {}, id="its verdict never came"),
        pytest.param(deployed(minutes=4), {"waitForMonitor": False}, id="none need be waited for"),
        pytest.param(deployed(minutes=4), {"mode": "Disabled"}, id="no serial gate"),
    ],
)
async def test_a_watch_that_nobody_waits_for_holds_nobody(last: Any, gate: dict[str, Any]) -> None:
    found = await rows([OLD, last], repository(spec=MONITORED | {"serialGate": gate}, status=LAST))
    assert found["shop-et-18"]["why"] == "next to start"


async def test_a_done_dependency_that_no_listing_has_is_looked_up() -> None:
    done = item("web-ab-3", repository="web", status=at("done"))
    assert (await rows([DEPENDENT, done]))["shop-et-20"]["why"] == "next to start"


async def test_a_missing_dependency_is_named() -> None:
    assert (await rows([DEPENDENT]))["shop-et-20"]["why"] == "passed over: depends on web-ab-3, which is missing"


async def test_an_unreadable_item_counts_as_under_way_in_its_own_repository_only() -> None:
    newer = item("shop-et-40", status=at("canary"))
    other = item("web-ab-5", repository="web", status=at("created"))
    found = await rows([newer, OLD, other], repository(), repository("web"))
    assert found["shop-et-18"]["ahead"] == "shop-et-40"
    assert found["web-ab-5"]["why"] == "next to start"


ITEMS = st.lists(st.tuples(st.integers(-2, 2), st.integers(1, 4), st.booleans(), st.booleans()), min_size=1, max_size=6)


@given(ITEMS)
def test_position_one_is_whom_the_operator_would_start(drawn: list[tuple[int, int, bool, bool]]) -> None:
    objects = [
        item(
            f"shop-et-{number}",
            created=ago(hours=hours),
            status=at("created"),
            spec={"priority": priority, "suspend": held, "dependsOn": [{"name": "gone"}] if needs else []},
        )
        for number, (priority, hours, held, needs) in enumerate(drawn, start=1)
    ]
    entries = [entry for entry in map(read_item, objects) if isinstance(entry, WorkItem)]
    waiters = [waiter_of(entry) for entry in entries]
    next_one = head(waiters, startable=lambda waiter: not waiter.suspended and not waiter.dependencies)
    _, listing = queue(Lanes(entries), NOW)
    assert isinstance(listing, Listing)
    assert len(listing.rows) == len(drawn)
    first = [row["name"] for row in listing.rows if row["position"] == 1]
    assert first == ([next_one.name] if next_one is not None else [])
