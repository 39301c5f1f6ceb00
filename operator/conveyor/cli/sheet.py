"""What a command shows: rows. The table and `-o json` print the same ones; only the table leaves columns out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from conveyor.api.fields import rfc3339
from conveyor.cli.text import clean, duration

Value = str | int | float | datetime | None
Row = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    key: str
    wide: bool = False
    """Only with `-o wide`."""
    style: str = ""
    flexible: bool = False
    """May be cut to the width of a terminal."""
    indent: str = ""
    """Key of how far a row's cell stands in, in a table."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Several rows alike."""

    key: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """One row, a line for each field that has a value."""

    key: str
    columns: tuple[Column, ...]
    row: Row
    title: str = ""


Section = Listing | Card
Sheet = tuple[Section, ...]


def as_json(sheet: Sheet) -> str:
    """One object, a key per section."""
    content = {section.key: _plain(section) for section in sheet}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def as_names(sheet: Sheet) -> str:
    """A line per WorkItem, as `kubectl get -o name` has them."""
    rows = [row for section in sheet for row in _rows(section) if section.key in ("items", "item", "tree")]
    rows = [row for row in rows if row.get("kind", "WorkItem") == "WorkItem"]
    return "".join(f"workitem.conveyor.dev/{row['name']}\n" for row in rows)


def cell(value: Value, now: datetime) -> str:
    """A value in a table; times are ages there."""
    match value:
        case None | "":
            return "-"
        case datetime():
            return duration(now - value)
        case str():
            return clean(value)
        case _:
            return str(value)


def field(value: Value, now: datetime) -> str:
    """A value on a card, where there is room for a time and its age."""
    match value:
        case datetime() if value > now:
            return f"{rfc3339(value)} (in {duration(value - now)})"
        case datetime():
            return f"{rfc3339(value)} ({duration(now - value)} ago)"
        case _:
            return cell(value, now)


def _rows(section: Section) -> tuple[Row, ...]:
    return section.rows if isinstance(section, Listing) else (section.row,)


def _plain(section: Section) -> object:
    rows = [{key: _json(value) for key, value in row.items()} for row in _rows(section)]
    return rows if isinstance(section, Listing) else rows[0]


def _json(value: Value) -> str | int | float | None:
    match value:
        case datetime():
            return rfc3339(value)
        case str():
            return clean(value)
        case _:
            return value
