"""Text of tickets, agents and logs, made fit for a terminal. It is hostile: nothing of it may move a cursor."""

from __future__ import annotations

import re
from datetime import timedelta

from conveyor.api.text import printable

_ESCAPE = re.compile(
    r"""\x1b(?: \[[0-?]*[ -/]*[@-~]             # CSI: colours, cursor
              | [\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?  # OSC, DCS, SOS, PM, APC up to their end: titles, links, clipboard
              | [ -/]*[0-~] )                   # the short ones
        | \x9b[0-?]*[ -/]*[@-~]                 # CSI in one character""",
    re.VERBOSE,
)


def clean(text: str) -> str:
    """One line without escape sequences, control characters and direction marks."""
    return " ".join(printable(_ESCAPE.sub("", text)).split())


def duration(span: timedelta) -> str:
    """As kubectl prints ages: exact where it is short, in two units at most. A span below zero counts as none."""
    seconds = max(int(span.total_seconds()), 0)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 2:
        return f"{seconds}s"
    if minutes < 10:
        return _two(minutes, "m", seconds % 60, "s")
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    return f"{days}d"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}" + (f"{small}{small_unit}" if small else "")
