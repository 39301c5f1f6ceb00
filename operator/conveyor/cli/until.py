"""A time that a person names: an instant with its zone, or how long from now."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_SPAN = re.compile(r"(?P<number>[0-9]{1,6})(?P<unit>[mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
FORMS = "such as 90m, 4h, 2d or 2026-12-01T08:00:00Z"


def read_until(text: str, now: datetime) -> datetime:
    """In UTC and to the second. Raises ValueError with what is wrong."""
    span = _SPAN.fullmatch(text)
    if span is not None:
        return (now + timedelta(**{_UNITS[span["unit"]]: int(span["number"])})).replace(microsecond=0)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time: {FORMS}") from None
    if found.tzinfo is None:
        raise ValueError(f"{text!r} has no zone: {FORMS}")
    try:
        instant = found.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is beyond all times: {FORMS}") from None
    if instant <= now:
        raise ValueError(f"{text!r} is over already: {FORMS}")
    return instant
