"""One transition with one effect, carried by several processes: the protocol as built, step by step.

Each function is one thing that can happen; its docstring names the code that does it. A pass of the real code is the
steps read, own, act (or the last look and the effect), release, between which everything else may happen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.model.deciding import decide, needs_lease, written
from tests.model.other_side import jobs_end, names_expire, put, requests_arrive
from tests.model.search import Model, Step
from tests.model.states import (
    GONE,
    MAX_FLIGHT,
    MAX_INTENTS,
    NOBODY,
    Actor,
    Item,
    Kind,
    Limits,
    Other,
    Protocol,
    Request,
    State,
)

USES_READ = ("intend", "intend with Lease", "apply unrecorded", "record uid")


def model(protocol: Protocol, limits: Limits, *, actors: int = 2) -> Model[State]:
    def steps(state: State) -> Iterator[Step[State]]:
        for index, actor in enumerate(state.actors):
            for step in STEPS[actor.at](state, index, protocol):
                yield Step(f"{'abc'[index]} {step.label}", step.state, step.fault)
            yield from _crash(state, index)
        yield from requests_arrive(state, protocol)
        yield from _writes_arrive(state, protocol)
        yield from _time_passes(state, protocol)
        yield from _people(state, protocol)

    start = State(item=Item(), actors=(Actor(),) * actors, left=limits, other=_nothing())
    return Model(start, steps, broken_law, _is_end)


# --- a pass


def rest(state: State, i: int, protocol: Protocol) -> Iterator[Step[State]]:
    """`ItemReconciler._pass` begins: with the cache as it is, or after its watch has caught up.

    Before that the end of the last pass: `_release`, and `runs.tidy` of Jobs whose result is stored.
    """
    me = state.actors[i]
    if me.held and not _keeps(me.seen):
        yield Step("releases", _release(state, i, protocol))
        return
    yield from _tidy(state, i, protocol)
    if not me.fresh:
        yield from _begin(_with(state, i, seen=state.item, fresh=True, current=True), i, protocol, "reads")
    yield from _begin(state, i, protocol, "reads" if me.fresh else "reads its old cache")


def _begin(state: State, i: int, protocol: Protocol, label: str) -> Iterator[Step[State]]:
    """`observe`: of a merge the base is read before it is asked for the commit (`_ForgeReader.read`)."""
    me = state.actors[i]
    if me.seen.stage == "A" and me.seen.intent and me.seen.owner == i and protocol.kind is Kind.MERGE:
        first = state.other.base if protocol.base_first else state.other.landed
        yield Step(label, _with(state, i, at="read", read=first))
    else:
        seen = state.other.made[me.seen.intent] if me.seen.intent else state.other.base
        yield from _decided(_with(state, i, read=seen), i, protocol, label)


def read(state: State, i: int, protocol: Protocol) -> Iterator[Step[State]]:
    """The second read of a merge, and the decision."""
    yield from _decided(state, i, protocol, "decides")


def _decided(state: State, i: int, protocol: Protocol, label: str) -> Iterator[Step[State]]:
    """`decide`. With nothing to be done the pass ends; the deadline may have passed (`apply_once`)."""
    me = state.actors[i]
    actions = decide(state, i, protocol)
    if not actions:
        yield Step(label, _with(state, i, at="rest", read=-1))
    for action in actions:
        parks = action == "park unread" or (action == "park" and protocol.kind is Kind.MERGE)
        left = state.left._replace(parks=state.left.parks - parks)
        if parks and left.parks < 0:
            continue
        needs = needs_lease(state, me, action, protocol) and not me.held
        kept = me.read if action in USES_READ else -1
        going = _with(state._replace(left=left), i, at="decided" if needs else "acting", action=action, read=kept)
        yield Step(f"{label}: {action}", going, fault=parks)


def decided(state: State, i: int, protocol: Protocol) -> Iterator[Step[State]]:
    """`_owned` and `Leases.take`: free, left by the dead, or by this very process which forgot it; else it waits.

    A holder that lives keeps it, but for a wrong certificate of death, a term that is over, a forced release.
    """
    if state.lease in (NOBODY, GONE, i):
        yield Step("takes the Lease", _with(state._replace(lease=i), i, at="acting", held=True))
        return
    yield Step("waits for the Lease", _with(state, i, at="rest", action="", read=-1))
    if state.left.wrong:
        left = state.left._replace(wrong=state.left.wrong - 1)
        taken = _with(state._replace(lease=i, left=left), i, at="acting", held=True)
        yield Step("takes the Lease from the living", taken, fault=True)


def acting(state: State, i: int, protocol: Protocol) -> Iterator[Step[State]]:
    """`_act`: the last look of an effect, or one conditional write of the status (`_settle`)."""
    me = state.actors[i]
    if me.action in ("apply", "apply unrecorded"):
        yield from _look_at_lease(state, i, protocol)
        return
    new = written(me, i)
    if me.fresh or not protocol.versioned:
        yield Step(f"writes: {me.action}", _stored(state, new, i, protocol))
        if state.left.late and protocol.versioned:
            left = state.left._replace(late=state.left.late - 1)
            gave_up = _looked_anew(state, i)
            late = gave_up._replace(left=left, writes=(*state.writes, new))
            yield Step(f"gives up its write: {me.action}", late, fault=True)
    else:
        # `Lost`: `_look_anew`, and never the same again.
        lost = _looked_anew(state, i)
        effect_was_sent = me.action == "result at once"
        yield Step("lost", lost._replace(broken="a lost race has no effect" if effect_was_sent else ""))


def _look_at_lease(state: State, i: int, protocol: Protocol) -> Iterator[Step[State]]:
    """`effects._still_ours`, first half: `Leases.confirm`."""
    me = state.actors[i]
    if not protocol.last_look or not needs_lease(state, me, me.action, protocol):
        yield from _look_at_intent(state, i, protocol)
    elif state.lease != i:
        yield Step("has lost the Lease", _with(_looked_anew(state, i), i, held=False))
    else:
        yield Step("confirms the Lease", _with(state, i, at="looked"))


def looked(state: State, i: int, protocol: Protocol) -> Iterator[Step[State]]:
    yield from _look_at_intent(state, i, protocol)


def _look_at_intent(state: State, i: int, protocol: Protocol) -> Iterator[Step[State]]:
    """Second half: the item is read, and its intent compared by uid, id, holder and token."""
    me = state.actors[i]
    if protocol.last_look and not me.current:
        yield Step("is superseded", _looked_anew(state, i))
        return
    going = _with(state, i, at="sending")._replace(passed=i)
    recorded = me.action == "apply"
    if recorded and (not me.current or state.passed not in (NOBODY, i)):
        going = going._replace(broken="one sender per token")
    elif recorded and state.item.leased and not needs_lease(state, me, me.action, protocol):
        going = going._replace(broken="the mode is the intent's")
    yield Step("looks a last time", going)


def sending(state: State, i: int, protocol: Protocol) -> Iterator[Step[State]]:
    """`effects._attempt`. Its answer proves nothing and is not kept: the next pass reads."""
    me = state.actors[i]
    if len(state.flight) < MAX_FLIGHT:
        number = me.seen.intent or me.seen.runs + 1
        base = me.seen.base if me.seen.intent else me.read
        started = me.seen.job if protocol.started_by_uid else 0
        flight = tuple(sorted((*state.flight, Request(number, base, started))))
        yield Step("SENDS", _with(state._replace(flight=flight), i, at="rest", action="", read=-1))


def down(state: State, i: int, _: Protocol) -> Iterator[Step[State]]:
    """Another process in its place, by another name: it begins with a listing (`Resync.once`)."""
    yield Step("restarts", _looked_anew(state, i))


STEPS: dict[str, Callable[[State, int, Protocol], Iterator[Step[State]]]] = {
    "rest": rest,
    "read": read,
    "decided": decided,
    "acting": acting,
    "looked": looked,
    "sending": sending,
    "down": down,
}


def _stored(state: State, new: Item, by: int | None, protocol: Protocol) -> State:
    """The API server takes a status: everybody else's version is old, and all writes on their way are."""
    handed_over = (new.intent, new.runs) != (state.item.intent, state.item.runs) or new.owner != state.item.owner
    actors = tuple(
        _at_rest(actor, new) if index == by else actor._replace(fresh=False, current=actor.current and not handed_over)
        for index, actor in enumerate(state.actors)
    )
    # Without adoption a successor goes on under the token of the dead.
    passed = NOBODY if handed_over else state.passed
    back = state.item.stage != "A" and new.stage == "A"
    broken = "the stage never goes back" if back else state.broken
    writes = () if protocol.versioned else state.writes
    return state._replace(item=new, actors=actors, passed=passed, writes=writes, broken=broken)


def _keeps(item: Item) -> bool:
    """`pipeline.leases.kept`: what the next step needs, and the Leases of a parked merge."""
    return bool(item.intent) and item.leased


def _release(state: State, i: int, protocol: Protocol) -> State:
    """`Leases.release`: deleted with uid and resourceVersion as preconditions, so only where it is ours."""
    let_go = _with(state, i, held=False)
    if state.lease == i:
        return let_go._replace(lease=NOBODY)
    if protocol.own_release or state.lease == NOBODY:
        return let_go
    return let_go._replace(lease=NOBODY, broken="nobody gives up another's Lease")


def _tidy(state: State, i: int, protocol: Protocol) -> Iterator[Step[State]]:
    """`runs.untidy` and `runs.tidy`: the finalizer of a Job goes once the item itself no longer names it.

    One that never began is deleted, on the version that was seen.
    """
    item = state.item if protocol.live_tidy else state.actors[i].seen
    for number, job in enumerate(state.other.jobs):
        if job in ("ended", "suspended") and item.intent != number:
            let_go = state.other._replace(jobs=put(state.other.jobs, number, "let go" if job == "ended" else ""))
            yield Step(f"lets job {number} go", state._replace(other=let_go))


# --- everything else that can happen


def _crash(state: State, i: int) -> Iterator[Step[State]]:
    """What it sent goes on; its name stays in Lease and intent, and its successor has another."""
    idle = state.actors[i].at == "rest" and i not in (state.lease, state.item.owner)
    if state.left.crashes and state.actors[i].at != "down" and not idle:
        dead = state._replace(
            left=state.left._replace(crashes=state.left.crashes - 1),
            lease=GONE if state.lease == i else state.lease,
            item=_orphaned(state.item, i),
            writes=tuple(_orphaned(item, i) for item in state.writes),
            passed=GONE if state.passed == i else state.passed,
            actors=tuple(actor._replace(seen=_orphaned(actor.seen, i)) for actor in state.actors),
        )
        yield Step(f"{'abc'[i]} dies", _with(dead, i, **Actor(at="down")._asdict()), fault=True)


def _orphaned(item: Item, i: int) -> Item:
    return item._replace(owner=GONE) if item.owner == i else item


def _writes_arrive(state: State, protocol: Protocol) -> Iterator[Step[State]]:
    """A write that nobody waits for any more: stored if nothing was written since the version it names."""
    for number, new in enumerate(state.writes):
        left = (*state.writes[:number], *state.writes[number + 1 :])
        yield Step("a late write arrives", _stored(state, new, None, protocol))
        yield Step("a late write is lost", state._replace(writes=left))


def _time_passes(state: State, protocol: Protocol) -> Iterator[Step[State]]:
    """Jobs end; names expire; a dead holder's Lease that no item needs is swept away (`renewing.sweep`)."""
    if protocol.kind is Kind.JOB:
        yield from jobs_end(state)
        yield from names_expire(state)
    if state.lease == GONE and not _keeps(state.item):
        yield Step("sweep", state._replace(lease=NOBODY))


def _people(state: State, protocol: Protocol) -> Iterator[Step[State]]:
    left, other = state.left, state.other
    if state.item.phase == "parked" and not state.item.asked:
        yield Step("person resumes", _asked(state, "resume"))
        if state.item.runs < MAX_INTENTS:
            yield Step("person retries", _asked(state, "retry"))
    if left.flips:
        yield Step("switch", state._replace(switch=not state.switch, left=left._replace(flips=left.flips - 1)), True)
    if left.meddles:
        fewer = state._replace(left=left._replace(meddles=left.meddles - 1))
        if state.lease != NOBODY:
            yield Step("person deletes the Lease", fewer._replace(lease=NOBODY), fault=True)
        if protocol.kind is Kind.MERGE:
            yield Step("person pushes", fewer._replace(other=other._replace(base=other.base + 1)), fault=True)
        if protocol.kind is Kind.MERGE and other.landed < 0:
            by_hand = other._replace(base=other.base + 1, landed=other.base)
            yield Step("person merges", fewer._replace(other=by_hand), fault=True)
        if not protocol.held_name:
            yield from _job_removed(fewer)
    if left.forced:
        yield from _job_removed(state._replace(left=left._replace(forced=left.forced - 1)))


def _asked(state: State, verb: str) -> State:
    """An annotation: a new version of the item, and the same intent in the same hands."""
    actors = tuple(actor._replace(fresh=False) for actor in state.actors)
    return state._replace(item=state.item._replace(asked=verb), actors=actors, writes=())


def _job_removed(state: State) -> Iterator[Step[State]]:
    for number, job in enumerate(state.other.jobs):
        if job:
            gone = state.other._replace(jobs=put(state.other.jobs, number, ""))
            yield Step(f"person removes job {number}", state._replace(other=gone), fault=True)


def _looked_anew(state: State, i: int) -> State:
    """`_look_anew`: the item is read from the API server, and the pass is over."""
    return state._replace(actors=(*state.actors[:i], _at_rest(state.actors[i], state.item), *state.actors[i + 1 :]))


def _at_rest(actor: Actor, item: Item) -> Actor:
    return Actor(seen=item, held=actor.held)


def _with(state: State, i: int, **changes: object) -> State:
    actor = state.actors[i]._replace(**changes)  # type: ignore[arg-type]
    return state._replace(actors=(*state.actors[:i], actor, *state.actors[i + 1 :]))


def _nothing() -> Other:
    return Other()


def broken_law(state: State) -> str:
    if max(state.other.applied) > 1:
        return "an intent has its effect once"
    began = [job for job, times in zip(state.other.jobs, state.other.applied, strict=True) if job and times]
    if len(began) > 1:
        return "one Job of an item begins"
    if state.item.stage == "B" and state.other.landed < 0 and not any(state.other.applied):
        return "no result without its effect"
    if state.item.stage == "S" and any(state.other.applied):
        return "what we merged is deployed"
    return state.broken


def _is_end(state: State) -> bool:
    """Nothing is left over: no intent, no Lease, no finalizer, nothing on its way."""
    if state.item.phase == "parked" and state.item.runs == MAX_INTENTS:
        return True  # it waits for a person, visibly
    clean = not state.item.intent and state.lease == NOBODY and not state.flight and not state.writes
    return (
        clean
        and state.item.stage != "A"
        and not any(job in ("suspended", "active", "ended") for job in state.other.jobs)
    )
