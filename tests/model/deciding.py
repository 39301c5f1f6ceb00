"""What a process does next about the item as it has it, and what it then writes: `pipeline.decide` in small.

| what it has | what it does | code |
|---|---|---|
| a person's request | carries it out, or refuses it | `verbs.answer_request`, `resuming.resume`, `retry` |
| `retry` of an intent whose Job is there | goes on with it, as by `resume` | `superseding.effect_is_over` |
| no intent, and the pull request is merged by us | records the result | `pulls._merged_by_us_or_a_person` |
| no intent, and it is merged by another | it is done, by somebody else | `pulls.merged_by_somebody` |
| no intent | records one, on the base just read | `landing._intend`, `effect_jobs`, `intents.intended` |
| an intent of another owner | takes it over, and raises the token | `effects.follow`, `intents.adopted` |
| merge: the base contains the head | records the result | `merging.merge`, `_merged` |
| merge: it does not, and the base has moved | drops the intent: it never will | `merging.merge`, `intents.dropped` |
| merge: neither | sends it, or after the deadline asks a person | `intents.apply_once`, `parked` |
| Job: missing, and no uid is on record | creates it suspended, however late | `effect_jobs._apply`, `_prepared_again` |
| Job: missing, though a uid is on record; or another uid | asks a person | `effect_jobs._followed`, `parked` |
| Job: there, and no uid is on record | records the uid | `effect_jobs._followed` |
| Job: suspended, its uid on record | starts it | `effect_jobs._let_begin`, `_apply` |
| Job: cannot be read until the deadline is past | asks a person | `intents.unread`, `parked` |
| Job: ended, its uid on record | records the result | `effect_jobs.ENDINGS` |
"""

from __future__ import annotations

from collections.abc import Callable

from tests.model.states import MAX_INTENTS, NOBODY, Actor, Item, Kind, Protocol, State


def decide(state: State, i: int, protocol: Protocol) -> list[str]:
    """All actions that may be decided upon; none: the pass writes nothing."""
    me = state.actors[i]
    seen = me.seen
    if seen.stage != "A":
        return []
    if seen.asked:
        return [_answer(state, seen, protocol) if seen.phase == "parked" else "refuse"]
    if not seen.intent:
        return _begin(state, seen, protocol)
    if protocol.adopt and seen.owner != i:
        return ["adopt"]
    if protocol.kind is Kind.MERGE:
        return _merge(state, me, protocol)
    unread = ["park unread"] if state.left.parks and seen.phase != "parked" else []
    return [*_job(state, me), *unread]


def _answer(state: State, seen: Item, protocol: Protocol) -> str:
    job, uid = state.other.jobs[seen.intent], state.other.made[seen.intent]
    kept = protocol.retry_keeps and bool(job) and seen.job in (0, uid)
    return "resume" if kept else seen.asked


def _begin(state: State, seen: Item, protocol: Protocol) -> list[str]:
    if protocol.kind is Kind.MERGE and state.other.landed >= 0:
        ours = protocol.own_login and any(state.other.applied)
        return ["result" if ours else "somebody did it"] if protocol.intent_first else ["result at once"]
    if not protocol.intent_first:
        job = state.other.jobs[1]
        return ["apply unrecorded"] if job == "" else ["result at once"] if job == "ended" else []
    if seen.runs >= MAX_INTENTS:
        return []
    return ["intend with Lease" if state.switch else "intend"]


def _merge(state: State, me: Actor, protocol: Protocol) -> list[str]:
    """Both reads were made in this pass; which came first is the protocol's."""
    base, landed = (me.read, state.other.landed) if protocol.base_first else (state.other.base, me.read)
    seen = me.seen
    if landed == seen.base:
        return ["result"]
    if base != seen.base:
        return ["drop"]
    return [] if seen.phase == "parked" else ["apply", "park"]


def _job(state: State, me: Actor) -> list[str]:
    seen = me.seen
    job, uid = state.other.jobs[seen.intent], state.other.made[seen.intent]
    if not job:
        if seen.job:
            return [] if seen.phase == "parked" else ["park"]
        return ["prepare again"] if seen.phase == "parked" else ["apply"]
    if seen.job not in (0, uid):
        return [] if seen.phase == "parked" else ["park"]
    if not seen.job:
        return ["record uid"]
    if job == "suspended":
        return ["prepare again"] if seen.phase == "parked" else ["apply"]
    return ["result"] if job in ("ended", "let go") else []


def written(me: Actor, i: int) -> Item:
    """The status that an action stores."""
    return WRITTEN[me.action](me.seen, i, me.read)


def _without_intent(seen: Item) -> Item:
    return seen._replace(intent=0, phase="", owner=NOBODY, leased=False, base=0, job=0, asked="")


def _intended(seen: Item, i: int, base: int, *, leased: bool) -> Item:
    number = seen.runs + 1
    return _without_intent(seen)._replace(
        intent=number, runs=number, phase="prepared", owner=i, leased=leased, base=base
    )


WRITTEN: dict[str, Callable[[Item, int, int], Item]] = {
    "intend": lambda seen, i, base: _intended(seen, i, base, leased=False),
    "intend with Lease": lambda seen, i, base: _intended(seen, i, base, leased=True),
    "adopt": lambda seen, i, _: seen._replace(owner=i),
    "result": lambda seen, *_: _without_intent(seen)._replace(stage="B"),
    "result at once": lambda seen, *_: _without_intent(seen)._replace(stage="B"),
    "somebody did it": lambda seen, *_: _without_intent(seen)._replace(stage="S"),
    "drop": lambda seen, *_: _without_intent(seen),
    "park": lambda seen, *_: seen._replace(phase="parked"),
    "park unread": lambda seen, *_: seen._replace(phase="parked"),
    "prepare again": lambda seen, *_: seen._replace(phase="prepared"),
    "record uid": lambda seen, _, uid: seen._replace(job=uid, phase="prepared"),
    "resume": lambda seen, *_: seen._replace(phase="prepared", asked=""),
    "retry": lambda seen, *_: _without_intent(seen),
    "refuse": lambda seen, *_: seen._replace(asked=""),
}
"""By action: the new status, from the one that was read, by whom, with what was read."""


def needs_lease(state: State, me: Actor, action: str, protocol: Protocol) -> bool:
    """`pipeline.leases.needed`: of the intent on record and of the one to be recorded; a parked one needs none."""
    under_way = me.seen.phase == "prepared" or action in ("intend with Lease", "resume", "prepare again")
    if not under_way:
        return False
    if not protocol.recorded_mode:
        return state.switch
    return me.seen.leased or action == "intend with Lease"
