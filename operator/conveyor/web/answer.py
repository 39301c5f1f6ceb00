"""An HTTP answer, and the error that an unwanted one means."""

from __future__ import annotations

import contextlib
import email.utils
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from conveyor.web.errors import (
    Ambiguous,
    BadCredentials,
    Conflict,
    NotFound,
    OutsideError,
    RateLimited,
    Refused,
    Unavailable,
)

T = TypeVar("T")

_PLAIN = {401: BadCredentials, 403: Refused, 404: NotFound, 409: Conflict}
_REASON_CHARACTERS = 200
_DEFAULT_WAIT_SECONDS = 60.0
_LONGEST_WAIT_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str] = field(repr=False)
    """Names in lower case."""
    body: bytes = field(repr=False)
    subject: str
    """What was asked, for messages: `GET /user`."""
    wrote: bool = False

    def json(self) -> object:
        """The body as JSON; `unreadable()` where it is none."""
        with contextlib.suppress(ValueError, RecursionError):
            value: object = json.loads(self.body)
            return value
        raise self.unreadable()

    def parse(self, shape: TypeAdapter[T]) -> T:
        """The body as a value of this shape; `unreadable()` where it is none."""
        with contextlib.suppress(ValidationError):
            return shape.validate_json(self.body)
        raise self.unreadable()

    def unreadable(self) -> OutsideError:
        """The error for an answer that says nothing: nobody knows what became of a write then."""
        kind = Ambiguous if self.wrote else Unavailable
        return kind(f"{self.subject} answered something unreadable", status=self.status)

    def reason(self) -> str:
        """The other side's own short message on one line, without control characters; "" where it gave none."""
        if self.headers.get("content-type", "").startswith("text/plain"):
            return one_line(self.body[: 8 * _REASON_CHARACTERS].decode("utf-8", "replace"))
        try:
            said = json.loads(self.body)
        except (ValueError, RecursionError):
            return ""
        if not isinstance(said, dict):
            return ""
        return next(
            (one_line(said[key]) for key in ("message", "error", "detail") if isinstance(said.get(key), str)), ""
        )

    def error(self, *, now: float) -> OutsideError:
        """The error this status means. `now` in seconds since 1970."""
        message = f"{self.subject} answered {self.status}" + (f": {reason}" if (reason := self.reason()) else "")
        if self.status == 429:
            return RateLimited(message, until_seconds=_wait_seconds(self.headers, now))
        if self.status >= 500:
            return (Ambiguous if self.wrote else Unavailable)(message, status=self.status)
        return _PLAIN.get(self.status, Refused)(message, status=self.status)


def one_line(text: str) -> str:
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= _REASON_CHARACTERS else line[: _REASON_CHARACTERS - 1] + "…"


def _wait_seconds(headers: Mapping[str, str], now: float) -> float:
    """From Retry-After (seconds or a date), else X-RateLimit-Reset (seconds since 1970), within bounds."""
    after = headers.get("retry-after", "")
    if (seconds := _number(after)) is None:
        seconds = _seconds_until_date(after, now)
    if seconds is None and (reset := _number(headers.get("x-ratelimit-reset", ""))) is not None:
        seconds = reset - now
    return min(max(_DEFAULT_WAIT_SECONDS if seconds is None else seconds, 1.0), _LONGEST_WAIT_SECONDS)


def _number(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _seconds_until_date(text: str, now: float) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text).timestamp() - now
    except (ValueError, OverflowError):
        return None
