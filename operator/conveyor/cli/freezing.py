"""`freeze` and `unfreeze`: a Repository's annotations, which are Git's where Git keeps it, and the verb for the rest.

A freeze that a deploy caused stands in `status.freezes` and is cleared by the verb, by its id. What holds then is
computed here with the operator's own function, and waited for in `status.effectiveFreeze`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from conveyor.api.annotations import FREEZE, FREEZE_SCOPE, FREEZE_UNTIL, REQUEST_PREFIX, Verb
from conveyor.api.fields import rfc3339
from conveyor.api.objects import Repository
from conveyor.api.repository import EffectiveFreeze
from conveyor.cli.api import Api, JSONObject, read_repository
from conveyor.cli.asking import OK, REFUSED, UNANSWERED, Outcome, Patience, answered, echo, new_id, request, wait_for
from conveyor.cli.text import clean
from conveyor.pipeline.freezes import standing
from conveyor.pipeline.lane import effective_freeze

ANNOTATION = "annotation"
"""How the freeze in the annotation is named, beside the ids of automatic ones."""


@dataclass(frozen=True, slots=True)
class Place:
    """A Repository, and how long to wait for its answer."""

    api: Api
    namespace: str
    name: str
    now: Callable[[], datetime]
    patience: Patience

    async def read(self) -> JSONObject:
        return await self.api.repository(self.namespace, self.name)

    async def annotate(self, values: dict[str, str | None]) -> JSONObject:
        patch: JSONObject = {"metadata": {"annotations": values}}
        return await self.api.patch_repository(self.namespace, self.name, patch)


async def freeze(place: Place, reason: str, *, scope: str, until: datetime | None) -> Outcome:
    """Raises `conveyor.web.errors`."""
    who = f"freeze {place.name}"
    before = read_repository(await place.read())
    values: dict[str, str | None] = {
        FREEZE: clean(reason),
        FREEZE_SCOPE: scope if scope != "admission" else None,
        FREEZE_UNTIL: rfc3339(until) if until is not None else None,
    }
    after = await place.annotate(values)
    old = before.metadata.annotations.get(FREEZE) if before is not None else None
    replaced = f"it replaces the freeze {clean(old)!r}; " if old is not None else ""
    return await _in_force(place, who, after, note=f"{replaced}{_warning('takes the annotation away again')}")


async def unfreeze(place: Place, which: str, reason: str) -> Outcome:
    """Raises TooLong, and `conveyor.web.errors`."""
    who = f"unfreeze {place.name}"
    repository = read_repository(await place.read())
    if repository is None:
        return Outcome(REFUSED, f"{who}: the Repository cannot be read by this version")
    there = [freeze.id for freeze in standing(repository.status.freezes)]
    there += [ANNOTATION] if FREEZE in repository.metadata.annotations else []
    if not there:
        return Outcome(REFUSED, f"{who}: it is not frozen")
    if not which and len(there) > 1:
        return Outcome(REFUSED, f"{who}: say which: {', '.join(there)}, or all for those that deploys caused")
    which = which or there[0]
    if which != ANNOTATION:
        return await _ask(place, who, f"{which} {reason}")
    if ANNOTATION not in there:
        return Outcome(REFUSED, f"{who}: it has no annotation {FREEZE}; there stand {', '.join(there)}")
    after = await place.annotate({FREEZE: None, FREEZE_UNTIL: None, FREEZE_SCOPE: None})
    return await _in_force(place, who, after, note=_warning("sets the annotation again"))


def _warning(does: str) -> str:
    return f"if Git keeps this Repository, its next sync {does}: change it there"


async def _ask(place: Place, who: str, text: str) -> Outcome:
    identity = new_id()
    value = request(identity, by=await place.api.user(), text=text)
    after = await place.annotate({REQUEST_PREFIX + Verb.UNFREEZE.value: value})

    def judge(obj: JSONObject) -> Outcome | None:
        result = echo(obj, Verb.UNFREEZE.value, identity)
        if result is None:
            return None
        left = _freeze_in(obj, place.now()) if result == "Accepted" else None
        still = f"; still frozen: {_said(left)}" if left is not None else ""
        found = answered(who, result)
        return Outcome(found.code, f"{found.text}{still}")

    return await _waited(place, who, judge, after)


async def _in_force(place: Place, who: str, after: JSONObject, *, note: str) -> Outcome:
    """Waits until the operator has seen what the annotations say now."""

    def judge(obj: JSONObject) -> Outcome | None:
        repository, wanted = read_repository(obj), _freeze_in(obj, place.now())
        if repository is None or _mark(repository.status.effective_freeze) != _mark(wanted):
            return None
        return Outcome(OK, f"{who}: {_said(wanted) if wanted is not None else 'not frozen'}", note)

    found = await _waited(place, who, judge, after)
    return found if found.code == OK and found.note else Outcome(found.code, found.text, note)


async def _waited(place: Place, who: str, judge: Callable[[JSONObject], Outcome | None], after: JSONObject) -> Outcome:
    found, _ = await wait_for(judge, place.read, first=after, patience=place.patience)
    if found is None and place.patience.seconds <= 0:
        return Outcome(OK, f"{who}: asked for")
    late = f"asked for, but not answered within {place.patience.seconds:g} s: is the operator running?"
    return found or Outcome(UNANSWERED, f"{who}: {late}")


def _freeze_in(obj: JSONObject, now: datetime) -> EffectiveFreeze | None:
    """What holds by what is stored, whether or not the operator has said so yet."""
    repository = read_repository(obj)
    return _computed(repository, now) if repository is not None else None


def _computed(repository: Repository, now: datetime) -> EffectiveFreeze | None:
    return effective_freeze(repository.metadata.annotations, repository.status, now=now)


def _mark(freeze: EffectiveFreeze | None) -> tuple[object, ...]:
    """What of a freeze has to be the same to be the same."""
    return (freeze.source, freeze.scope, freeze.reason, freeze.until_time) if freeze is not None else ()


def _said(freeze: EffectiveFreeze) -> str:
    what = "nothing new starts" if freeze.scope == "admission" else "nothing new starts or is merged"
    until = f" until {rfc3339(freeze.until_time)}" if freeze.until_time is not None else ""
    by = "the annotation" if freeze.source == "Annotation" else "a deploy"
    return f"frozen by {by}{until}, {what}: {clean(freeze.reason)}"
