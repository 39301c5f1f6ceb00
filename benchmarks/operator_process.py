"""The operator as a process of its own, metered: started by a benchmark, which reads one line of JSON from it.

It is `conveyor.app.operator.Operator` with settings from the environment. What is exchanged: the clients of forge and
tracker, and parts of the engine for themselves with a counter in them (`meter`).
"""

from __future__ import annotations

import asyncio
import contextlib
import cProfile
import functools
import gc
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks import machine, population
from benchmarks.merged import MergedFile
from benchmarks.meter import Meter, MeteredCluster, MeteredReconciler, counted, noting
from benchmarks.outside import InventedForge, InventedTracker, Outside
from benchmarks.start import Start, at_rest
from conveyor.api.repository import Forge as ForgeSpec
from conveyor.api.repository import Tracker as TrackerSpec
from conveyor.app import garbage, logs, operator
from conveyor.app.settings import load
from conveyor.cluster.connection import Connection, from_kubeconfig
from conveyor.engine.hub import Hub
from conveyor.engine.lag import watch_lag
from conveyor.forge import gitea
from conveyor.tracker import plane

SETTLE_SECONDS = 5.0
STOP_SECONDS = 60.0
TIME_LIMIT = 900.0
PROFILES = "BENCH_PROFILES"
"""Environment variable that names a directory for profiles."""


@dataclass(frozen=True)
class Plan:
    """Either expectation ends the measurement."""

    namespace: str
    servers: dict[str, int]
    started: float
    """Monotonic time just before the process was."""
    busy: float
    """Processor time of the whole machine until then."""
    patches: str = ""
    """A file to write all status patches of WorkItems to."""
    transitions: int | None = None
    decisions: int | None = None
    mood: str = "green"
    """Which of `population.MOODS` the forge is in."""
    kept_back: str = "none"
    """Which of `population.KEPT_BACK` are let go when all the others were looked at and the operator is at rest."""
    items: int = 0
    """How many there are in all."""
    merged: str = ""
    """A file by which another process says whose pull requests are merged."""
    at_rest: str = ""
    """A file to make when all was looked at and the operator is at rest."""


@contextlib.contextmanager
def exchanged(meter: Meter, start: Start, outside: Outside) -> Iterator[None]:
    """Forge and tracker by invented ones, the engine's parts by metered ones."""

    def forge(spec: ForgeSpec, secret: dict[str, str], **_: object) -> InventedForge:
        return InventedForge(outside, repository=spec.name, login=secret["token"])

    def tracker(spec: TrackerSpec, _: dict[str, str], **__: object) -> InventedTracker:
        return InventedTracker(outside, identifier=spec.identifier)

    with (
        mock.patch.object(gitea, "connect", forge),
        mock.patch.object(plane, "connect", tracker),
        mock.patch.object(Connection, "request", counted(meter)),
        mock.patch.object(operator, "KubernetesCluster", functools.partial(MeteredCluster, meter, outside)),
        mock.patch.object(operator, "ItemReconciler", functools.partial(MeteredReconciler, meter, start)),
        mock.patch.object(Hub, "item_seen", noting(meter)),
    ):
        yield


async def measure(plan: Plan) -> dict[str, Any]:
    done, stop = asyncio.Event(), asyncio.Event()
    meter = Meter(plan.servers, done.set, transitions_expected=plan.transitions, decisions_expected=plan.decisions)
    start = Start(population.KEPT_BACK[plan.kept_back])
    gc.callbacks.append(meter.collecting)
    settings = load(os.environ)
    if settings.kubeconfig is None:
        raise ValueError("CONVEYOR_KUBECONFIG has to name the cluster")
    connection = await from_kubeconfig(settings.kubeconfig)
    with exchanged(meter, start, _outside(plan)):
        running = asyncio.create_task(operator.Operator(settings, connection).run(stop))
        lag = asyncio.create_task(watch_lag(meter.lagged, interval=0.02))
        finished = asyncio.create_task(_whole(plan, meter, start, done))
        await asyncio.wait({running, finished}, timeout=TIME_LIMIT, return_when=asyncio.FIRST_COMPLETED)
        in_time, memory = done.is_set(), machine.memory_mib()
        if plan.decisions is not None:
            await asyncio.sleep(SETTLE_SECONDS)
        for task in (lag, finished):
            task.cancel()
        stop.set()
        await asyncio.wait({running}, timeout=STOP_SECONDS)
    if not in_time:
        for task in (running, finished):
            if not task.cancelled():
                task.result()
        raise TimeoutError(f"not finished in {TIME_LIMIT:.0f} s: {meter.progress()}")
    return _result(plan, meter, memory)


def _outside(plan: Plan) -> Outside:
    merged = MergedFile(Path(plan.merged)) if plan.merged else set[int]()
    return Outside(plan.namespace, mood=population.MOODS[plan.mood], merged=merged)


async def _whole(plan: Plan, meter: Meter, start: Start, done: asyncio.Event) -> None:
    """Begin at rest, where that is wanted, and go on to the end."""
    if plan.items:
        await at_rest(plan.servers, lambda: meter.decided_upon + len(start.kept) >= plan.items)
        start.let_go()
    if plan.at_rest:
        Path(plan.at_rest).touch()  # noqa: ASYNC240 nothing is at work
    await done.wait()


def _result(plan: Plan, meter: Meter, memory: tuple[float, float]) -> dict[str, Any]:
    settled, highest = machine.memory_mib()
    if plan.patches:
        Path(plan.patches).write_text(json.dumps(meter.patches))
    return {
        "begin": asdict(meter.begin) if meter.begin is not None else None,
        "end": asdict(meter.end) if meter.end is not None else None,
        "seconds": meter.end.time - plan.started if meter.end is not None else 0.0,
        "seconds_to_first": meter.first_decision - plan.started,
        "busy": meter.end.busy - plan.busy if meter.end is not None else 0.0,
        "passes": meter.passes,
        "writes": meter.writes,
        "stall": meter.stall,
        "late": meter.late,
        "collection": meter.collection,
        "marks": {name: asdict(marks) for name, marks in meter.marks.items() if marks.stored} if plan.at_rest else {},
        "memory": {"then": memory[0], "settled": settled, "highest": highest},
    }


@contextlib.contextmanager
def profiled(name: str) -> Iterator[None]:
    """Where a directory is named: what each function cost goes there, to be read with `pstats`. It doubles the time."""
    directory = os.environ.get(PROFILES)
    if directory is None:
        yield
        return
    profile = cProfile.Profile()
    try:
        with profile:
            yield
    finally:
        profile.dump_stats(Path(directory) / f"{name}.prof")


def main() -> None:
    """Argument: the plan as JSON."""
    logs.configure()
    garbage.configure()
    plan = Plan(**json.loads(sys.argv[1]))
    with profiled(plan.namespace):
        result = asyncio.run(measure(plan))
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
