"""`scripts/bench transitions`: how near stage transitions come to what the API server can store at all."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from benchmarks import machine, population, raw, store
from benchmarks.operator_run import run as run_operator
from benchmarks.population import Objects
from benchmarks.report import Report
from conveyor.api.stages import Stage
from tests.cluster.control_plane import ControlPlane

ITEMS = 1000


@dataclass(frozen=True)
class Series:
    """Items start in a stage whose role has passed and go on to `done`, in so many transitions each."""

    start: Stage
    transitions: int


SERIES = {"path": Series(Stage.ANALYSIS, 6), "moves": Series(Stage.TESTING, 2)}
"""path: all stages with their runs; moves: the two last ones, which need no run, so that each move is one write."""


async def prepared(*, runs: int, items: int = ITEMS) -> list[Objects]:
    """Items of its own for each measurement, the same each time."""
    return [
        await population.at_work(f"{name}-{side}-{number}", items=items, stage=series.start)
        for number in range(runs)
        for name, series in SERIES.items()
        for side in ("ours", "raw")
    ]


def measure(report: Report, *, runs: int) -> None:
    """In each run both sides of each series, one right after the other."""
    with store.control_plane("transitions", asyncio.run(prepared(runs=runs))) as plane:
        for number in range(runs):
            for name in SERIES:
                store.say(f"run {number + 1} of {runs}: {name}, load {machine.load()[0]}")
                _measure_one(report, plane, name, number)


def _measure_one(report: Report, plane: ControlPlane, series: str, number: int) -> None:
    patches = plane.directory / "patches.json"
    ours = run_operator(
        plane,
        f"{series}-ours-{number}",
        log=plane.directory / "operator.log",
        patches=str(patches),
        transitions=ITEMS * SERIES[series].transitions,
    )
    theirs = asyncio.run(
        raw.replay(
            plane.kubeconfig,
            f"{series}-raw-{number}",
            json.loads(patches.read_text()),
            servers=machine.servers(plane.directory),
        )
    )
    _add(report, series, ours, theirs)


def _add(report: Report, series: str, ours: dict[str, Any], theirs: raw.RawRate) -> None:
    begin, end = ours["begin"], ours["end"]
    seconds, cpu, busy, requests, writes, transitions = (
        end[name] - begin[name] for name in ("time", "cpu", "busy", "requests", "writes", "transitions")
    )
    servers = {name: end["servers_cpu"][name] - begin["servers_cpu"][name] for name in theirs.servers_cpu}
    rate, servers_raw = theirs.writes / theirs.seconds, theirs.servers_cpu
    others = (busy - cpu - sum(servers.values())) / seconds
    others_raw = (theirs.busy - theirs.client_cpu - sum(servers_raw.values())) / theirs.seconds
    figures = (
        ("raw status writes", rate, "1/s"),
        ("transitions", transitions / seconds, "1/s"),
        ("transitions to raw", 100 * transitions / seconds / rate, "%"),
        ("status writes", writes / seconds, "1/s"),
        ("status writes to raw", 100 * writes / seconds / rate, "%"),
        ("status writes per transition", writes / transitions, ""),
        ("API requests per transition", requests / transitions, ""),
        ("operator CPU per transition", 1000 * cpu / transitions, "ms"),
        ("operator CPU per status write", 1000 * cpu / writes, "ms"),
        ("raw client CPU per write", 1000 * theirs.client_cpu / theirs.writes, "ms"),
        ("API server CPU per write, ours", 1000 * servers["kube-apiserver"] / writes, "ms"),
        ("API server CPU per write, raw", 1000 * servers_raw["kube-apiserver"] / theirs.writes, "ms"),
        ("etcd CPU per write, ours", 1000 * servers["etcd"] / writes, "ms"),
        ("etcd CPU per write, raw", 1000 * servers_raw["etcd"] / theirs.writes, "ms"),
        ("patch", theirs.patch_bytes, "bytes"),
        ("object", theirs.object_bytes, "bytes"),
        ("longest loop stall", 1000 * ours["stall"], "ms"),
        ("cores taken by others, ours", others, ""),
        ("cores taken by others, raw", others_raw, ""),
    )
    for name, value, unit in figures:
        report.add(f"{series}: {name}", value, unit)
