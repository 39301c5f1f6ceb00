"""Sheets as tables, by rich: nothing in a cell is markup, and colour is for terminals whose user wants it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from conveyor.cli.sheet import Card, Column, Listing, Row, Section, Sheet, cell, field

GAP = 3
UNLIMITED = 100_000
SHORTEST = 20
"""Characters that a cut column or a field keeps on the narrowest terminal."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """How wide the paper is, None for endless, and whether it takes colour."""

    width: int | None = None
    colour: bool = False


def terminal(stream: TextIO, environ: Mapping[str, str]) -> Terminal:
    """What a stream is. NO_COLOR counts where it is set to anything (https://no-color.org)."""
    if not stream.isatty():
        return Terminal()
    colour = not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    columns = os.get_terminal_size(stream.fileno()).columns  # 0 where nobody has set it
    return Terminal(width=columns or None, colour=colour)


def as_table(sheet: Sheet, *, now: datetime, on: Terminal, wide: bool = False) -> str:
    return "\n".join(_section(section, now, on=on, wide=wide) for section in sheet)


def _section(section: Section, now: datetime, *, on: Terminal, wide: bool) -> str:
    table = _card(section, now, on) if isinstance(section, Card) else _listing(section, now, on=on, wide=wide)
    title = f"{section.title}\n" if section.title else ""
    return title + _render(table, on, limited=isinstance(section, Card))


def _listing(listing: Listing, now: datetime, *, on: Terminal, wide: bool) -> Table:
    columns = [column for column in listing.columns if wide or not column.wide]
    texts = [[_indent(column, row) + cell(row[column.key], now) for column in columns] for row in listing.rows]
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    taken = sum(
        max([cell_len(column.title), *(cell_len(row[index]) for row in texts)]) + GAP
        for index, column in enumerate(columns)
        if not column.flexible
    )
    room = None if on.width is None else max(on.width - taken, SHORTEST)
    for column in columns:
        limit = room if column.flexible else None
        table.add_column(column.title, no_wrap=True, overflow="ellipsis", max_width=limit)
    for row in texts:
        table.add_row(*(_text(text, column.style) for text, column in zip(row, columns, strict=True)))
    return table


def _indent(column: Column, row: Row) -> str:
    depth = row.get(column.indent)
    return "  " * depth if isinstance(depth, int) else ""


def _card(card: Card, now: datetime, on: Terminal) -> Table:
    """Its values are folded at the paper's edge, never cut."""
    table = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
    filled = [column for column in card.columns if card.row[column.key] not in (None, "")]
    longest = max((cell_len(column.title) for column in filled), default=0)
    room = None if on.width is None else max(on.width - longest - GAP, SHORTEST)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold", max_width=room)
    for column in filled:
        table.add_row(column.title, _text(field(card.row[column.key], now), column.style))
    return table


def _text(text: str, style: str) -> Text:
    """A Text is taken as it is: markup in it is letters."""
    return Text(text, style="" if text == "-" else style)


def _render(table: Table, on: Terminal, *, limited: bool) -> str:
    width = (on.width if limited else None) or UNLIMITED
    console = Console(
        width=max(width, SHORTEST * 2),
        force_terminal=on.colour,
        color_system="standard" if on.colour else None,
        no_color=not on.colour,
        legacy_windows=False,
        _environ={},
    )
    with console.capture() as captured:
        console.print(table)
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())
