"""An answer comes from a program that is not trusted: it is taken as a whole or refused as a whole."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from conveyor.api.answers import MAX_TERMINATION_BYTES, Answer, Review, TerminationMessage

MESSAGE = {"conveyor": 1, "uid": "u", "run": "r", "token": "t", "verdict": "pass"}


def test_a_full_answer_is_read() -> None:
    answer = Answer.model_validate_json(
        json.dumps(
            {
                "verdict": "retry",
                "summary": "слишком рано",
                "question": "",
                "retryAfterSeconds": 60,
                "coverage": 81,
                "review": {"verdict": "comment", "body": "b", "comments": [{"path": "a.py", "line": 3, "body": "c"}]},
                "model": "of the agent's own",
            }
        )
    )
    assert (answer.verdict, answer.retry_after_seconds, answer.coverage) == ("retry", 60, 81.0)
    assert answer.review is not None
    assert answer.review.comments[0].line == 3


@pytest.mark.parametrize("verdict", ["pass", "fail", "blocked", "retry"])
def test_a_verdict_alone_is_an_answer(verdict: str) -> None:
    assert Answer.model_validate({"verdict": verdict}).verdict == verdict


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '"pass"',
        "{}",
        '{"verdict": "pass"',
        '{"verdict": "pass"} trailing',
        '{"verdict": "PASS"}',
        '{"verdict": "infrastructure"}',
        '{"verdict": ["pass"]}',
        '{"verdict": null}',
        '{"verdict": true}',
        '{"verdict": "pass", "summary": 7}',
        '{"verdict": "pass", "summary": null}',
        '{"verdict": "pass", "summary": "\\ud800"}',
        '{"verdict": "pass", "coverage": "81"}',
        '{"verdict": "pass", "coverage": true}',
        '{"verdict": "pass", "coverage": 100.1}',
        '{"verdict": "pass", "coverage": -1}',
        '{"verdict": "pass", "coverage": NaN}',
        '{"verdict": "pass", "coverage": 1e999}',
        '{"verdict": "retry", "retryAfterSeconds": -1}',
        '{"verdict": "retry", "retryAfterSeconds": 1.5}',
        '{"verdict": "retry", "retryAfterSeconds": "60"}',
        '{"verdict": "retry", "retryAfterSeconds": 1000000000000000000000}',
        '{"verdict": "pass", "review": "approve"}',
        '{"verdict": "pass", "review": {"verdict": "pass"}}',
        '{"verdict": "pass", "review": {"verdict": "approve", "comments": {}}}',
        '{"verdict": "pass", "review": {"verdict": "comment", "comments": [{"path": "a", "line": 0, "body": "b"}]}}',
        "[" * 100_000,
        '{"verdict": "pass", "x": ' + "[" * 100_000 + "]" * 100_000 + "}",
    ],
    ids=lambda text: text[:60],
)
def test_a_malformed_answer_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        Answer.model_validate_json(text)


@pytest.mark.parametrize(
    ("model", "value"),
    [
        (Answer, {"verdict": "pass", "summary": "x" * 65537}),
        (Answer, {"verdict": "blocked", "question": "x" * 16385}),
        (Review, {"verdict": "comment", "body": "x" * 32769}),
        (Review, {"verdict": "comment", "comments": [{"path": "a", "body": "b"}] * 101}),
        (TerminationMessage, MESSAGE | {"summary": "x" * 2049}),
        (TerminationMessage, MESSAGE | {"question": "x" * 1025}),
        (TerminationMessage, MESSAGE | {"token": "x" * 65}),
        (TerminationMessage, MESSAGE | {"image": "x" * 513}),
    ],
)
def test_an_oversized_field_is_refused(model: type[Answer | Review | TerminationMessage], value: object) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(value)


@pytest.mark.parametrize(
    "change",
    [
        {"conveyor": 2},
        {"conveyor": "1"},
        {"verdict": "infrastructure"},
        {"sha": "HEAD"},
        {"sha": "a" * 39},
        {"sha": "a" * 40 + "\n"},
        {"sha": "A" * 40},
        {"uid": 7},
    ],
)
def test_a_malformed_termination_message_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TerminationMessage.model_validate(MESSAGE | change)


def test_a_message_that_does_not_say_it_is_ours_is_refused() -> None:
    with pytest.raises(ValidationError):
        TerminationMessage.model_validate_json('{"verdict": "pass"}')


@pytest.mark.parametrize("length", [40, 64])
def test_a_commit_id_of_either_hash_is_read(length: int) -> None:
    assert TerminationMessage.model_validate(MESSAGE | {"sha": "a" * length}).sha == "a" * length


def test_a_message_cut_where_the_kubelet_cuts_is_refused() -> None:
    text = json.dumps(MESSAGE | {"summary": "я" * 1500}, ensure_ascii=False).encode()[:MAX_TERMINATION_BYTES]
    whole = json.dumps(MESSAGE | {"summary": "x" * 5000}).encode()[:MAX_TERMINATION_BYTES]
    TerminationMessage.model_validate_json(text)
    with pytest.raises(ValidationError):
        TerminationMessage.model_validate_json(whole)


def test_an_error_repeats_nothing_of_what_was_sent() -> None:
    with pytest.raises(ValidationError) as refused:
        TerminationMessage.model_validate(MESSAGE | {"verdict": "secret-7f", "sha": "secret-7f"})
    assert "secret-7f" not in str(refused.value)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_a_validation_error(content: bytes) -> None:
    with contextlib.suppress(ValidationError):
        assert Answer.model_validate_json(content).verdict in {"pass", "fail", "blocked", "retry"}
