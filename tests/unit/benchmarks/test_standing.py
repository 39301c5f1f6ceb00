"""What a standing operator says of itself, and the figures made of it."""

from typing import Any

import pytest

from benchmarks import rest
from benchmarks.standing import State, percentile
from benchmarks.waiting import counts


def state(*, cpu: float = 0.0, calls: list[list[Any]] | None = None, passes: list[list[Any]] | None = None) -> State:
    return State.read(
        {
            "time": 1.0,
            "cpu": cpu,
            "servers_cpu": {},
            "busy": 0.0,
            "memory": 0.0,
            "all_decided": True,
            "status_writes": 2,
            "calls": calls or [],
            "passes": passes or [],
            "late": [],
            "collections": [],
        }
    )


@pytest.mark.parametrize(
    ("values", "share", "found"),
    [([], 99, 0.0), ([3.0], 50, 3.0), ([4.0, 1.0, 3.0, 2.0], 50, 3.0), (list(range(1, 101)), 99, 100)],
)
def test_a_percentile_is_a_value_that_was_found(values: list[float], share: float, found: float) -> None:
    assert percentile(values, share) == found


def test_writes_by_the_clock_and_reads_are_no_other_writes() -> None:
    by_the_clock = [["api", "PATCH", f"leases/conveyor-operator{which}", 30] for which in ("", "-heartbeat")]
    others = [["api", "PATCH", "workitems/{name}/status", 1], ["api", "GET", "secrets/forge", 5]]

    assert state(calls=[*by_the_clock, *others]).writes() == {("api", "PATCH", "workitems/{name}/status"): 1}


def test_passes_are_told_apart_by_whose_they_are() -> None:
    found = state(passes=[["item", "shop-1", 2], ["item", "shop-2", 1], ["indication", "shop-1", 4]])

    assert (found.passes_of("item"), found.passes_of("indication"), found.passes_of("poll")) == (3, 4, 0)


def test_what_comes_every_five_minutes_counts_by_a_fifth_of_a_minute() -> None:
    plain, cycle = (state(), state(cpu=3.0)), (state(cpu=10.0), state(cpu=19.0))

    assert rest.share(plain, cycle) == pytest.approx(3.0 / 60 + 6.0 / 300)


def test_a_window_with_a_resync_that_cost_less_takes_nothing_away() -> None:
    assert rest.share((state(), state(cpu=3.0)), (state(), state(cpu=2.0))) == pytest.approx(3.0 / 60)


def test_of_the_api_servers_counts_only_writes_of_our_kinds_are_taken() -> None:
    line = 'apiserver_request_total{{code="200",component="apiserver",group="{}",resource="{}",verb="{}"}} {}'
    counted = [
        line.format("conveyor.dev", "workitems", "PATCH", 3),
        line.format("conveyor.dev", "repositories", "POST", "1e+01"),
        line.format("conveyor.dev", "workitems", "LIST", 7),
        line.format("coordination.k8s.io", "leases", "PATCH", 50),
    ]

    assert rest.writes_of_ours("\n".join(["# HELP x", *counted])) == 13.0


def test_a_step_is_counted_without_what_goes_by_the_clock() -> None:
    calls = [
        ["api", "PATCH", "workitems/{name}/status", 3],
        ["api", "GET", "workitems/{name}", 4],
        ["api", "PATCH", "leases/conveyor-operator", 9],
        ["forge", "POST", "pulls", 1],
    ]
    passes = [["item", "shop-1", 5], ["item", "shop-2", 1], ["poll", "lane-0000", 1]]

    assert counts(state(calls=calls, passes=passes)) == {
        "status writes": 2,
        "writes": 3,
        "API requests": 7,
        "passes over items": 6,
        "items looked at": 2,
    }
