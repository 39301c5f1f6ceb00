"""The end of a Job: only its own well-formed message counts, and nothing else is ever a pass."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conveyor.api.answers import MAX_TERMINATION_BYTES, Verdict
from conveyor.pipeline.answers import Ending, read_effect_answer, read_run_answer
from tests.unit.pipeline.builders import HEAD, UID, job

GOOD = {"conveyor": 1, "uid": UID, "run": "run-1", "token": "secret", "verdict": "pass", "sha": HEAD}


def read(message: str | None, **fields: Any) -> Ending:
    return read_run_answer(job(message=message, **fields), uid=UID, run="run-1", token="secret", seconds=60)


def text(**fields: Any) -> str:
    return json.dumps(GOOD | fields)


MALFORMED = (
    ("absent", None),
    ("empty", ""),
    ("blank", " \n"),
    ("no JSON", "all went well"),
    ("cut in the middle", text(summary="x" * 100)[:90]),
    ("a list", "[]"),
    ("a number", "1"),
    ("null", "null"),
    ("only the verdict", '{"verdict": "pass"}'),
    ("of another version", text(conveyor=2)),
    ("without a verdict", json.dumps({key: value for key, value in GOOD.items() if key != "verdict"})),
    ("of an unknown verdict", text(verdict="great")),
    ("with a verdict of ours", text(verdict="infrastructure")),
    ("of another item", text(uid="another")),
    ("of another run", text(run="run-2")),
    ("with another token", text(token="guessed")),
    ("without a token", text(token="")),
    ("with a commit that is none", text(sha="main")),
    ("with half a commit", text(sha=HEAD[:20])),
    ("with a coverage beyond all", text(coverage=101)),
    ("with a coverage in words", text(coverage="81")),
    ("with a coverage that is no number", text().replace('"sha"', '"coverage": NaN, "sha"')),
    ("with a wait for ever", text(verdict="retry", retryAfterSeconds=10**9)),
    ("with a negative wait", text(verdict="retry", retryAfterSeconds=-1)),
    ("with a summary too long", text(summary="x" * 2049)),
    ("too long", text(summary="x") + " " * MAX_TERMINATION_BYTES),
    ("two in one", text() + text()),
    ("nested too deep", "[" * 3000),
    ("with a lone surrogate", text(summary="\ud800")),
    ("an error of the trusted step", '{"conveyor": 1, "error": "the branch moved"}'),
)


@pytest.mark.parametrize("message", [row[1] for row in MALFORMED], ids=[row[0] for row in MALFORMED])
def test_an_answer_that_is_malformed_or_foreign_is_infrastructure(message: str | None) -> None:
    assert read(message).verdict == Verdict.INFRASTRUCTURE


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=300) | st.text(max_size=300).map(lambda inner: f'{{"conveyor": 1, {inner}}}'))
def test_no_text_without_the_token_is_ever_a_pass(message: str) -> None:
    assert read(message).verdict == Verdict.INFRASTRUCTURE


def test_a_good_answer_is_taken_whole() -> None:
    ending = read(text(summary="fine", coverage=81.5))
    assert ending == Ending(verdict=Verdict.PASS, summary="fine", sha=HEAD, coverage=81.5)


def test_the_trusted_steps_reason_is_told() -> None:
    assert "the branch moved" in read('{"conveyor": 1, "error": "the branch moved"}').summary


@pytest.mark.parametrize(
    ("fields", "question"),
    [
        ({"question": "which?", "summary": "s"}, "which?"),
        ({"summary": "I wonder"}, "I wonder"),
        ({}, "the run is blocked and asks nothing"),
    ],
    ids=["asked", "only summed up", "nothing said"],
)
def test_a_blocked_run_always_asks_something(fields: dict[str, str], question: str) -> None:
    assert read(text(verdict="blocked", **fields)).question == question


def test_a_question_of_a_run_that_is_not_blocked_is_no_question() -> None:
    assert read(text(question="which?")).question == ""


@pytest.mark.parametrize(
    ("disrupted", "verdict"),
    [(False, Verdict.FAIL), (True, Verdict.INFRASTRUCTURE)],
    ids=["by itself", "because its node went away"],
)
def test_a_run_that_kept_no_time(verdict: Verdict, *, disrupted: bool) -> None:
    assert read(None, reason="DeadlineExceeded", complete=False, disrupted=disrupted).verdict == verdict


EFFECTS: tuple[tuple[str, dict[str, Any], bool], ...] = (
    ("exit 0 without a message", {}, True),
    ("exit 0 with an empty message", {"message": "\n"}, True),
    ("exit 0 of a pod that is gone with its word", {"pod_gone": True}, False),
    ("exit 0 with the word pass", {"message": '{"conveyor": 1, "verdict": "pass"}'}, True),
    ("exit 0 with the word fail", {"message": '{"conveyor": 1, "verdict": "fail"}'}, False),
    ("exit 0 with the word retry", {"message": '{"conveyor": 1, "verdict": "retry"}'}, False),
    ("exit 0 with a message cut off", {"message": '{"conveyor": 1, "verd'}, False),
    ("exit 1", {"complete": False}, False),
    ("exit 1 with the word pass", {"complete": False, "message": '{"conveyor": 1, "verdict": "pass"}'}, False),
    ("out of time", {"complete": False, "reason": "DeadlineExceeded"}, False),
)


@pytest.mark.parametrize(("fields", "passed"), [row[1:] for row in EFFECTS], ids=[row[0] for row in EFFECTS])
def test_an_effects_end(fields: dict[str, Any], *, passed: bool) -> None:
    assert read_effect_answer(job(**fields)).passed is passed


def test_a_deploy_names_what_it_deployed() -> None:
    message = '{"conveyor": 1, "verdict": "pass", "revision": "v7"}'
    assert read_effect_answer(job(message=message)).revision == "v7"
