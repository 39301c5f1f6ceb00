"""Which run or effect a call belongs to, and what it costs the API server."""

import pytest

from benchmarks.api_costs import Request, Taken, costs, request_of, taken
from benchmarks.attribution import group_of, shares
from benchmarks.calls import BETWEEN, Behalf, Call, work_of
from conveyor.cluster.protocol import JSONObject
from conveyor.engine.records import ItemRecord, item_record

METRICS = """\
# TYPE apiserver_request_duration_seconds histogram
apiserver_request_duration_seconds_bucket{group="",resource="pods",scope="",subresource="",verb="LIST",le="0.1"} 9
apiserver_request_duration_seconds_sum{group="",resource="pods",scope="namespace",subresource="",verb="LIST"} 0.5
apiserver_request_duration_seconds_sum{group="",resource="pods",scope="cluster",subresource="",verb="LIST"} 1.5
apiserver_request_duration_seconds_sum{group="",resource="pods",scope="namespace",subresource="",verb="WATCH"} 300
apiserver_request_duration_seconds_count{group="",resource="pods",scope="namespace",subresource="",verb="LIST"} 3
apiserver_request_duration_seconds_count{group="",resource="pods",scope="cluster",subresource="",verb="LIST"} 1
"""
LIST, PATCH = Request("LIST", "pods"), Request("PATCH", "workitems", "status")


def record(**status: JSONObject) -> ItemRecord:
    return item_record({"metadata": {"name": "shop-1", "uid": "u", "resourceVersion": "1"}, "status": status})


def call(system: str, method: str, route: str, *, actor: str = "item", number: int = 1) -> Call:
    return Call(0.0, system, method, route, 200, Behalf(actor, "shop-1", "", number))


RUN, MERGE = record(activeRun={"role": "tester"}), record(transition={"effect": "Merge"})


@pytest.mark.parametrize(
    ("before", "after", "work"),
    [
        (RUN, record(), "run: tester"),
        (record(), RUN, "run: tester"),
        (MERGE, record(transition={"effect": "Ratchet"}), "effect: Merge"),
        (record(), record(), BETWEEN),
        (None, None, BETWEEN),
    ],
    ids=["ends the run", "claims the run", "one effect follows another", "asks gates", "finds nothing"],
)
def test_a_pass_is_about_what_is_on_record_when_it_begins_or_else_ends(
    before: ItemRecord | None, after: ItemRecord | None, work: str
) -> None:
    assert work_of(before, after) == work


def test_a_call_outside_a_pass_over_an_item_is_on_behalf_of_its_actor() -> None:
    assert group_of(call("api", "GET", "pods", actor="poll"), {1: "run: tester"}) == "the poll"
    assert group_of(call("api", "GET", "pods"), {1: "run: tester"}) == "run: tester"


def test_calls_writes_and_cost_add_up_by_group() -> None:
    calls = [
        call("api", "PATCH", "workitems/{name}/status"),
        call("api", "GET", "pods"),
        call("forge", "GET", "pulls/{n}"),
        call("api", "GET", "pods", number=2),
    ]

    found = shares(calls, {1: "run: tester", 2: "effect: Merge"}, {PATCH: 0.5, LIST: 0.25})

    tester = found["run: tester"]
    assert (dict(tester.calls), tester.writes["api"], tester.cpu) == ({"api": 2, "forge": 1}, 1, 0.75)
    assert found["effect: Merge"].cpu == 0.25


@pytest.mark.parametrize(
    ("method", "route", "request_"),
    [
        ("GET", "pods", LIST),
        ("GET", "jobs/{name}", Request("GET", "jobs")),
        ("PATCH", "workitems/{name}/status", PATCH),
        ("PATCH", "leases/merge-…", Request("PATCH", "leases")),
        ("POST", "jobs", Request("POST", "jobs")),
    ],
)
def test_a_route_is_a_request_as_the_metrics_name_it(method: str, route: str, request_: Request) -> None:
    assert request_of(method, route) == request_


def test_requests_of_a_kind_are_added_up_and_watches_left_out() -> None:
    assert taken(METRICS) == {LIST: Taken(count=4, seconds=2)}


def test_processor_time_goes_by_the_time_that_requests_took_in_between() -> None:
    before = {LIST: Taken(count=4, seconds=2)}
    after = {LIST: Taken(count=6, seconds=3), PATCH: Taken(count=3, seconds=3), Request("GET", "jobs"): Taken()}

    assert costs(before, after, cpu=8) == {LIST: 1.0, PATCH: 2.0}
