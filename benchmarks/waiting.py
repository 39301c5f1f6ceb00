"""`scripts/bench waiting`: whether what one item's way costs grows with the number of items that wait behind it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence

from benchmarks import machine, naming, population, store
from benchmarks.report import Report
from benchmarks.standing import CLOCK, WRITES, Standing, State, standing
from conveyor.api.annotations import GROUP, VERSION
from tests.cluster.api import Kube
from tests.cluster.control_plane import ControlPlane

NUMBERS = (10, 100, 1000)
STEPS = 3
STEP_SECONDS = 60.0
REST_SECONDS = 2.0
APPROVE = "request.conveyor.dev/approve"


def measure(report: Report, *, runs: int) -> None:
    """In each run a namespace of its own for each number, for its items end."""
    asked = [(f"waiting-{number}-{run}", number) for run in range(runs) for number in NUMBERS]
    objects = [asyncio.run(population.in_line(name, lanes=1, waiting=number)) for name, number in asked]
    with store.control_plane("waiting", objects) as plane:
        for run in range(runs):
            store.say(f"run {run + 1} of {runs}, load {machine.load()[0]}")
            found = {number: _steps(plane, f"waiting-{number}-{run}", number) for number in NUMBERS}
            _add(report, found)


def _steps(plane: ControlPlane, namespace: str, waiting: int) -> list[tuple[State, State]]:
    """In each a person approves what is under way: it goes to its end, and the next to where it waits for a person."""
    starting = (naming.FIRST_NUMBER + 1, naming.FIRST_NUMBER + waiting + 1)
    with (
        standing(plane, namespace, items=waiting + 1, starting=starting) as operator,
        Kube(plane.kubeconfig) as kube,
    ):
        operator.until_at_rest()
        lane = _Lane(kube, namespace)
        return [_step(operator, lane, number) for number in range(STEPS)]


class _Lane:
    def __init__(self, kube: Kube, namespace: str) -> None:
        self._kube, self._path = kube, f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}"

    def active(self) -> str:
        repository = self._kube.get(f"{self._path}/repositories/{naming.lane(0)}")
        name: str = repository["status"]["activeItem"]["name"]
        return name

    def waits_for_a_person(self, name: str) -> bool:
        """And says so on its ticket."""
        status = self._kube.get(f"{self._path}/workitems/{name}").get("status", {})
        shown = status.get("tracker", {}).get("indicatedState")
        return "approval" in status and shown == "state-needs-input"

    def approve(self, name: str) -> None:
        annotations = {APPROVE: "1 by=lead"}
        self._kube.patch(f"{self._path}/workitems/{name}", {"metadata": {"annotations": annotations}})


def _step(operator: Standing, lane: _Lane, number: int) -> tuple[State, State]:
    name, end = lane.active(), time.monotonic() + STEP_SECONDS
    before = operator.state()
    lane.approve(name)
    while (following := lane.active()) == name or not lane.waits_for_a_person(following):
        if time.monotonic() > end:
            raise TimeoutError(f"step {number}: after {name} no item came to where it waits for a person")
        time.sleep(0.1)
    time.sleep(REST_SECONDS)
    return before, operator.state()


def _add(report: Report, found: dict[int, list[tuple[State, State]]]) -> None:
    of_steps = {number: [counts(after) for _, after in steps] for number, steps in found.items()}
    for name in ("status writes", "writes", "API requests", "passes over items"):
        means = {number: mean([count[name] for count in of_steps[number]]) for number in found}
        for number, value in means.items():
            report.add(f"{name} per step, {number:,} wait", value, "")
        report.add(f"{name}, {max(found):,} to {min(found):,}", means[max(found)] / means[min(found)], "")
    for number, steps in found.items():
        touched = mean([count["items looked at"] for count in of_steps[number]])
        report.add(f"items looked at per step, {number:,} wait", touched, "")
        cpu = mean([after.cpu - before.cpu for before, after in steps])
        report.add(f"operator CPU per step, {number:,} wait", 1000 * cpu, "ms")
    most = sum((after.calls for _, after in found[max(found)]), Counter[tuple[str, str, str]]())
    for (system, method, route), count in sorted(most.items()):
        report.add(f"{max(found):,} wait: {system} {method} {route}", count / STEPS, "")


def counts(state: State) -> dict[str, float]:
    """What a step took; what goes by the clock is left out, for a step has no certain length."""
    api = {names: count for names, count in state.calls.items() if names[0] == "api" and names[2] not in CLOCK}
    passes = {name: count for (actor, name), count in state.passes.items() if actor == "item"}
    return {
        "status writes": state.status_writes,
        "writes": sum(count for (_, method, _), count in api.items() if method in WRITES),
        "API requests": sum(api.values()),
        "passes over items": sum(passes.values()),
        "items looked at": len(passes),
    }


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
