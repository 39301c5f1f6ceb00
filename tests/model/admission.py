"""Admission to a serial lane: two items, a process for each with a cache of its own, a freeze, and deaths in between.

| step | code |
|---|---|
| reads the Repository | `engine.admission.admit`: itself, and not the cache |
| is it frozen or taken | `_open_for`, `_ask_after_the_active`: whoever it names keeps it until he is terminal or gone |
| takes the lane | `status.activeItem`, on that very version |
| begins | the item's own intent (`ItemReconciler._admit`), by a write of its own |
| ends | the item is terminal; nothing is written for it, the next admission sees it |
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.model.search import Model, Step


@dataclass(frozen=True)
class Way:
    versioned: bool = True
    """The lane is taken on the version that was read. Off: blind."""
    live_holder: bool = True
    """A holder that the cache does not know is asked for. Off: it counts as gone."""
    live_freeze: bool = True
    """The freeze is read from the Repository itself. Off: from the cache, which may be old."""


class Actor(NamedTuple):
    at: str = "rest"
    """rest, read, won."""
    fresh: bool = True
    """Whether the Repository is still as it was read."""
    knows: bool = False
    """Whether its cache knows the other item."""


class State(NamedTuple):
    stages: tuple[str, ...] = ("created", "created")
    """By item: created, under way, ended."""
    active: int = -1
    frozen: bool = False
    freezes: int = 1
    crashes: int = 1
    actors: tuple[Actor, ...] = (Actor(), Actor())
    broken: str = ""


def model(way: Way) -> Model[State]:
    def steps(state: State) -> Iterator[Step[State]]:
        for i in range(2):
            yield from _act(state, i, way)
            if state.crashes and state.actors[i].at != "rest":
                dead = _with(state._replace(crashes=state.crashes - 1), i, at="rest")
                yield Step(f"{'ab'[i]} dies", dead, fault=True)
            if not state.actors[i].knows:
                yield Step(f"the watch of {'ab'[i]} catches up", _with(state, i, knows=True))
            if state.stages[i] == "under way":
                yield Step(f"{'ab'[i]} ends", state._replace(stages=_put(state.stages, i, "ended")))
        if state.freezes and not state.frozen:
            yield Step("freeze", _written(state._replace(frozen=True, freezes=0)), fault=True)
        if state.frozen:
            yield Step("thaw", _written(state._replace(frozen=False)))

    return Model(State(), steps, _broken_law, lambda state: state.stages == ("ended", "ended"))


def _act(state: State, i: int, way: Way) -> Iterator[Step[State]]:
    me, name = state.actors[i], "ab"[i]
    if state.stages[i] != "created":
        return
    if me.at == "rest":
        if _is_open(state, i, way):
            yield Step(f"{name} reads the Repository", _with(state, i, at="read", fresh=True))
    elif me.at == "read":
        if me.fresh or not way.versioned:
            frozen = "nothing is admitted after a freeze" if state.frozen else ""
            won = _with(_written(state)._replace(active=i, broken=frozen), i, at="won", fresh=True)
            yield Step(f"{name} takes the lane", won)
        else:
            yield Step(f"{name} lost", _with(state, i, at="rest"))
    else:
        yield Step(f"{name} begins", _with(state._replace(stages=_put(state.stages, i, "under way")), i, at="rest"))


def _is_open(state: State, i: int, way: Way) -> bool:
    """The other item holds the lane if it is named there and not terminal, or is known to be under way."""
    other = 1 - i
    known = state.actors[i].knows
    named = state.active == other and state.stages[other] != "ended" and (known or way.live_holder)
    under_way = known and state.stages[other] == "under way"
    frozen = state.frozen and way.live_freeze
    return not (named or under_way or frozen)


def _written(state: State) -> State:
    """Every write to the Repository is a new version for everybody."""
    return state._replace(actors=tuple(actor._replace(fresh=False) for actor in state.actors))


def _broken_law(state: State) -> str:
    both = state.stages == ("under way", "under way")
    return "one item of a serial lane is under way" if both else state.broken


def _with(state: State, i: int, **changes: object) -> State:
    return state._replace(actors=_put(state.actors, i, state.actors[i]._replace(**changes)))  # type: ignore[arg-type]


def _put(values: tuple, at: int, value: object) -> tuple:  # type: ignore[type-arg]
    return (*values[:at], value, *values[at + 1 :])
