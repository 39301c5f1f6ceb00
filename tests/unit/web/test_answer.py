"""Covers: which error a status means for a read and for a write, and what its message may say."""

import json

import pytest
from pydantic import TypeAdapter

from conveyor.web.answer import Answer
from conveyor.web.errors import (
    Ambiguous,
    BadCredentials,
    Conflict,
    NotFound,
    OutsideError,
    RateLimited,
    Refused,
    Unavailable,
)

NOW = 1_800_000_000.0


def answer(
    status: int = 200, body: bytes = b"", *, wrote: bool = False, headers: dict[str, str] | None = None
) -> Answer:
    return Answer(status, headers or {}, body, subject="GET /thing", wrote=wrote)


@pytest.mark.parametrize(
    ("status", "read", "written"),
    [
        (301, Refused, Refused),
        (400, Refused, Refused),
        (401, BadCredentials, BadCredentials),
        (403, Refused, Refused),
        (404, NotFound, NotFound),
        (405, Refused, Refused),
        (409, Conflict, Conflict),
        (422, Refused, Refused),
        (423, Refused, Refused),
        (429, RateLimited, RateLimited),
        (500, Unavailable, Ambiguous),
        (502, Unavailable, Ambiguous),
        (503, Unavailable, Ambiguous),
        (504, Unavailable, Ambiguous),
    ],
)
def test_status_means_this_error(status: int, read: type[OutsideError], written: type[OutsideError]) -> None:
    assert [type(answer(status, wrote=wrote).error(now=NOW)) for wrote in (False, True)] == [read, written]
    assert answer(status).error(now=NOW).status == status


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "Fri, 15 Jan 2027 08:00:30 GMT"}, 30),
        ({"x-ratelimit-reset": "1800000042"}, 42),
        ({"retry-after": "5", "x-ratelimit-reset": "1800000042"}, 5),
        ({"retry-after": "0"}, 1),
        ({"x-ratelimit-reset": "17"}, 1),
        ({"retry-after": "99999999"}, 3600),
        ({"retry-after": "soon"}, 60),
        ({"retry-after": "-5"}, 60),
        ({}, 60),
    ],
)
def test_too_many_requests_names_when_to_come_back(headers: dict[str, str], seconds: float) -> None:
    error = answer(429, headers=headers).error(now=NOW)
    assert isinstance(error, RateLimited)
    assert error.until_seconds == seconds


@pytest.mark.parametrize("key", ["message", "error", "detail"])
def test_message_of_the_other_side_is_told(key: str) -> None:
    error = answer(422, json.dumps({key: "no such\nbranch\x1b[31m"}).encode()).error(now=NOW)
    assert str(error) == "GET /thing answered 422: no such branch [31m"


@pytest.mark.parametrize(
    "body", [b"", b"<html>secret</html>", b"[1]", b'{"message": 3}', b"[" * 100_000, b'"text"', b"\xff\xfe"]
)
def test_body_without_a_message_is_not_told(body: bytes) -> None:
    assert str(answer(400, body).error(now=NOW)) == "GET /thing answered 400"


def test_long_message_is_cut() -> None:
    assert len(answer(400, json.dumps({"message": "x" * 9000}).encode()).reason()) == 200


def test_plain_text_is_told_as_a_message() -> None:
    assert (
        answer(404, b"404 page not found\n", headers={"content-type": "text/plain;charset=utf-8"}).reason()
        == "404 page not found"
    )


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b"9" * 5000])
@pytest.mark.parametrize(("wrote", "kind"), [(False, Unavailable), (True, Ambiguous)])
def test_malformed_json_is_unreadable(body: bytes, wrote: bool, kind: type[OutsideError]) -> None:
    with pytest.raises(kind, match="unreadable") as caught:
        answer(body=body, wrote=wrote).json()
    assert caught.value.__context__ is None


def test_json_of_another_shape_is_unreadable_and_not_repeated() -> None:
    with pytest.raises(Unavailable, match="unreadable") as caught:
        answer(body=b'{"secret": "x"}').parse(TypeAdapter(list[int]))
    assert caught.value.__context__ is None


def test_json_of_the_shape_becomes_a_value() -> None:
    assert answer(body=b"[1, 2]").parse(TypeAdapter(list[int])) == [1, 2]


def test_body_and_headers_are_not_in_the_repr() -> None:
    assert "hidden" not in repr(answer(body=b"hidden", headers={"set-cookie": "hidden"}))
