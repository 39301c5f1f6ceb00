"""One JSON object per line on standard error: a constant message, and fields. No secret, no text of an exception."""

from __future__ import annotations

import functools
import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import PurePath
from traceback import extract_tb
from types import TracebackType

MAX_TEXT = 2000
"""Characters of one message or field."""
OUR_LOGGERS = ("conveyor", "__main__")
QUIET: Mapping[str, int] = {
    "aiohttp.access": logging.WARNING,
    "asyncio": logging.WARNING,
    "httpcore": logging.WARNING,
    "httpx": logging.WARNING,
    "kubernetes": logging.WARNING,
}
"""Loggers of others with the level from which they are heard: httpx, as an example, logs each request's address."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_SECRET_NAME = re.compile(r"token|secret|authori[sz]ation|passw|credential|cookie|signature|api.?key", re.IGNORECASE)
_SECRET_TEXT = re.compile(r"(?<=://)[^/@\s]+@|(?:bearer|basic|token)\s+[\w.~+/=-]{8,}", re.IGNORECASE)
_REDACTED = "[redacted]"


def configure(level: int = logging.INFO) -> None:
    # Asked of the system for each line and shown in none (logging: Optimization).
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name, quiet in QUIET.items():
        logging.getLogger(name).setLevel(quiet)
    sys.excepthook = _uncaught


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _text(record.getMessage()),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = list(places(record.exc_info[1]))
        if record.name.split(".")[0] in OUR_LOGGERS:
            fields = {key: value for key, value in vars(record).items() if key not in _STANDARD and key not in line}
            line |= {key: _value(key, value) for key, value in fields.items()}
        return json.dumps(line)


def places(error: BaseException) -> Iterator[str]:
    """Type and place of an exception, or of those in a group: its text may quote what is secret or hostile."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from places(inner)
        return
    frames = extract_tb(error.__traceback__)
    where = f" at {PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    yield f"{type(error).__name__}{where}"


@functools.lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


def _value(key: str, value: object) -> object:
    if _is_secret(key):
        return _REDACTED
    match value:
        case None | bool() | int() | float():
            return value
        case Mapping():
            return {str(name): _value(str(name), inner) for name, inner in value.items()}
        case list() | tuple():
            return [_value("", inner) for inner in value]
        case _:
            return _text(str(value))


def _text(text: str) -> str:
    return _SECRET_TEXT.sub(_REDACTED, text[:MAX_TEXT])


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        logging.getLogger("conveyor").critical("ended by an exception", exc_info=(kind, error, trace))
