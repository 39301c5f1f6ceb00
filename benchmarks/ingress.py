"""`scripts/bench ingress`: how many deliveries the ingress stores, how soon it answers, and what it never loses.

`steady`   events at 50/s to two replicas, one of which is killed now and then;
`fastest`  new events and duplicates as fast as it goes, beside the API server's own rate;
`flood`    2,000 unsigned requests/s, alone and beside signed ones.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import ingress_account, ingress_objects, ingress_raw, ingress_strangers, machine, raw, store
from benchmarks.ingress_audit import Held, Verdict, held_now, judge, requests_so_far, watched
from benchmarks.ingress_events import ITEMS, ON_ITEMS, STREAMS, Event
from benchmarks.ingress_sender import Plan, Sent
from benchmarks.ingress_world import Replica, at_work, outcome, replicas, signed, strangers
from benchmarks.naming import lane
from benchmarks.report import Report, percentile
from tests.cluster.api import Kube
from tests.cluster.control_plane import ControlPlane

EVENTS = 10_000
EVENTS_PER_SECOND = 50.0
KILL_SECONDS = 30.0
"""From one kill to the next; the replicas take turns."""
FLOOD_PER_SECOND = 2_000.0
FLOOD_SECONDS = 30.0
SIGNED_PER_SECOND = 20.0
WATCH_SECONDS = 2.0
"""For the last events to come."""
IN_FLIGHT = 16
SERVERS = ("etcd", "kube-apiserver", "kube-controller-manager")
SERIALS = 20_000
"""Those of a part of a run begin at a multiple of it."""


Away = tuple[float, float]
"""From when until when a replica was not there; monotonic."""


@dataclass(frozen=True)
class Scene:
    plane: ControlPlane
    kubeconfig: Path
    """The ingress's."""
    run: int
    events: int

    @property
    def ours(self) -> str:
        return f"ours-{self.run}"

    @property
    def raw(self) -> str:
        return f"raw-{self.run}"

    def first(self, part: int) -> int:
        """The first serial of a part of the run, so that what it sends was never sent before."""
        return part * SERIALS

    def requests(self) -> int:
        """For our kinds, that the API server has answered so far."""
        with Kube(self.plane.kubeconfig) as kube:
            return requests_so_far(kube.raw("/metrics")).total()


def measure(report: Report, *, runs: int, events: int, parts: Sequence[str]) -> None:
    for name in parts:
        if name not in PARTS:
            raise ValueError(f"wanted parts of {', '.join(PARTS)}, found {name!r}")
    namespaces = [f"{side}-{run}" for run in range(runs) for side in ("ours", "raw")]
    population = [asyncio.run(ingress_objects.under_way(namespace)) for namespace in namespaces]
    with store.control_plane("ingress", population) as plane:
        kubeconfig = ingress_account.install(plane, namespaces, probe=lane(0))
        for run in range(runs):
            for name in parts:
                store.say(f"run {run + 1} of {runs}: {name}, load {machine.load()[0]}")
                PARTS[name](report, Scene(plane, kubeconfig, run, events))


# --- events at a rate, and a replica that dies


def _steady(report: Report, scene: Scene) -> None:
    plan = Plan([], scene.ours, scene.events, "mixed", scene.first(0), EVENTS_PER_SECOND)
    with replicas(scene.kubeconfig, scene.ours, f"steady-{scene.run}") as found:
        plan, servers = _to(plan, found), machine.servers(scene.plane.directory, SERVERS)
        before = _cpu(servers) | {"benchmark": time.process_time()}
        sent, held, away, ingress_cpu = asyncio.run(_while_killing(scene, plan, found))
        after = _cpu(servers) | {"benchmark": time.process_time()}
    spent = {name: after[name] - before[name] for name in after} | {"ingress": ingress_cpu, "sender": sent.cpu}
    report.add("steady: events", len(sent.codes), "")
    report.add("steady: replicas killed", len(away), "")
    _add_times(report, "steady", sent)
    due = [sent.began + place / EVENTS_PER_SECOND for place in range(len(sent.codes))]
    alone = [any(begin <= when <= end for begin, end in away) for when in due]
    for name, one_away in {"one starts": True, "both are there": False}.items():
        if times := _times(sent, [one is one_away for one in alone]):
            report.add(f"steady: answered while {name}, p99", percentile(times, 99), "ms")
    report.add("steady: answered within 100 ms", 100 * sum(time <= 100 for time in _times(sent)) / len(due), "%")
    report.add("steady: cores at work, the benchmark's own included", sent.busy / sent.duration, "")
    for name, seconds in spent.items():
        report.add(f"steady: {name} CPU of each", 1000 * seconds / plan.count, "ms")
    report.add("steady: cores taken by others", (sent.busy - sum(spent.values())) / sent.duration, "")
    report.add("steady: a replica's start", sum(end - begin for begin, end in away) / max(1, len(away)), "s")
    _add_verdict(report, "steady", judge(_events(plan), sent, held, namespace=scene.ours))
    report.add("steady: connections that went to the other replica", sent.refused, "")


async def _while_killing(scene: Scene, plan: Plan, found: Sequence[Replica]) -> tuple[Sent, Held, list[Away], float]:
    """Each replica is started again at once, as a kubelet does the first time. Also the seconds of all of them."""
    away: list[Away] = []
    turns, cpu = itertools.cycle(found), -_cpu_of(found)
    async with watched(scene.plane.kubeconfig, scene.ours) as held:
        with at_work(one := signed(plan)):
            while (sent := await asyncio.to_thread(one.result_within, KILL_SECONDS)) is None:
                replica, began = next(turns), time.monotonic()
                cpu += replica.cpu_seconds()
                await asyncio.to_thread(replica.server.kill)
                await asyncio.to_thread(replica.server.start)
                away.append((began, time.monotonic()))
        await asyncio.sleep(WATCH_SECONDS)
    return sent, held, away, cpu + _cpu_of(found)


# --- as fast as it goes


def _fastest(report: Report, scene: Scene) -> None:
    """The raw writes are sent half before ours and half after."""
    count = min(scene.events, len(ON_ITEMS) * ITEMS)
    transitions = asyncio.run(ingress_objects.transitions())
    half = len(transitions) // 2
    raw_rates = [_raw(scene, transitions[:half])]
    new = Plan([], scene.ours, count, "new", scene.first(1), in_flight=IN_FLIGHT)
    again = Plan([], scene.ours, count, "again", scene.first(1), in_flight=IN_FLIGHT)
    rates = {}
    with replicas(scene.kubeconfig, scene.ours, f"fastest-{scene.run}") as found:
        for name, plan in {"new events": new, "duplicates": again}.items():
            rates[name] = _as_fast_as_it_goes(report, scene, name, _to(plan, found), found)
        report.add("fastest: resident memory of a replica, highest", max(one.memory() for one in found), "MB")
    raw_rates.append(_raw(scene, transitions[half:]))
    hints = [*STREAMS["new"](scene.first(2), count)]
    rate = sum(one.writes for one in raw_rates) / sum(one.seconds for one in raw_rates)
    report.add("raw status writes", rate, "1/s")
    api_server = sum(one.servers_cpu["kube-apiserver"] for one in raw_rates) / len(transitions)
    report.add("raw status writes, API server CPU of each", 1000 * api_server, "ms")
    report.add("raw status writes, first half to second", 100 * _rate(raw_rates[0]) / _rate(raw_rates[1]), "%")
    report.add("raw hints", asyncio.run(ingress_raw.annotate(scene.kubeconfig, scene.ours, hints)), "1/s")
    for name, ours in rates.items():
        report.add(f"fastest: {name} to raw", 100 * ours / rate, "%")


def _raw(scene: Scene, patches: raw.Patches) -> raw.RawRate:
    servers = machine.servers(scene.plane.directory)
    return asyncio.run(raw.replay(scene.plane.kubeconfig, scene.raw, patches, servers=servers))


def _rate(one: raw.RawRate) -> float:
    return one.writes / one.seconds


def _as_fast_as_it_goes(report: Report, scene: Scene, name: str, plan: Plan, found: Sequence[Replica]) -> float:
    """Deliveries per second."""
    servers = machine.servers(scene.plane.directory)
    calls, before, cpu = scene.requests(), _cpu(servers), _cpu_of(found)
    sent = outcome(signed(plan))
    after, ingress_cpu = _cpu(servers), _cpu_of(found) - cpu
    calls, rate = scene.requests() - calls, len(sent.codes) / sent.duration
    report.add(f"fastest: {name}", rate, "1/s")
    report.add(f"fastest: {name}, API requests of each", calls / plan.count, "")
    report.add(f"fastest: {name}, ingress CPU of each", 1000 * ingress_cpu / plan.count, "ms")
    for server, seconds in after.items():
        report.add(f"fastest: {name}, {server} CPU of each", 1000 * (seconds - before[server]) / plan.count, "ms")
    report.add(f"fastest: {name}, sender CPU of each", 1000 * sent.cpu / plan.count, "ms")
    known = ingress_cpu + sent.cpu + sum(after.values()) - sum(before.values())
    report.add(f"fastest: {name}, cores taken by others", (sent.busy - known) / sent.duration, "")
    _add_times(report, f"fastest: {name}", sent)
    held = held_now(scene.plane.kubeconfig, scene.ours)
    _add_verdict(report, f"fastest: {name}", judge(_events(plan), sent, held, namespace=scene.ours))
    return rate


def _cpu(servers: Mapping[str, int]) -> dict[str, float]:
    return {name: machine.cpu_seconds(pid) for name, pid in servers.items()}


def _cpu_of(found: Sequence[Replica]) -> float:
    return sum(replica.cpu_seconds() for replica in found)


# --- strangers


def _flood(report: Report, scene: Scene) -> None:
    with replicas(scene.kubeconfig, scene.ours, f"flood-{scene.run}") as found:
        ports = [replica.port for replica in found]
        unsigned = ingress_strangers.Plan(ports, scene.ours, int(FLOOD_SECONDS * FLOOD_PER_SECOND), FLOOD_PER_SECOND)
        count = int(FLOOD_SECONDS * SIGNED_PER_SECOND)
        plan = Plan(ports, scene.ours, count, "mixed", scene.first(3), SIGNED_PER_SECOND)
        calls, cpu = scene.requests(), _cpu_of(found)
        alone = outcome(strangers(unsigned))
        cpu = _cpu_of(found) - cpu
        report.add("flood: API requests, strangers alone", scene.requests() - calls, "")
        beside, sent, held = asyncio.run(_beside(scene, unsigned, plan))
        report.add("flood: resident memory of a replica, highest", max(one.memory() for one in found), "MB")
    report.add("flood: ingress CPU of an unsigned request", 1000 * cpu / unsigned.count, "ms")
    report.add("flood: strangers' CPU of an unsigned request", 1000 * alone.cpu / unsigned.count, "ms")
    for name, flood in {"alone": alone, "beside signed ones": beside}.items():
        report.add(f"flood: unsigned requests, {name}", sum(flood.codes.values()) / flood.duration, "1/s")
        report.add(f"flood: not answered 401, {name}", unsigned.count - flood.codes.get("401", 0), "")
    _add_times(report, "flood: signed", sent)
    _add_verdict(report, "flood: signed", judge(_events(plan), sent, held, namespace=scene.ours))


async def _beside(
    scene: Scene, unsigned: ingress_strangers.Plan, plan: Plan
) -> tuple[ingress_strangers.Found, Sent, Held]:
    async with watched(scene.plane.kubeconfig, scene.ours) as held:
        with at_work(first := strangers(unsigned), second := signed(plan)):
            beside, sent = await asyncio.to_thread(first.result), await asyncio.to_thread(second.result)
        await asyncio.sleep(WATCH_SECONDS)
    return beside, sent, held


# ---


def _to(plan: Plan, found: Sequence[Replica]) -> Plan:
    return Plan(**(vars(plan) | {"ports": [replica.port for replica in found]}))


def _events(plan: Plan) -> list[Event]:
    return [*STREAMS[plan.stream](plan.first, plan.count)]


def _add_times(report: Report, name: str, sent: Sent) -> None:
    times = _times(sent)
    for share in (50, 99):
        report.add(f"{name}: answered, p{share}", percentile(times, share), "ms")
    report.add(f"{name}: answered, slowest", max(times), "ms")


def _times(sent: Sent, chosen: Iterable[bool] = itertools.repeat(True)) -> list[float]:
    """How long the answers to the chosen ones took, of those that had one, in ms."""
    found = zip(sent.seconds, sent.codes, chosen, strict=False)
    return [1000 * seconds for seconds, code, is_one in found if code and is_one]


def _add_verdict(report: Report, name: str, verdict: Verdict) -> None:
    counts = {
        "accepted and stored": verdict.accepted,
        "duplicates": verdict.duplicates,
        "ignored": verdict.ignored,
        "not answered, the replica died": verdict.not_answered,
        "told unavailable": verdict.refused,
        "wrong answers": len(verdict.wrong),
        "acknowledged and lost": len(verdict.lost),
    }
    for what, count in counts.items():
        report.add(f"{name}: {what}", count, "")
    for wrong in (*verdict.wrong[:10], *(f"{place}: acknowledged and lost" for place in verdict.lost[:10])):
        store.say(f"{name}: {wrong}")


PARTS: Mapping[str, Callable[[Report, Scene], None]] = {"steady": _steady, "fastest": _fastest, "flood": _flood}
