"""`scripts/bench transitions`: how near stage transitions come to what the API server can store at all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from benchmarks import machine, raw, store
from benchmarks.operator_run import run as run_operator
from benchmarks.report import Report
from benchmarks.ways import OURS, RAW, WAYS, Way


def measure(report: Report, *, runs: int, only: Sequence[str] = ()) -> None:
    """In each run each way, on servers of its own: our side, and right after it the raw one."""
    for number in range(runs):
        rates: dict[str, float] = {}
        for name in only or WAYS:
            store.say(f"run {number + 1} of {runs}: {name}, load {machine.load()[0]}")
            rates[name] = _measure_one(report, name, WAYS[name])
        if {"moves", "moves-large"} <= rates.keys():
            report.add("moves-large: transitions to those of moves", 100 * rates["moves-large"] / rates["moves"], "%")


def _measure_one(report: Report, name: str, way: Way) -> float:
    """Our transitions per second."""
    kept = f"transitions-{name.removesuffix('-events')}"
    with store.control_plane(kept, asyncio.run(way.objects())) as plane:
        patches = plane.directory / "patches.json"
        log = plane.directory / "operator.log"
        ours = run_operator(plane, OURS, log=log, events=way.events, patches=str(patches), **way.plan())
        servers = machine.servers(plane.directory)
        theirs = asyncio.run(raw.replay(plane.kubeconfig, RAW, json.loads(patches.read_text()), servers=servers))
    return _add(report, name, ours, theirs)


def _add(report: Report, series: str, ours: dict[str, Any], theirs: raw.RawRate) -> float:
    begin, end = ours["begin"], ours["end"]
    seconds, cpu, busy, requests, passes, writes, transitions = (
        end[name] - begin[name] for name in ("time", "cpu", "busy", "requests", "passes", "writes", "transitions")
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
        ("passes per transition", passes / transitions, ""),
        ("operator CPU per transition", 1000 * cpu / transitions, "ms"),
        ("operator CPU per status write", 1000 * cpu / writes, "ms"),
        ("raw client CPU per write", 1000 * theirs.client_cpu / theirs.writes, "ms"),
        ("API server CPU per write, ours", 1000 * servers["kube-apiserver"] / writes, "ms"),
        ("API server CPU per write, raw", 1000 * servers_raw["kube-apiserver"] / theirs.writes, "ms"),
        ("etcd CPU per write, ours", 1000 * servers["etcd"] / writes, "ms"),
        ("etcd CPU per write, raw", 1000 * servers_raw["etcd"] / theirs.writes, "ms"),
        ("patch", theirs.patch_bytes, "bytes"),
        ("object", theirs.object_bytes, "bytes"),
        ("longest loop stall", 1000 * max(ours["late"]), "ms"),
        ("longest garbage collection", 1000 * ours["collection"], "ms"),
        ("cores taken by others, ours", others, ""),
        ("cores taken by others, raw", others_raw, ""),
    )
    for name, value, unit in figures:
        report.add(f"{series}: {name}", value, unit)
    return float(transitions / seconds)
