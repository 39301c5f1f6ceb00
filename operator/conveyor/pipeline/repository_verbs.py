"""What people ask of a Repository by annotation: each request is carried out once, or refused with a reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from conveyor.api.annotations import FREEZE, Request, Verb, requests
from conveyor.api.objects import Repository
from conveyor.api.repository import RepositoryStatus
from conveyor.api.workitem import HandledRequest
from conveyor.pipeline.actions import Note
from conveyor.pipeline.freezes import cleared, standing

SOMEBODY = "somebody"
AFTER_LOOKING = frozenset({Verb.REFRESH})
"""What is answered once forge and tracker were read for it; the others do not depend on them."""


@dataclass(frozen=True, slots=True)
class Answered:
    status: RepositoryStatus
    """With the echo of what was answered."""
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class _Refused:
    why: str


Answer = Answered | _Refused


def answered(repository: Repository, now: datetime, *, looked: bool) -> Answered:
    """All requests that were not answered yet; `looked`: forge and tracker were read since they were made."""
    found = Answered(repository.status)
    for request in requests(repository.metadata.annotations):
        done = {entry.verb: entry.id for entry in found.status.handled_requests}
        if done.get(request.verb.value) == request.id or (request.verb in AFTER_LOOKING and not looked):
            continue
        answer = VERBS.get(request.verb, _nothing_here)(repository, found.status, request, now)
        found = _echoed(found, request, answer, now=now)
    return found


def _echoed(before: Answered, request: Request, answer: Answer, *, now: datetime) -> Answered:
    said = f"{request.verb.value} {request.id}"
    if isinstance(answer, _Refused):
        note = Note("RequestRefused", f"{said}: {answer.why}", warning=True)
        return _with_echo(Answered(before.status, (*before.notes, note)), request, f"Refused: {answer.why}", now=now)
    note = Note("RequestAccepted", f"{said} by {request.by or SOMEBODY}")
    return _with_echo(Answered(answer.status, (*before.notes, note, *answer.notes)), request, "Accepted", now=now)


def _with_echo(found: Answered, request: Request, result: str, *, now: datetime) -> Answered:
    rest = [entry for entry in found.status.handled_requests if entry.verb != request.verb.value]
    echo = HandledRequest(verb=request.verb.value, id=request.id, result=result[:256], time=now)
    entries = tuple(sorted([*rest, echo], key=lambda entry: entry.verb))
    return Answered(found.status.model_copy(update={"handled_requests": entries}), found.notes)


def _refresh(_: Repository, status: RepositoryStatus, __: Request, ___: datetime) -> Answer:
    return Answered(status)


def _unfreeze(repository: Repository, status: RepositoryStatus, request: Request, now: datetime) -> Answer:
    """The first word names a freeze by its id, or all; the rest is the reason, for the record."""
    which, _, reason = request.text.partition(" ")
    by = request.by or SOMEBODY
    freezes, ended = cleared(status.freezes, which, by=by, now=now)
    if not ended:
        return _Refused(_none_such(repository, status, which))
    because = f": {reason.strip()}" if reason.strip() else ""
    notes = tuple(
        Note("Unfrozen", f"freeze {freeze.id} ({freeze.reason}) cleared by {by}{because}") for freeze in ended
    )
    return Answered(status.model_copy(update={"freezes": freezes}), notes=notes)


def _none_such(repository: Repository, status: RepositoryStatus, which: str) -> str:
    ids = [freeze.id for freeze in standing(status.freezes)]
    if ids and not which:
        return f"say which: all, or one of {', '.join(ids)}"
    found = f"; there stand {', '.join(ids)}" if ids else ""
    by_hand = f"; annotation {FREEZE} ends where it was set" if FREEZE in repository.metadata.annotations else ""
    return f"no automatic freeze{f' {which[:64]}' if which != 'all' else ''} stands{found}{by_hand}"


def _nothing_here(_: Repository, __: RepositoryStatus, request: Request, ___: datetime) -> Answer:
    return _Refused(f"{request.verb.value} means nothing for a Repository")


VERBS: Mapping[Verb, Callable[[Repository, RepositoryStatus, Request, datetime], Answer]] = {
    Verb.REFRESH: _refresh,
    Verb.UNFREEZE: _unfreeze,
}
