"""Every reason is explained, on the screen and in the docs, and every command that is printed exists."""

import re
import shlex
from pathlib import Path

import pytest

from conveyor.api.workitem import StalledReason, WaitingReason
from conveyor.cli.explanations import PAGE, STALLED, WAITING, Explanation
from conveyor.cli.options import VERBS, parse
from conveyor.cli.verbs import ASKS

TEXT = (Path(__file__).parents[3] / PAGE).read_text()
EXPLAINED: dict[str, Explanation] = {**{str(reason): found for reason, found in WAITING.items()}, **STALLED}
SECTIONS = re.findall(r'<a id="(\w+)"></a>\n### ([^\n]+)\n\n(.*?)(?=\n<a id=|\n## |\Z)', TEXT, re.DOTALL)


def test_every_waiting_reason_is_explained() -> None:
    assert set(WAITING) == set(WaitingReason)


def test_every_stalled_reason_is_explained_as_a_persons_matter() -> None:
    assert set(STALLED) == set(StalledReason)
    assert all(found.person for found in STALLED.values())


def test_every_reason_has_one_section_in_the_docs_and_no_other_has() -> None:
    assert sorted(anchor for anchor, _, _ in SECTIONS) == sorted([*WaitingReason, *StalledReason])


@pytest.mark.parametrize(("anchor", "title", "text"), SECTIONS)
def test_a_section_is_a_question_with_its_reason_and_what_to_do(anchor: str, title: str, text: str) -> None:
    assert title.endswith("?")
    assert f"**Reason `{anchor}`.**" in text
    assert "**What to do:**" in text


@pytest.mark.parametrize("reason", EXPLAINED)
def test_a_printed_command_of_ours_is_one_that_we_take(reason: str) -> None:
    words = shlex.split(re.sub(r"\{scope\}", " -n team", EXPLAINED[reason].command.replace("{name}", "shop-et-17")))
    assert words[0] == "kubectl"
    if words[1] == "workitem":
        assert parse(words[2:]).namespace == "team"


@pytest.mark.parametrize("words", re.findall(r"`kubectl workitem ([^`]+)`", TEXT))
def test_a_command_in_the_docs_is_one_that_we_take(words: str) -> None:
    filled = re.sub(r"<[^>]*>", "x", words.replace("<stage>", "done"))
    line = re.sub(r"\s+", " ", filled)
    assert parse(shlex.split(line)).command in line


def test_every_verb_of_the_command_line_is_carried_out() -> None:
    assert set(VERBS) == set(ASKS)
