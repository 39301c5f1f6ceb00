"""Figures, their text, and how they compare with bounds."""

from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS
from benchmarks.report import BOUNDS, Bound, Report, number, percentile, read_bounds

HIGHER = Bound(mean=80, margin=5, better="higher", why="measured")
LOWER = Bound(mean=2, margin=0.5, better="lower", why="measured")


@pytest.mark.parametrize(
    ("bound", "value", "verdict"),
    [
        (HIGHER, 80, "within"),
        (HIGHER, 75, "within"),
        (HIGHER, 85, "within"),
        (HIGHER, 74.9, "worse"),
        (HIGHER, 85.1, "better"),
        (LOWER, 2.5, "within"),
        (LOWER, 1.5, "within"),
        (LOWER, 2.51, "worse"),
        (LOWER, 1.49, "better"),
    ],
)
def test_a_median_is_compared_in_the_direction_that_is_better(bound: Bound, value: float, verdict: str) -> None:
    assert bound.verdict(value) == verdict


def test_a_figure_is_shown_by_median_and_spread() -> None:
    report = Report("x")
    for value in (3.0, 1.0, 500.0):
        report.add("memory", value, "MiB")

    assert report.as_text({}).splitlines()[-1].split() == ["memory", "3", "1", "500", "MiB"]


def test_a_figure_beyond_its_bound_is_shown_with_the_bound_and_its_reason() -> None:
    report = Report("x")
    report.add("rate", 60.0, "%")

    assert report.as_text({"rate": HIGHER}).endswith("[worse: 80 ± 5; measured]")


def test_json_holds_every_value_and_the_verdict() -> None:
    report = Report("x")
    report.add("rate", 60.0, "%")
    report.add("rate", 80.0, "%")
    report.add("rate", 81.0, "%")

    assert report.as_json({"rate": HIGHER})["figures"] == {
        "rate": {"unit": "%", "median": 80.0, "min": 60.0, "max": 81.0, "values": [60.0, 80.0, 81.0], "bound": "within"}
    }


def test_a_figure_in_two_units_is_refused() -> None:
    report = Report("x")
    report.add("stall", 1.0, "s")

    with pytest.raises(ValueError, match="stall is in s, not in ms"):
        report.add("stall", 1.0, "ms")


@pytest.mark.parametrize(("share", "value"), [(50, 51.0), (99, 100.0), (100, 100.0)])
def test_so_many_of_a_hundred_do_not_exceed_a_percentile(share: int, value: float) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], share) == value


@pytest.mark.parametrize(("value", "shown"), [(0, "0"), (12345.6, "12,346"), (99.96, "100"), (0.01234, "0.0123")])
def test_numbers_are_cut_to_what_counts(value: float, shown: str) -> None:
    assert number(value) == shown


@pytest.mark.parametrize(
    "entry",
    [
        {"mean": 1, "margin": 1, "better": "higher"},
        {"mean": 1, "margin": 1, "better": "more", "why": "x"},
        {"mean": 1, "margin": 1, "better": "higher", "why": "x", "max": 2},
    ],
)
def test_a_bound_that_cannot_be_read_is_named(tmp_path: Path, entry: dict[str, object]) -> None:
    path = tmp_path / "bounds.yaml"
    path.write_text(f"cold-start: {{memory: {entry}}}")

    with pytest.raises(ValueError, match=r"cold-start\.memory: wanted mean, margin, better"):
        read_bounds("cold-start", path)


def test_a_benchmark_without_bounds_has_none(tmp_path: Path) -> None:
    path = tmp_path / "bounds.yaml"
    path.write_text("")

    assert read_bounds("cold-start", path) == {}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_the_bounds_that_are_shipped_can_be_read(name: str) -> None:
    assert all(bound.margin > 0 for bound in read_bounds(name, BOUNDS).values())
