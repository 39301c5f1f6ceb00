"""`scripts/bench cold-start`: how long a new process takes to look at everything once, and in how much memory."""

from __future__ import annotations

import asyncio

from benchmarks import machine, population, store
from benchmarks.operator_run import run as run_operator
from benchmarks.report import Report

ITEMS, NAMESPACE = 15_000, "shop"


def measure(report: Report, *, runs: int) -> None:
    """Runs on one store, which a start leaves as it was."""
    objects = asyncio.run(population.at_rest(NAMESPACE, items=ITEMS))
    with store.control_plane("cold-start", [objects]) as plane:
        for number in range(runs):
            store.say(f"run {number + 1} of {runs}, load {machine.load()[0]}")
            found = run_operator(
                plane, NAMESPACE, log=plane.directory / "operator.log", decisions=ITEMS, mood="at rest"
            )
            figures = (
                ("process start to first decision on one", found["seconds_to_first"], "s"),
                ("process start to first decision on all", found["seconds"], "s"),
                ("operator CPU until then", found["end"]["cpu"], "s"),
                ("resident memory then", found["memory"]["then"], "MiB"),
                ("resident memory, highest", found["memory"]["highest"], "MiB"),
                ("resident memory 5 s later", found["memory"]["settled"], "MiB"),
                ("longest loop stall", found["stall"], "s"),
                ("API requests but watches", found["end"]["requests"], ""),
                ("passes", found["passes"], ""),
                ("status writes of items", found["writes"], ""),
                ("machine's CPU until then", found["busy"], "s"),
            )
            for name, value, unit in figures:
                report.add(name, value, unit)
