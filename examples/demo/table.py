"""The live view: a table on a terminal, a line for each change elsewhere."""

import asyncio
import time
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from examples.demo.tickets import TICKETS, Ticket
from examples.demo.watching import Watched
from tests.cluster.api import Object

REFRESH_SECONDS = 0.25
COLUMNS = ("TICKET", "TITLE", "STAGE", "WAITS FOR", "RUN", "PR")


@dataclass(frozen=True)
class Row:
    key: str
    title: str
    stage: str
    waiting: str
    run: str
    pull_request: str


def row(ticket: Ticket, status: Object) -> Row:
    waiting, run, pull = (status.get(name) or {} for name in ("waiting", "activeRun", "pullRequest"))
    reason = waiting.get("reason", "")
    return Row(
        key=ticket.key,
        title=ticket.title,
        stage=status.get("stage", "-"),
        waiting=f"{reason}: {waiting.get('message', '')}" if reason else "",
        run=f"{run['role']} #{run['attempt']}" if run else "",
        pull_request=f"#{pull['number']}" if pull else "",
    )


def rows(watched: Watched) -> list[Row]:
    return [row(ticket, watched.status(ticket.item)) for ticket in TICKETS]


async def show(watched: Watched, console: Console) -> None:
    """For ever. Titles and messages are others' text: none of it is read as markup."""
    if not console.is_terminal:
        await _print_changes(watched, console)
        return
    began = time.monotonic()
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            live.update(_table(rows(watched), time.monotonic() - began), refresh=True)
            await asyncio.sleep(REFRESH_SECONDS)


def _table(found: list[Row], seconds: float) -> Table:
    table = Table(*COLUMNS, box=box.SIMPLE_HEAD, expand=True, caption=f"{seconds:.0f} s", caption_justify="left")
    for each in found:
        style = "green" if each.stage == "done" else ""
        cells = (each.key, each.title, each.stage, each.waiting, each.run, each.pull_request)
        table.add_row(*(Text(cell, overflow="ellipsis", no_wrap=True) for cell in cells), style=style)
    return table


async def _print_changes(watched: Watched, console: Console) -> None:
    began, shown = time.monotonic(), {each.key: each for each in rows(watched)}
    while True:
        for each in rows(watched):
            if each != shown[each.key]:
                shown[each.key] = each
                parts = (each.key, each.stage, each.run, each.pull_request, each.waiting)
                line = f"{time.monotonic() - began:6.1f} s  " + "  ".join(part for part in parts if part)
                console.print(Text(line), soft_wrap=True)
        await asyncio.sleep(REFRESH_SECONDS)
