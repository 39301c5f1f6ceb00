"""`scripts/bench rest`: what an operator costs that has nothing to do."""

from __future__ import annotations

import asyncio
import re

from benchmarks import machine, population, store
from benchmarks.cold_start import ITEMS, NAMESPACE
from benchmarks.report import Report
from benchmarks.standing import CLOCK, WRITES, Standing, State, percentile, standing
from conveyor.api.annotations import GROUP
from tests.cluster.api import Kube
from tests.cluster.control_plane import ControlPlane

SECONDS = 60.0
CYCLE_SECONDS = 300.0
"""How often resync and checks come: `RESYNC_SECONDS`, `CHECK_SECONDS`."""
ROUND_SECONDS = 35.0
"""The rounds of every 30 s have all begun by then."""


def measure(report: Report, *, runs: int) -> None:
    """On the store of the cold start, which a start leaves as it was."""
    objects = asyncio.run(population.at_rest(NAMESPACE, items=ITEMS))
    with store.control_plane("cold-start", [objects]) as plane:
        for number in range(runs):
            store.say(f"run {number + 1} of {runs}, load {machine.load()[0]}")
            with standing(plane, NAMESPACE, items=ITEMS, mood="at rest") as operator:
                _measure_one(report, plane, operator)


def _measure_one(report: Report, plane: ControlPlane, operator: Standing) -> None:
    operator.until_at_rest()
    operator.window(ROUND_SECONDS, profile="settling")
    with Kube(plane.kubeconfig) as kube:
        before = writes_of_ours(kube.raw("/metrics"))
        plain = operator.window(SECONDS, profile="rest")
        operator.ask("five-minutes")
        cycle = operator.window(SECONDS, profile="rest-with-resync")
        written = writes_of_ours(kube.raw("/metrics")) - before
    report.add("operator CPU, with a fifth of resync and checks", 100 * share(plain, cycle), "% of a core")
    report.add("writes but heartbeat and leader's Lease", _other_writes(plain[1]) + _other_writes(cycle[1]), "")
    report.add("writes of WorkItems and Repositories, by the API server's count", written, "")
    report.add("resident memory", cycle[1].memory, "MiB")
    _add(report, "60 s", plain)
    _add(report, "60 s with resync and checks", cycle)


def share(plain: tuple[State, State], cycle: tuple[State, State]) -> float:
    """Of a core over five minutes, of which one window had what comes once in them, and the other had not."""
    base, more = plain[1].cpu - plain[0].cpu, cycle[1].cpu - cycle[0].cpu
    return base / SECONDS + max(0.0, more - base) / CYCLE_SECONDS


def writes_of_ours(metrics: str) -> float:
    """How many writes of WorkItems and Repositories the API server has seen, whoever sent them."""
    verbs = "|".join(sorted(WRITES | {"APPLY"}))
    counted = re.findall(rf'^apiserver_request_total{{(.*group="{GROUP}".*)}} (\S+)$', metrics, re.MULTILINE)
    return sum(float(count) for labels, count in counted if re.search(rf'verb="({verbs})"', labels))


def _other_writes(state: State) -> int:
    return sum(state.writes().values())


def _add(report: Report, name: str, window: tuple[State, State]) -> None:
    begin, end = window
    seconds, cpu = end.time - begin.time, end.cpu - begin.cpu
    servers = {name: end.servers_cpu[name] - begin.servers_cpu[name] for name in end.servers_cpu}
    report.add(f"{name}: operator CPU", 100 * cpu / seconds, "% of a core")
    report.add(f"{name}: API server CPU", 100 * servers["kube-apiserver"] / seconds, "% of a core")
    others = (end.busy - begin.busy - cpu - sum(servers.values())) / seconds
    report.add(f"{name}: cores taken by others", others, "")
    late = [1000 * seconds for seconds in end.late]
    for what, value in (("p50", percentile(late, 50)), ("p99", percentile(late, 99)), ("max", max(late, default=0))):
        report.add(f"{name}: loop lag {what}", value, "ms")
    report.add(f"{name}: whole garbage collections", len(end.collections), "")
    report.add(f"{name}: time in them", 1000 * sum(end.collections), "ms")
    for actor in ("item", "repository", "indication", "poll"):
        report.add(f"{name}: passes, {actor}", end.passes_of(actor), "")
    for (system, method, route), count in sorted(end.calls.items()):
        mark = " (by the clock)" if route in CLOCK else ""
        report.add(f"{name}: {system} {method} {route}{mark}", count, "")
