"""The coverage mark of a Repository: two items raise it, in any order, with writes that arrive late.

| step | code |
|---|---|
| reads | `engine.amend.apply_amend`: the Repository itself, in the pass that writes |
| writes | `pipeline.amending.amended`: only upwards; on that very version |
| reads back | the next pass, from the Repository: its mark is there, or a higher one |
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.model.search import Model, Step

FIGURES = (81, 85)
"""What the items measured."""


@dataclass(frozen=True)
class Way:
    versioned: bool = True
    upwards: bool = True
    """The mark is compared before it is written. Off: the last one wins."""


class Write(NamedTuple):
    figure: int
    fresh: bool


class State(NamedTuple):
    mark: int = 80
    highest: int = 80
    reading: tuple[Write | None, ...] = (None, None)
    """What each item is about to write."""
    flight: tuple[Write, ...] = ()
    late: int = 2
    recorded: tuple[bool, ...] = (False, False)


def model(way: Way) -> Model[State]:
    def steps(state: State) -> Iterator[Step[State]]:
        for i, figure in enumerate(FIGURES):
            yield from _item(state, i, figure, way)
        for number, write in enumerate(state.flight):
            left = state._replace(flight=(*state.flight[:number], *state.flight[number + 1 :]))
            yield Step(f"a late {write.figure} arrives", _stored(left, write, way))

    return Model(State(), steps, _broken_law, lambda state: all(state.recorded) and not state.flight)


def _item(state: State, i: int, figure: int, way: Way) -> Iterator[Step[State]]:
    if state.recorded[i]:
        return
    write = state.reading[i]
    if write is not None:
        idle = state._replace(reading=_put(state.reading, i, None))
        yield Step(f"{'ab'[i]} writes {figure}", _stored(idle, write, way))
        if state.late:
            yield Step(
                f"{'ab'[i]} gives up its write", idle._replace(flight=(*idle.flight, write), late=state.late - 1), True
            )
    elif state.mark >= figure if way.upwards else state.mark == figure:
        yield Step(f"{'ab'[i]} reads it back", state._replace(recorded=_put(state.recorded, i, True)))
    else:
        yield Step(f"{'ab'[i]} reads {state.mark}", state._replace(reading=_put(state.reading, i, Write(figure, True))))


def _stored(state: State, write: Write, way: Way) -> State:
    if way.versioned and not write.fresh:
        return state
    reading = tuple(other and other._replace(fresh=False) for other in state.reading)
    flight = tuple(other._replace(fresh=False) for other in state.flight)
    return state._replace(mark=write.figure, highest=max(state.highest, write.figure), reading=reading, flight=flight)


def _broken_law(state: State) -> str:
    return "the mark never goes down" if state.mark < state.highest else ""


def _put(values: tuple, at: int, value: object) -> tuple:  # type: ignore[type-arg]
    return (*values[:at], value, *values[at + 1 :])
