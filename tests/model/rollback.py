"""Rolled back against done: the finalizer, a reaper and a late success compete for one item in stage deploy.

Two processes look at the item in `deploy`, each through what it read of the deploy Job. F sees a success and says
`done`, whose effect is the announcement; R sees a failure, or no end in time, and rolls back. Each may die after every
step, and whoever finds a claim finishes what it claims. The deploy Job may end well after R has looked.

| step | code |
|---|---|
| F claims | `effect_jobs` on a Job that passed: stage `done` and the end of the intent are one write |
| F announces | `engine.indicate`: the ticket's state, set from the stage on record; repeating it changes nothing |
| R claims | `rolling_back`: the rollback's intent takes the deploy intent's place in one write |
| R rolls back | the rollback Job, by the name its intent records |
| R records | the rollback Job's end: the intent goes, and development begins again or the item waits |
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.model.search import Model, Step


@dataclass(frozen=True)
class Way:
    claims: bool = True
    """The write comes before the effect. Off: after it."""
    versioned: bool = True
    """Writes name the version that was read. Off: blind."""
    reads_end: bool = True
    """R rolls back only a Job that has ended badly. Off: also one that is late, whatever it comes to."""


class Actor(NamedTuple):
    at: str = "rest"
    """rest, or the step it takes next: write, effect."""
    role: str = ""
    """F or R, as it decided."""
    stage: str = ""
    """The stage as it read it."""
    fresh: bool = True


class State(NamedTuple):
    actors: tuple[Actor, ...]
    stage: str = "deploy"
    """deploy, claimed (a rollback's intent), rolled back, done."""
    job: str = "active"
    """active, passed, failed."""
    announced: bool = False
    rolled_back: int = 0
    crashes: int = 1
    lost_effect: bool = False
    """An effect of one whose write was lost."""


def model(way: Way, *, actors: int = 2, crashes: int = 1) -> Model[State]:
    def steps(state: State) -> Iterator[Step[State]]:
        for i in range(len(state.actors)):
            for label, following in _act(state, i, way):
                yield Step(f"{'abc'[i]} {label}", following)
            if state.crashes and state.actors[i].at != "rest":
                dead = _with(state._replace(crashes=state.crashes - 1), i, Actor())
                yield Step(f"{'abc'[i]} dies", dead, fault=True)
        if state.job == "active":
            yield Step("the Job passes", state._replace(job="passed"))
            yield Step("the Job fails", state._replace(job="failed"))

    return Model(State((Actor(),) * actors, crashes=crashes), steps, _broken_law, _is_end)


def _act(state: State, i: int, way: Way) -> Iterator[tuple[str, State]]:
    me = state.actors[i]
    if me.at == "rest":
        for role, at in _decide(state, way):
            yield f"reads {state.stage}, {state.job}: {role}", _with(state, i, Actor(at, role, state.stage))
    elif me.at == "effect":
        done = _effect(state, me)
        to_write = not way.claims or me.stage == "claimed"
        yield (
            "announces" if me.role == "F" else "rolls back",
            _with(done, i, me._replace(at="write") if to_write else Actor()),
        )
    elif me.fresh or not way.versioned:
        yield from _write(state, i, way)
    else:
        lost = not way.claims
        yield "lost", _with(state._replace(lost_effect=state.lost_effect or lost), i, Actor())


def _decide(state: State, way: Way) -> Iterator[tuple[str, str]]:
    """Which roles the state calls for, and with which step each begins."""
    first = "write" if way.claims else "effect"
    if state.stage == "deploy":
        if state.job == "passed":
            yield "F", first
        if state.job == "failed" or (state.job == "active" and not way.reads_end):
            yield "R", first
    elif state.stage == "claimed":
        yield "R", "effect"
    elif state.stage == "done" and not state.announced:
        yield "F", "effect"


def _write(state: State, i: int, way: Way) -> Iterator[tuple[str, State]]:
    me = state.actors[i]
    if me.role == "F":
        new, following = "done", Actor("effect", "F", "done") if way.claims else Actor()
    elif me.stage == "deploy" and way.claims:
        new, following = "claimed", Actor("effect", "R", "claimed")
    else:
        new, following = "rolled back", Actor()
    actors = tuple(actor._replace(fresh=False) for actor in state.actors)
    yield f"writes {new}", _with(state._replace(stage=new, actors=actors), i, following)


def _effect(state: State, me: Actor) -> State:
    if me.role == "F":
        return state._replace(announced=True)
    return state._replace(rolled_back=1)  # the rollback Job's name is its intent's: there is one of it


def _broken_law(state: State) -> str:
    if state.announced and state.rolled_back:
        return "rolled back and done exclude each other"
    if (state.stage == "done" and state.rolled_back) or (state.stage == "rolled back" and state.announced):
        return "the stage says what happened"
    return "a lost race has no effect" if state.lost_effect else ""


def _is_end(state: State) -> bool:
    return (state.stage, state.announced, state.rolled_back) in {("done", True, 0), ("rolled back", False, 1)}


def _with(state: State, i: int, actor: Actor) -> State:
    return state._replace(actors=(*state.actors[:i], actor, *state.actors[i + 1 :]))
