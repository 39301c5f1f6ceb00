"""`scripts/bench NAME`: run one benchmark a few times and print what it found."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks import (
    cold_start,
    ingress,
    machine,
    queue,
    reaction,
    rest,
    take_over,
    transitions,
    waiting,
    whole_path,
)
from benchmarks.operator_process import PROFILES
from benchmarks.report import Report, read_bounds
from benchmarks.ways import WAYS

BENCHMARKS: Mapping[str, Callable[..., None]] = {
    "transitions": transitions.measure,
    "cold-start": cold_start.measure,
    "reaction": reaction.measure,
    "whole-path": whole_path.measure,
    "take-over": take_over.measure,
    "queue": queue.measure,
    "rest": rest.measure,
    "waiting": waiting.measure,
    "ingress": ingress.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("name", choices=BENCHMARKS)
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="how often each figure is taken (3)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--lanes", type=int, default=50, metavar="N", help="repositories of whole-path (50)")
    parser.add_argument("--items", type=int, default=4, metavar="N", help="items of each of them (4)")
    parser.add_argument("--only", action="append", choices=WAYS, help="this way of transitions; may be repeated")
    parser.add_argument("--events", type=int, default=ingress.EVENTS, metavar="N", help="events of ingress (10,000)")
    parser.add_argument("--parts", nargs="+", default=[*ingress.PARTS], choices=ingress.PARTS, help="of ingress (all)")
    parser.add_argument("--profiles", type=Path, metavar="DIR", help="profiles, of those that take them")
    chosen = parser.parse_args()
    if chosen.profiles is not None:
        chosen.profiles.mkdir(parents=True, exist_ok=True)
        os.environ[PROFILES] = str(chosen.profiles)
    if chosen.runs < 1:
        parser.error("--runs: wanted 1 or more")
    bounds = read_bounds(chosen.name)
    before = machine.load()
    report = Report(chosen.name)
    more = {"whole-path": {"lanes": chosen.lanes, "items": chosen.items}, "transitions": {"only": chosen.only or ()}}
    more["ingress"] = {"events": chosen.events, "parts": chosen.parts}
    BENCHMARKS[chosen.name](report, runs=chosen.runs, **more.get(chosen.name, {}))
    report.facts = machine.description() | {
        "load": f"{before[0]} before, {machine.load()[0]} after (1 minute averages, the benchmark's own included)",
        "runs": str(chosen.runs),
    }
    print(json.dumps(report.as_json(bounds), indent=2) if chosen.json else report.as_text(bounds))


if __name__ == "__main__":
    main()
