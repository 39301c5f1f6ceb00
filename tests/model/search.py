"""Exhaustive search of a model: every reachable state, a shortest path to each broken law, and what can never end.

A model is a start state and a function that gives all steps out of a state. Steps that only a fault takes are marked:
a state converges if an end can be reached from it by the other steps alone, so after the faults have stopped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

S = TypeVar("S", bound=Hashable)


class Step(NamedTuple, Generic[S]):
    label: str
    state: S
    fault: bool = False


@dataclass(frozen=True)
class Model(Generic[S]):
    start: S
    steps: Callable[[S], Iterable[Step[S]]]
    broken_law: Callable[[S], str]
    """The law that a state breaks, "" where it keeps all. A state that breaks one is not gone on from."""
    is_end: Callable[[S], bool]


@dataclass(frozen=True)
class Findings:
    states: int
    broken: dict[str, list[str]]
    """The laws that some state breaks, each with the labels of a shortest path to one."""
    stuck: list[str] | None
    """A shortest path to a state from which no end can be reached without a fault; None: there is none."""
    ends: int


class _Graph(Generic[S]):
    """The states found so far, by number."""

    def __init__(self, start: S) -> None:
        self.numbers = {start: 0}
        self.found: list[tuple[int, str]] = [(-1, "")]
        """By state: from which one it was found first, and by which step."""
        self.before: list[list[int]] = [[]]
        """By state: those from which it is one step that is no fault."""

    def add(self, step: Step[S], origin: int) -> bool:
        """Whether the state it leads to is a new one."""
        number = self.numbers.setdefault(step.state, len(self.found))
        new = number == len(self.found)
        if new:
            self.found.append((origin, step.label))
            self.before.append([])
        if not step.fault:
            self.before[number].append(origin)
        return new

    def path(self, number: int) -> list[str]:
        labels = []
        while number:
            number, label = self.found[number]
            labels.append(label)
        return labels[::-1]


def explore(model: Model[S], *, limit: int = 3_000_000) -> Findings:
    """Visit all states, breadth first. Raises RuntimeError beyond `limit` states: a counter is not bounded."""
    graph, queue = _Graph(model.start), deque([(0, model.start)])
    broken: dict[str, list[str]] = {}
    ends: list[int] = []
    judged: list[int] = []
    while queue:
        number, state = queue.popleft()
        if law := model.broken_law(state):
            if law not in broken:
                broken[law] = graph.path(number)
            judged.append(number)  # whether it converges is no question any more
            continue
        if model.is_end(state):
            ends.append(number)
        for step in model.steps(state):
            if graph.add(step, number):
                queue.append((len(graph.found) - 1, step.state))
        if len(graph.found) > limit:
            raise RuntimeError(f"more than {limit} states: {' > '.join(graph.path(number)[-20:])}")
    return Findings(len(graph.found), broken, _first_stuck(graph, [*ends, *judged]), len(ends))


def _first_stuck(graph: _Graph[S], ends: list[int]) -> list[str] | None:
    converging = bytearray(len(graph.found))
    queue = deque(ends)
    for number in ends:
        converging[number] = True
    while queue:
        for earlier in graph.before[queue.popleft()]:
            if not converging[earlier]:
                converging[earlier] = True
                queue.append(earlier)
    first = converging.find(0)
    return None if first < 0 else graph.path(first)
