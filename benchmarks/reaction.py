"""`scripts/bench reaction`: how soon a change in the API server has become a transition there.

A person merges pull requests, twenty in a second, and for each a hint is stored as the ingress would: the item is done
then, by one status write and without side effects. Who changes and watches is this process; the operator has its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import machine, naming, population, store
from benchmarks.changing import Change, Changer
from benchmarks.merged import MergedFile
from benchmarks.operator_run import Running
from benchmarks.operator_run import started as started_operator
from benchmarks.report import Report, percentile
from tests.cluster.control_plane import ControlPlane

NAMESPACE = "shop"
ITEMS, CHANGES = 2_200, 1_200
"""A thousand wait for their review from beginning to end."""
PER_SECOND = 20.0
START_SECONDS = 120.0


def measure(report: Report, *, runs: int) -> None:
    objects = asyncio.run(population.unreviewed(NAMESPACE, items=ITEMS))
    for number in range(runs):
        store.say(f"run {number + 1} of {runs}, load {machine.load()[0]}")
        with store.control_plane("reaction", [objects]) as plane:
            _add(report, *_measure_one(plane))


def _measure_one(plane: ControlPlane) -> tuple[Sequence[Change], dict[str, Any]]:
    at_rest, shared = plane.directory / "at-rest", plane.directory / "merged"
    merged = MergedFile.create(shared, items=ITEMS)
    plan = {
        "items": ITEMS,
        "transitions": CHANGES,
        "mood": "unreviewed",
        "merged": str(shared),
        "at_rest": str(at_rest),
    }
    with started_operator(plane, NAMESPACE, log=plane.directory / "operator.log", events=True, **plan) as operator:
        _wait_for(at_rest, operator)
        numbers = range(naming.FIRST_NUMBER, naming.FIRST_NUMBER + CHANGES)
        changer = Changer(plane.kubeconfig, NAMESPACE, merged, per_second=PER_SECOND)
        changes = asyncio.run(changer.run(numbers))
        return changes, operator.result()


def _wait_for(file: Path, operator: Running) -> None:
    end = time.monotonic() + START_SECONDS
    while not file.exists():
        operator.check()
        if time.monotonic() > end:
            raise TimeoutError(f"the operator has not come to rest in {START_SECONDS:.0f} s")
        time.sleep(0.1)


@dataclass(frozen=True)
class Reaction:
    """Seconds, from the moment at which the change was provably stored."""

    whole: float
    """Until a watch has told of the transition."""
    with_change: float
    """The same from when the change was sent."""
    change: float
    """From then until it was stored."""
    seen: float
    """Until the operator's watch has told it of the change; long before it where that came later than the poll."""
    queued: float
    """From then until its pass began."""
    decided: float
    """From then until the status write was sent."""
    written: float
    """From then until it was answered."""

    @classmethod
    def of(cls, change: Change, marks: Mapping[str, float]) -> Reaction:
        return cls(
            whole=change.moved - change.stored,
            with_change=change.moved - change.sent,
            change=change.stored - change.sent,
            seen=marks["seen"] - change.stored,
            queued=marks["began"] - marks["seen"],
            decided=marks["sent"] - marks["began"],
            written=marks["stored"] - marks["sent"],
        )


PARTS = {
    "change stored to transition stored": "whole",
    "change sent to transition stored": "with_change",
    "change sent to stored": "change",
    "change stored to seen by the operator": "seen",
    "seen to its pass": "queued",
    "pass to its write": "decided",
    "write to its answer": "written",
}
WHOLE = frozenset({"whole", "with_change", "change"})
"""What is known of every change, also of one that the poll has found."""


def _add(report: Report, changes: Sequence[Change], ours: Mapping[str, Any]) -> None:
    found = [Reaction.of(change, ours["marks"][change.name]) for change in changes]
    told = [reaction for reaction in found if reaction.seen > -1.0]
    report.add("changes that were found by asking", len(found) - len(told), "")
    for name, field in PARTS.items():
        values = [1000 * getattr(reaction, field) for reaction in (found if field in WHOLE else told)]
        for share in (50, 99, 100):
            report.add(f"{name}, {f'p{share}' if share < 100 else 'highest'}", percentile(values, share), "ms")
    for share in (50, 99, 100):
        late = [1000 * seconds for seconds in ours["late"]]
        report.add(f"loop lag, {f'p{share}' if share < 100 else 'highest'}", percentile(late, share), "ms")
    report.add("longest garbage collection, operator", 1000 * ours["collection"], "ms")
    begin, end = ours["begin"], ours["end"]
    seconds, cpu, busy = (end[name] - begin[name] for name in ("time", "cpu", "busy"))
    report.add("changes", len(changes) / (changes[-1].sent - changes[0].sent), "1/s")
    report.add("transitions", (len(found) - 1) / seconds, "1/s")
    report.add("operator CPU", 100 * cpu / seconds, "%")
    for name, value in end["servers_cpu"].items():
        report.add(f"{name} CPU", 100 * (value - begin["servers_cpu"][name]) / seconds, "%")
    report.add("cores taken by all", busy / seconds, "")
