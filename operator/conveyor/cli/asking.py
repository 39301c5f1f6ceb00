"""Asking the operator for something once: the request's text, and how its answer is waited for."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from conveyor.api.annotations import MAX_REQUEST_LENGTH
from conveyor.cli.api import JSONObject
from conveyor.cli.text import clean

POLL_SECONDS = 0.25
MAX_USER = 128
OK, REFUSED, UNANSWERED = 0, 1, 4


class TooLong(Exception):
    """The text does not fit into a request."""


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
    note: str = ""
    """For standard error, whatever the code."""


def new_id() -> str:
    return secrets.token_hex(4)


def request(identity: str, *, by: str, text: str) -> str:
    """An annotation's value. A user is always named, so that no text can name another. Raises TooLong."""
    user = "".join(clean(by).split())[:MAX_USER] or "unknown"
    value = f"{identity} by={user} {clean(text)}".rstrip()
    if len(value) > MAX_REQUEST_LENGTH:
        over = len(value) - MAX_REQUEST_LENGTH
        raise TooLong(f"the reason is {over} characters too long: {MAX_REQUEST_LENGTH} are allowed in all")
    return value


def echo(obj: JSONObject, verb: str, identity: str) -> str | None:
    """What the operator answered to a request; None where it has not."""
    status = obj.get("status")
    handled = status.get("handledRequests") if isinstance(status, dict) else None
    for entry in handled if isinstance(handled, list) else []:
        if (entry.get("verb"), entry.get("id")) == (verb, identity):
            return str(entry.get("result", ""))
    return None


def answered(who: str, result: str) -> Outcome:
    """`who`: the verb and the name it was said of."""
    return Outcome(OK if result == "Accepted" else REFUSED, f"{who}: {clean(result)}")


async def wait_for(
    judge: Callable[[JSONObject], Outcome | None],
    read: Callable[[], Awaitable[JSONObject]],
    *,
    first: JSONObject,
    patience: Patience,
) -> tuple[Outcome | None, JSONObject]:
    """The answer, None where it did not come in time, and the object as last read."""
    end, obj = patience.clock() + patience.seconds, first
    while True:
        found = judge(obj)
        if found is not None or patience.clock() >= end:
            return found, obj
        await patience.sleep(POLL_SECONDS)
        obj = await read()
