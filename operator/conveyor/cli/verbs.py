"""What a person asks for: a request in an annotation, or a field of spec, written with that person's own rights.

The operator answers a request in `status.handledRequests`, under the same id.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from conveyor.api.annotations import MAX_REQUEST_LENGTH, REQUEST_PREFIX, Verb
from conveyor.api.objects import WorkItem
from conveyor.api.stages import Stage
from conveyor.cli.api import Api, JSONObject, Unreadable, read_item
from conveyor.cli.text import clean

POLL_SECONDS = 0.25
MAX_USER = 128
OK, REFUSED, UNANSWERED = 0, 1, 4


class TooLong(Exception):
    """The text does not fit into a request."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One verb: what it writes, and what it says when nobody has to answer."""

    verb: Verb | None = None
    spec: Mapping[str, bool] = field(default_factory=dict)
    done: str = ""


ASKS: Mapping[str, Ask] = {
    "approve": Ask(Verb.APPROVE),
    "reject": Ask(Verb.REJECT),
    "resume": Ask(Verb.RESUME, spec={"suspend": False}, done="no longer held"),
    "retry": Ask(Verb.RETRY),
    "rework": Ask(Verb.REWORK),
    "refresh": Ask(Verb.REFRESH),
    "hold": Ask(spec={"suspend": True}, done="held"),
    "cancel": Ask(spec={"cancel": True}),
}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for an answer, in seconds; the clock is monotonic."""

    seconds: float
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Outcome:
    code: int
    text: str


async def ask(api: Api, namespace: str, name: str, *, verb: str, reason: str = "", patience: Patience) -> Outcome:
    """Write it, and wait for the answer. Raises TooLong, and `conveyor.web.errors`."""
    wanted = ASKS[verb]
    before = read_item(await api.workitem(namespace, name))
    spec = _changed_spec(wanted, before)
    identity = secrets.token_hex(4) if _has_to_be_asked(wanted, before, spec) else ""
    patch: JSONObject = {"spec": spec} if spec else {}
    if wanted.verb is not None and identity:
        value = request(identity, by=await api.user(), text=reason)
        patch["metadata"] = {"annotations": {REQUEST_PREFIX + wanted.verb.value: value}}
    after = await api.patch(namespace, name, patch) if patch else None
    if not identity and verb != "cancel":
        return Outcome(OK, f"{verb} {name}: {wanted.done}")
    seen = _Watch(verb=verb, request=wanted.verb, identity=identity)
    return await _answer(api, namespace, name, first=after, watch=seen, patience=patience)


def request(identity: str, *, by: str, text: str) -> str:
    """An annotation's value. A user is always named, so that no text can name another. Raises TooLong."""
    user = "".join(clean(by).split())[:MAX_USER] or "unknown"
    value = f"{identity} by={user} {clean(text)}".rstrip()
    if len(value) > MAX_REQUEST_LENGTH:
        over = len(value) - MAX_REQUEST_LENGTH
        raise TooLong(f"the reason is {over} characters too long: {MAX_REQUEST_LENGTH} are allowed in all")
    return value


def _changed_spec(wanted: Ask, before: WorkItem | Unreadable) -> dict[str, bool]:
    """Nothing is written that is so already: a change of spec makes everybody look again."""
    if isinstance(before, Unreadable):
        return dict(wanted.spec)
    now = {"suspend": before.spec.suspend, "cancel": before.spec.cancel}
    return {name: value for name, value in wanted.spec.items() if now[name] != value}


def _has_to_be_asked(wanted: Ask, before: WorkItem | Unreadable, spec: Mapping[str, bool]) -> bool:
    """Resuming a held item that nothing else holds is no request: it would be refused."""
    if wanted.verb != Verb.RESUME or not spec or isinstance(before, Unreadable):
        return wanted.verb is not None
    last = before.status.last_run
    return before.status.stalled is not None or (last is not None and bool(last.question))


@dataclass(frozen=True, slots=True)
class _Watch:
    """What counts as the answer."""

    verb: str
    request: Verb | None
    identity: str

    def outcome(self, obj: JSONObject) -> Outcome | None:
        item = read_item(obj)
        if isinstance(item, Unreadable):
            return Outcome(
                UNANSWERED, f"{self.verb} {item.name}: stored, but the answer cannot be read: {item.problem}"
            )
        if self.request is None:
            cancelled = item.status.stage == Stage.CANCELLED
            return Outcome(OK, f"{self.verb} {item.name}: cancelled") if cancelled else self._ended(item)
        for handled in item.status.handled_requests:
            if (handled.verb, handled.id) == (self.request.value, self.identity):
                code = OK if handled.result == "Accepted" else REFUSED
                return Outcome(code, f"{self.verb} {item.name}: {clean(handled.result)}")
        return None

    def _ended(self, item: WorkItem) -> Outcome | None:
        if item.status.stage != Stage.DONE:
            return None
        return Outcome(REFUSED, f"{self.verb} {item.name}: Refused: the item is done")


async def _answer(
    api: Api, namespace: str, name: str, *, first: JSONObject | None, watch: _Watch, patience: Patience
) -> Outcome:
    end = patience.clock() + patience.seconds
    obj = first if first is not None else await api.workitem(namespace, name)
    while True:
        found = watch.outcome(obj)
        if found is not None:
            return found
        if patience.seconds <= 0:
            return Outcome(OK, f"{watch.verb} {name}: asked for")
        if patience.clock() >= end:
            return Outcome(UNANSWERED, f"{watch.verb} {name}: {_no_answer(obj, patience.seconds)}")
        await patience.sleep(POLL_SECONDS)
        obj = await api.workitem(namespace, name)


def _no_answer(obj: JSONObject, seconds: float) -> str:
    item = read_item(obj)
    waiting = item.status.waiting if isinstance(item, WorkItem) else None
    state = f" (it waits: {clean(waiting.message)})" if waiting is not None else ""
    return f"asked for, but not answered within {seconds:g} s{state}: is the operator running?"
