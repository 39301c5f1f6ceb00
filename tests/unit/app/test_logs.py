"""Logs as data: one JSON object per line, our fields only, no secret, no exception's text, no control character."""

import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from conveyor.app import logs

SECRET = "hunter2hunter2"


@pytest.fixture
def configured() -> Iterator[None]:
    """The process's logging, put back afterwards."""
    root, hook = logging.getLogger(), sys.excepthook
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in logs.QUIET}
    logs.configure()
    yield
    root.handlers[:], sys.excepthook = handlers, hook
    root.setLevel(level)
    for name, old in levels.items():
        logging.getLogger(name).setLevel(old)


def line(message: str = "stage moved", *, name: str = "conveyor.engine.items", **fields: Any) -> dict[str, Any]:
    record = logging.makeLogRecord({"name": name, "msg": message, "levelname": "INFO", "created": 0.0} | fields)
    text = logs.JsonLines().format(record)
    assert "\n" not in text
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def raised(error: BaseException) -> tuple[Any, ...]:
    try:
        raise error
    except type(error):
        return sys.exc_info()


def test_a_line_has_time_level_logger_message_and_fields() -> None:
    assert line(key="team/shop-1", seconds=1.5, ok=True, why=None) == {
        "time": "1970-01-01T00:00:00.000+00:00",
        "level": "info",
        "logger": "conveyor.engine.items",
        "message": "stage moved",
        "key": "team/shop-1",
        "seconds": 1.5,
        "ok": True,
        "why": None,
    }


def test_a_field_cannot_pass_for_the_level() -> None:
    assert line(level="critical")["level"] == "info"


@pytest.mark.parametrize(
    "name",
    ["token", "run_token", "Authorization", "webhook_secret", "password", "credentials", "set-cookie", "apiKey"],
)
def test_a_field_named_like_a_secret_is_not_printed(name: str) -> None:
    assert line(**{name: SECRET})[name] == "[redacted]"


def test_a_secret_inside_a_field_is_not_printed() -> None:
    shown = line(headers={"Authorization": SECRET, "Accept": "json"}, tries=[{"token": SECRET}])
    assert shown["headers"] == {"Authorization": "[redacted]", "Accept": "json"}
    assert shown["tries"] == [{"token": "[redacted]"}]


@pytest.mark.parametrize(
    "text", [f"https://user:{SECRET}@git.example/x", f"Authorization: token {SECRET}", f"bearer {SECRET}"]
)
def test_credentials_inside_a_text_are_not_printed(text: str) -> None:
    assert SECRET not in json.dumps(line(text, error=text))


def test_an_exception_is_named_by_type_and_place() -> None:
    shown = line(exc_info=raised(ValueError(SECRET)))
    assert shown["exception"][0].startswith("ValueError at test_logs.py:")
    assert SECRET not in json.dumps(shown)


def test_every_exception_of_a_group_is_named() -> None:
    group = BaseExceptionGroup("several", [ValueError(SECRET), ExceptionGroup("inner", [KeyError(SECRET)])])
    assert line(exc_info=raised(group))["exception"] == ["ValueError", "KeyError"]


def test_control_characters_and_line_breaks_are_escaped() -> None:
    record = logging.makeLogRecord({"name": "conveyor", "msg": "found", "title": "a\nb\x1b[31m\x7f\u202e\u2028"})
    assert all(" " <= character <= "~" for character in logs.JsonLines().format(record))


def test_a_huge_text_is_cut() -> None:
    assert len(line(title="x" * 100_000)["title"]) == logs.MAX_TEXT


def test_fields_of_other_libraries_are_left_out() -> None:
    assert "settings" not in line(name="aiohttp.server", settings="all of its settings")


def test_an_object_is_printed_as_text() -> None:
    assert line(kind=ValueError)["kind"] == "<class 'ValueError'>"


@pytest.mark.usefixtures("configured")
def test_lines_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    logging.getLogger("conveyor.app").info("started", extra={"port": 8080})
    out, err = capsys.readouterr()
    assert (out, json.loads(err)["port"]) == ("", 8080)


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("name", ["httpx", "httpcore.http11", "kubernetes.client", "aiohttp.access"])
def test_other_libraries_are_heard_from_warning_on(name: str) -> None:
    logger = logging.getLogger(name)
    assert (logger.isEnabledFor(logging.INFO), logger.isEnabledFor(logging.WARNING)) == (False, True)


@pytest.mark.usefixtures("configured")
def test_what_ends_the_process_is_one_line_without_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    kind, error, trace = raised(ValueError(SECRET))
    sys.excepthook(kind, error, trace)
    err = capsys.readouterr().err
    assert json.loads(err)["level"] == "critical"
    assert SECRET not in err
