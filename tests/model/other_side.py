"""The other side: what it does with a request, and what reading it shows. A merge for forges, a Job for clusters."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.search import Step
from tests.model.states import Kind, Protocol, Request, State

MAX_MADE = 2


def requests_arrive(state: State, protocol: Protocol) -> Iterator[Step[State]]:
    """A request is carried out, refused or lost at any moment after it was sent, in any order."""
    for request in set(state.flight):
        rest = list(state.flight)
        rest.remove(request)
        left = state._replace(flight=tuple(rest))
        landed = (
            land_merge(left, request, protocol) if protocol.kind is Kind.MERGE else land_job(left, request, protocol)
        )
        yield Step(f"request {request.intent} arrives", landed)
        yield Step(f"request {request.intent} is lost", left)


def land_merge(state: State, request: Request, protocol: Protocol) -> State:
    """`forge.gitea.merge`: fast-forward-only with `head_commit_id`. The pull request of another head is closed."""
    other = state.other
    if protocol.refusal and (request.base != other.base or other.landed >= 0):
        return state
    moved = other._replace(base=other.base + 1, landed=request.base, applied=_more(other.applied, request.intent))
    return unrecorded(state._replace(other=moved), request)


def land_job(state: State, request: Request, protocol: Protocol) -> State:
    """`cluster.client.create_job`: suspended, and refused where the name is taken. `start_job` for one with a uid."""
    other, number = state.other, request.intent
    if request.uid:
        return _start_job(state, request)
    if (protocol.refusal and other.jobs[number]) or other.made[number] == MAX_MADE:
        return state
    if protocol.started_by_uid:
        return state._replace(
            other=other._replace(jobs=put(other.jobs, number, "suspended"), made=_more(other.made, number))
        )
    made = other._replace(
        jobs=put(other.jobs, number, "active"), made=_more(other.made, number), applied=_more(other.applied, number)
    )
    return unrecorded(state._replace(other=made), request)


def _start_job(state: State, request: Request) -> State:
    """A patch with the uid as its precondition: another Job of that name is refused, and one at work stays so."""
    other, number = state.other, request.intent
    if other.jobs[number] != "suspended" or other.made[number] != request.uid:
        return state
    started = other._replace(jobs=put(other.jobs, number, "active"), applied=_more(other.applied, number))
    return unrecorded(state._replace(other=started), request)


def unrecorded(state: State, request: Request) -> State:
    """An effect of an intent that never was on record: a lost race that had one."""
    return state if request.intent <= state.item.runs else state._replace(broken="recorded first")


def jobs_end(state: State) -> Iterator[Step[State]]:
    """The pod of a Job comes to its end, also of one that a person deletes: the finalizer keeps it (`cluster.jobs`)."""
    for number, job in enumerate(state.other.jobs):
        if job == "active":
            ended = state.other._replace(jobs=put(state.other.jobs, number, "ended"))
            yield Step(f"job {number} ends", state._replace(other=ended))


def names_expire(state: State) -> Iterator[Step[State]]:
    """A Job that was let go is removed an hour later (`runs.JOB_SECONDS`): nothing is taken to be so late."""
    for number, job in enumerate(state.other.jobs):
        if job != "let go":
            continue
        freed = state._replace(other=state.other._replace(jobs=put(state.other.jobs, number, "")))
        if not _may_still_come(state, number):
            yield Step(f"job {number} is removed", freed)
        elif state.left.overslept:
            left = state.left._replace(overslept=state.left.overslept - 1)
            yield Step(f"an hour passes, job {number} is removed", freed._replace(left=left), fault=True)


def _may_still_come(state: State, number: int) -> bool:
    about_to = any(actor.at in ("looked", "sending") and actor.seen.intent == number for actor in state.actors)
    return about_to or any(request.intent == number for request in state.flight)


def put(values: tuple[str, ...], at: int, value: str) -> tuple[str, ...]:
    return (*values[:at], value, *values[at + 1 :])


def _more(values: tuple[int, ...], at: int) -> tuple[int, ...]:
    return (*values[:at], values[at] + 1, *values[at + 1 :])
