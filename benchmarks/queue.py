"""`scripts/bench queue`: how long readers of `/queue` wait for their answer, and the operator's loop for its turn."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import machine, naming, population, store
from benchmarks.population import Objects
from benchmarks.report import Report
from benchmarks.standing import Standing, State, percentile, standing
from conveyor.api.annotations import GROUP, VERSION
from tests.cluster.api import Kube
from tests.cluster.control_plane import ControlPlane
from tests.cluster.processes import guard_group, kill_group, release_group

ITEMS, READERS = 5000, 20
OF_A_LANE = 25
SECONDS = 20.0
CHANGES = 20.0
"""Items that somebody changes, a second: with nothing new, an answer would only have to be sent again."""
EVERY = {"back to back": 0.0, "each once a second": 1.0}
LAG_SECONDS = 0.01
MOODS = {"open": "green", "mixed": "at rest"}


async def prepared() -> dict[str, Objects]:
    """`open`: none has ended, so that all are in the answer; `mixed`: most have, and a quarter is in it."""
    return {
        "open": await population.in_line("open", lanes=ITEMS // OF_A_LANE, waiting=OF_A_LANE - 1),
        "mixed": await population.at_rest("mixed", items=ITEMS),
    }


def measure(report: Report, *, runs: int) -> None:
    objects = asyncio.run(prepared())
    with store.control_plane("queue", list(objects.values())) as plane:
        for number in range(runs):
            for name in objects:
                store.say(f"run {number + 1} of {runs}: {name}, load {machine.load()[0]}")
                plan = {"mood": MOODS[name], "lag_interval": LAG_SECONDS}
                with standing(plane, name, items=ITEMS, **plan) as operator:
                    operator.until_at_rest()
                    for way, every in EVERY.items():
                        with changing(plane, name):
                            _measure_one(report, operator, name, way, every=every)


def _measure_one(report: Report, operator: Standing, name: str, way: str, *, every: float) -> None:
    operator.ask("profile", f"queue-{name}-{way.replace(' ', '-')}")
    before = operator.state()
    found, cpu = _read(operator.address, every=every)
    after = operator.state()
    operator.ask("profiled")
    seconds = after.time - before.time
    took, lengths = [1000 * entry[0] for entry in found], [entry[1] for entry in found]
    figures = (
        ("answer p50", percentile(took, 50), "ms"),
        ("answer p99", percentile(took, 99), "ms"),
        ("answer max", max(took), "ms"),
        ("answers", len(found) / seconds, "1/s"),
        ("bytes per answer", sum(lengths) / len(lengths), "bytes"),
        *_loop(before, after),
        ("operator CPU", 100 * (after.cpu - before.cpu) / seconds, "% of a core"),
        ("readers' CPU", 100 * cpu / seconds, "% of a core"),
        ("passes over items", after.passes_of("item") / seconds, "1/s"),
    )
    for figure, value, unit in figures:
        report.add(f"{name}, {way}: {figure}", value, unit)


def _loop(before: State, after: State) -> Iterator[tuple[str, float, str]]:
    late = [1000 * seconds for seconds in after.late]
    yield "loop lag p99", percentile(late, 99), "ms"
    yield "longest stall", max(late, default=0.0), "ms"
    others = after.busy - before.busy - (after.cpu - before.cpu)
    yield "cores taken by all others, the readers among them", others / (after.time - before.time), ""


def _read(address: str, *, every: float) -> tuple[Sequence[tuple[float, int]], float]:
    """What the readers found, and the processor time that it took them."""
    words = [address, "/queue", str(SECONDS), str(READERS), str(every)]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.readers", *words],
        stdout=subprocess.PIPE,
        start_new_session=True,
        cwd=Path(__file__).parents[1],
    )
    guard_group(process.pid)
    began = _children_cpu()
    try:
        output, _ = process.communicate(timeout=10 * SECONDS)
    finally:
        kill_group(process.pid)
        process.wait(10)
        release_group(process.pid)
    if process.returncode != 0:
        raise RuntimeError(f"the readers ended with {process.returncode}")
    return [(took, length) for took, length in json.loads(output)], _children_cpu() - began


def _children_cpu() -> float:
    return machine.cpu_seconds("self", children=True) - machine.cpu_seconds("self")


@contextlib.contextmanager
def changing(plane: ControlPlane, namespace: str) -> Iterator[None]:
    """While it lasts, somebody annotates one item after the other: the lane of each is no longer what it was."""
    over = threading.Event()

    def change() -> None:
        path = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/workitems"
        with Kube(plane.kubeconfig) as kube:
            number = 0
            while not over.wait(1 / CHANGES):
                item = naming.item(naming.FIRST_NUMBER + number * 7 % ITEMS)
                note = {"benchmark.example/touched": str(time.monotonic())}
                kube.patch(f"{path}/{item}", {"metadata": {"annotations": note}})
                number += 1

    thread = threading.Thread(target=change, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(30)
