"""What becomes of the agent's answer: a message with its verdict, or a reason and no verdict at all."""

import json
import os

import pytest

from conveyor.agent import message
from conveyor.agent.settings import Secret
from conveyor.api.answers import MAX_TERMINATION_BYTES, Answer, RunError, Task, TerminationMessage
from tests.unit.agent.conftest import FORGE_TOKEN, RUN, RUN_TOKEN, Run


def task() -> Task:
    return Task.model_validate_json(
        json.dumps(
            {
                "item": "shop-et-17", "uid": "u" * 64, "key": "ET-17", "run": "r" * 57, "repository": "shop",
                "role": "tester", "stage": "testing", "attempt": 1, "branch": "b", "baseBranch": "main",
                "baseSHA": "0" * 40, "documents": "d", "title": "t",
            }
        )
    )  # fmt: skip


def passed_on(answer: Answer) -> bytes:
    return message.passed_on(answer, task(), token=Secret("t" * 64), sha="a" * 64)


def assert_no_verdict(run: Run, *words: str) -> None:
    error = run.publish()["error"]
    assert all(word in error for word in words), error
    assert FORGE_TOKEN not in error
    assert RUN_TOKEN not in error


def test_no_answer_is_no_verdict(run: Run) -> None:
    assert_no_verdict(run, "answer cannot be read", "No such file")


def test_an_answer_that_is_a_link_to_our_token_is_not_read(run: Run) -> None:
    run.answer_file.symlink_to(run.root / "in/forge-token")
    assert_no_verdict(run, "answer cannot be read")


def test_an_answer_that_is_a_pipe_is_not_waited_for(run: Run) -> None:
    os.mkfifo(run.answer_file)
    assert_no_verdict(run, "not a regular file")


def test_an_answer_that_is_a_directory_is_no_verdict(run: Run) -> None:
    run.answer_file.mkdir()
    assert_no_verdict(run, "not a regular file")


def test_an_answer_that_is_too_large_is_not_read(run: Run) -> None:
    with run.answer_file.open("wb") as file:
        file.truncate(2**40)  # takes no room on the disk
    assert_no_verdict(run, "larger than 262144 bytes")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"verdict": "pass"',
        b"pass",
        b"null",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"verdict": "pass", "review": ' + b'{"a": ' * 40_000,
        b'{"verdict": "pass", "summary": "\xff"}',
        b'{"verdict": "pass", "summary": "\\ud800"}',
        b'{"verdict": "infrastructure"}',
        b'{"verdict": "PASS"}',
        b'{"verdict": true}',
        b'{"verdict": ["pass"]}',
        b'{"verdict": "pass", "coverage": NaN}',
        b'{"verdict": "pass", "coverage": 1e999}',
        b'{"verdict": "pass", "coverage": "93"}',
        b'{"verdict": "pass", "coverage": 101}',
        b'{"verdict": "retry", "retryAfterSeconds": -1}',
        b'{"verdict": "retry", "retryAfterSeconds": 1.5}',
        b'{"verdict": "pass", "summary": 3}',
        b'{"verdict": "pass", "review": {"verdict": "merge"}}',
    ],
    ids=lambda content: content[:40].decode(errors="replace"),
)
def test_a_malformed_answer_is_no_verdict(run: Run, content: bytes) -> None:
    run.answer_file.write_bytes(content)
    assert_no_verdict(run, "the agent's answer is malformed")


def test_a_malformed_answer_s_content_is_not_repeated(run: Run) -> None:
    run.answer_file.write_text('{"verdict": "sk-s3cret"}')
    assert "s3cret" not in run.publish()["error"]


def test_what_an_answer_claims_beyond_its_fields_does_not_reach_the_message(cloned: Run) -> None:
    base = cloned.remote_head()
    cloned.answer(conveyor=2, uid="other", run="other", token="guess", sha="f" * 40, image="evil", revision="evil")
    said = cloned.publish()
    assert (said["uid"], said["run"], said["token"], said["sha"]) == ("uid-1", RUN, RUN_TOKEN, base)
    assert said["image"] == said["revision"] == ""


def test_nothing_of_a_message_written_by_somebody_else_stays(run: Run) -> None:
    run.termination_file.write_text(json.dumps({"conveyor": 1, "verdict": "pass", "x": "y" * 3000}))
    assert "verdict" not in run.publish()


@pytest.mark.parametrize("letter", ["a", "я", "語", "😀", '"', "\\", "\n", "\x00", "a\u0301"])
def test_a_long_answer_is_cut_until_the_message_fits(letter: str) -> None:
    answer = Answer(verdict="blocked", summary=letter * 20_000, question=letter * 8_000, coverage=93.25)
    content = passed_on(answer)
    assert len(content) <= MAX_TERMINATION_BYTES
    said = TerminationMessage.model_validate_json(content)
    assert (said.verdict, said.coverage, said.sha) == ("blocked", 93.25, "a" * 64)
    assert len(said.question) > 300 or not letter.strip("\n\x00")


def test_a_short_answer_is_not_cut() -> None:
    said = TerminationMessage.model_validate_json(
        passed_on(Answer(verdict="retry", summary="später", retry_after_seconds=60))
    )
    assert (said.summary, said.retry_after_seconds) == ("später", 60)


def test_terminal_escapes_and_direction_marks_do_not_reach_the_message() -> None:
    said = TerminationMessage.model_validate_json(
        passed_on(Answer(verdict="pass", summary="\x1b]0;x\x07a\u202eb\r\nc"))
    )
    assert said.summary == "]0;xab\nc"


@pytest.mark.parametrize("letter", ["a", "😀", '"'])
def test_a_long_reason_is_cut_until_the_message_fits(letter: str) -> None:
    content = message.failed(letter * 10_000)
    assert len(content) <= MAX_TERMINATION_BYTES
    assert RunError.model_validate_json(content).error.startswith(letter)


def test_a_missing_setting_is_named(run: Run) -> None:
    assert_no_verdict_for(run, {"CONVEYOR_ANSWER_FILE": ""}, "CONVEYOR_ANSWER_FILE is not set")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CONVEYOR_FORGE_URL", "ssh://git.example"),
        ("CONVEYOR_FORGE_URL", "https://user:f0rge-t0ken@git.example"),
        ("CONVEYOR_FORGE_REPOSITORY", "acme"),
        ("CONVEYOR_FORGE_REPOSITORY", "acme/.."),
        ("CONVEYOR_WORKSPACE", "relative"),
        ("CONVEYOR_FORGE_TOKEN_FILE", "/dev/null"),
        ("CONVEYOR_RUN_TOKEN_FILE", "/nowhere"),
    ],
)
def test_an_impossible_setting_is_named_and_no_credentials_shown(run: Run, name: str, value: str) -> None:
    assert_no_verdict_for(run, {name: value}, name)


@pytest.mark.parametrize("name", ["CONVEYOR_ANSWER_FILE", "CONVEYOR_STATE_DIR"])
def test_a_path_inside_the_workspace_is_refused(run: Run, name: str) -> None:
    assert_no_verdict_for(run, {name: f"{run.workspace}/x"}, name, "outside CONVEYOR_WORKSPACE")


def assert_no_verdict_for(run: Run, environment: dict[str, str], *words: str) -> None:
    error = run.publish(**environment)["error"]
    assert all(word in error for word in words), error
    assert FORGE_TOKEN not in error
