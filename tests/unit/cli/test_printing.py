"""Tables on a terminal: hostile text, colour, and width."""

import asyncio
import io
import json
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, TextIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conveyor.cli.printing import Terminal, terminal
from conveyor.cli.text import clean, duration
from tests.strategies import titles
from tests.unit.cli.memory_api import MemoryApi
from tests.unit.cli.objects import at, item, last_run, repository, stalled, waiting
from tests.unit.cli.sessions import command

HOSTILE = "\x1b[2J\x1b]8;;http://evil\x07[bold red]own[/bold red]ed\x9b31m :smile: \u202egnp\r\nsecond\tline"
MENDED = "[bold red]own[/bold red]ed :smile: gnp second line"
LINES = ["list -o wide", "show shop-et-17", "why shop-et-17", "show shop-et-17 -o json", "queue", "list -o json"]


def hostile_api(text: str) -> MemoryApi:
    cut = text[:250]
    status = at(
        "review",
        waiting=waiting("Person", cut, on=("Ticket", cut)),
        lastRun=last_run(summary=cut, question=cut),
        branch=cut,
        revision=cut,
        gates=[{"name": "ci_green", "passed": False, "reason": cut, "checkedTime": "2026-03-02T11:00:00Z"}],
        history=[{"to": "created", "time": "2026-03-02T07:00:00Z", "actor": cut, "cause": cut}],
    )
    repo = repository(ready=("False", "BadCredentials", cut), annotations={"conveyor.dev/freeze": text})
    return MemoryApi([item(status=status, spec={"title": cut})], [repo])


@pytest.mark.parametrize("line", LINES)
@settings(max_examples=30, deadline=None)  # the first example pays for imports
@given(text=titles() | st.text(max_size=60))
def test_no_text_of_others_reaches_the_terminal_as_more_than_letters(line: str, text: str) -> None:
    output = asyncio.run(command(hostile_api(text), line)).output
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", output)


async def test_hostile_text_is_shown_as_its_letters_markup_and_all() -> None:
    result = await command(hostile_api(HOSTILE), "why shop-et-17")
    assert f"Message     {MENDED}\n" in result.output
    found = json.loads((await command(hostile_api(HOSTILE), "why shop-et-17 -o json")).output)["why"]
    assert found["message"] == MENDED


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("\x1b]0;title\x1b\\after", "after"),
        ("\x1b]52;c;Y2xpcA==\x07after", "after"),
        ("\x1bPq#0;2;0;0;0\x1b\\after", "after"),
        ("a\x1b(0b\x1bcc", "abc"),
        ("Исправить вход", "Исправить вход"),
        ("a\x00b\x7f", "ab"),
    ],
)
def test_escape_sequences_are_taken_out_whole(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@pytest.fixture
def paper() -> Iterator[TextIO]:
    """A terminal whose size nobody has set."""
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w") as stream:
        yield stream
    os.close(ours)


@pytest.mark.parametrize(
    ("environ", "colour"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_a_terminal_has_colour_unless_its_user_says_no(paper: TextIO, environ: dict[str, str], colour: bool) -> None:
    assert terminal(paper, environ) == Terminal(None, colour=colour)


def test_a_pipe_has_neither_colour_nor_width_whatever_is_forced() -> None:
    assert terminal(io.StringIO(), {"FORCE_COLOR": "1", "COLUMNS": "20"}) == Terminal(None, colour=False)


async def test_colour_changes_nothing_but_colours() -> None:
    api = MemoryApi([item(status=at("review", **stalled("CISilent")))])
    plain = await command(api, "list", on=Terminal(120))
    coloured = await command(api, "list", on=Terminal(120, colour=True))
    assert "\x1b[31m" in coloured.output
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured.output).split() == plain.output.split()


async def test_on_a_narrow_terminal_the_message_is_cut_and_the_name_is_not() -> None:
    long = item(status=at("review", waiting=waiting("CI", "x" * 500)))
    result = await command(MemoryApi([long]), "list -o wide", on=Terminal(140))
    line = result.output.splitlines()[1]
    assert line.startswith("shop-et-17   shop")
    assert line.endswith("x…")
    assert len(line) <= 140


async def test_on_a_narrow_terminal_an_explanation_is_folded_and_nothing_is_lost() -> None:
    words = " ".join(f"word{number}" for number in range(40))
    api = MemoryApi([item(status=at("review", waiting=waiting("CI", words)))], [repository()])
    result = await command(api, "why shop-et-17", on=Terminal(60))
    assert all(len(line) <= 60 for line in result.output.splitlines())
    assert re.findall(r"word\d+", result.output) == words.split()


@pytest.mark.parametrize(
    ("span", "text"),
    [
        ({"seconds": -5}, "0s"),
        ({"seconds": 119}, "119s"),
        ({"seconds": 120}, "2m"),
        ({"seconds": 190}, "3m10s"),
        ({"minutes": 10}, "10m"),
        ({"minutes": 179}, "179m"),
        ({"hours": 3, "minutes": 5}, "3h5m"),
        ({"hours": 8}, "8h"),
        ({"hours": 47}, "47h"),
        ({"hours": 49}, "2d1h"),
        ({"days": 8}, "8d"),
        ({"days": 800}, "800d"),
    ],
)
def test_an_age_reads_as_kubectls(span: dict[str, Any], text: str) -> None:
    assert duration(timedelta(**span)) == text
