"""What the live view shows, on a terminal and elsewhere."""

import asyncio
import io
from typing import Any

import pytest
from rich.console import Console

from examples.demo.table import Row, row, show
from examples.demo.tickets import TICKETS
from examples.demo.watching import Watched

TICKET = TICKETS[0]


def test_item_that_is_not_there_has_an_empty_row() -> None:
    assert row(TICKET, {}) == Row(TICKET.key, TICKET.title, stage="-", waiting="", run="", pull_request="")


def test_row_says_who_works_and_what_is_waited_for() -> None:
    status = {
        "stage": "review",
        "waiting": {"reason": "Run", "message": "the reviewer is at work"},
        "activeRun": {"role": "reviewer", "attempt": 2},
        "pullRequest": {"number": 3},
    }
    found = row(TICKET, status)
    assert (found.stage, found.waiting) == ("review", "Run: the reviewer is at work")
    assert (found.run, found.pull_request) == ("reviewer #2", "#3")


@pytest.mark.parametrize("terminal", [True, False])
async def test_message_with_markup_is_shown_as_it_is(terminal: bool) -> None:
    watched, output = Watched(), io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=200)
    shown = asyncio.ensure_future(show(watched, console))
    await asyncio.sleep(0)
    status: dict[str, Any] = {"stage": "review", "waiting": {"reason": "Person", "message": "[red]why[/red]"}}
    watched.items[TICKET.item] = {"status": status}
    async with asyncio.timeout(10):
        while "[red]why[/red]" not in output.getvalue():  # noqa: ASYNC110 - what is looked at is a text
            await asyncio.sleep(0.01)
    shown.cancel()
    with pytest.raises(asyncio.CancelledError):
        await shown
