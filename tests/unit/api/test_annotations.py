"""Values of annotations are typed by people: what cannot be read is no request, and nothing raises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor.api.annotations import (
    HINT_PREFIX,
    MAX_REQUEST_LENGTH,
    REQUEST_PREFIX,
    HintClass,
    Request,
    Verb,
    hints,
    parse_request,
    requests,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("r1", Request(Verb.REJECT, id="r1", by="", text="")),
        ("r1 by=ann", Request(Verb.REJECT, id="r1", by="ann", text="")),
        ("r1 by=ann no tests", Request(Verb.REJECT, id="r1", by="ann", text="no tests")),
        ("r1 no tests by=ann", Request(Verb.REJECT, id="r1", by="", text="no tests by=ann")),
        ("  r1\n\tby=ann\n two\nlines ", Request(Verb.REJECT, id="r1", by="ann", text="two\nlines")),
        ("2026-11-21T06.30 x", Request(Verb.REJECT, id="2026-11-21T06.30", by="", text="x")),
        ("r1 by= x", Request(Verb.REJECT, id="r1", by="", text="by= x")),
    ],
)
def test_request_is_id_then_person_then_text(value: str, expected: Request) -> None:
    assert parse_request(f"{REQUEST_PREFIX}reject", value) == expected


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (f"{REQUEST_PREFIX}reject", ""),
        (f"{REQUEST_PREFIX}reject", "   "),
        (f"{REQUEST_PREFIX}reject", "-x"),
        (f"{REQUEST_PREFIX}reject", "a/b"),
        (f"{REQUEST_PREFIX}reject", "i" * 65),
        (f"{REQUEST_PREFIX}reject", "r1\u00a0by=ann"),
        (f"{REQUEST_PREFIX}reject", "r1\vby=ann"),
        (f"{REQUEST_PREFIX}reject", "\x1c r1 by=ann"),
        (f"{REQUEST_PREFIX}reject", "r1 " + "x" * MAX_REQUEST_LENGTH),
        (f"{REQUEST_PREFIX}explode", "r1"),
        (f"{REQUEST_PREFIX}Reject", "r1"),
        (REQUEST_PREFIX, "r1"),
        ("conveyor.dev/reject", "r1"),
        (f"x.{REQUEST_PREFIX}reject", "r1"),
    ],
)
def test_what_is_no_request_is_none(key: str, value: str) -> None:
    assert parse_request(key, value) is None


@given(st.sampled_from(Verb), st.text(max_size=MAX_REQUEST_LENGTH + 10))
def test_any_value_is_read_or_refused_within_the_limits(verb: Verb, value: str) -> None:
    request = parse_request(REQUEST_PREFIX + verb, value)
    assert request is None or (
        request.verb is verb and 1 <= len(request.id) <= 64 and len(request.by) <= 128 and len(request.text) <= 1024
    )


def test_requests_come_in_one_order_whatever_the_order_of_annotations() -> None:
    annotations = {
        f"{REQUEST_PREFIX}retry": "2",
        "team": "a",
        f"{REQUEST_PREFIX}approve": "1",
        f"{REQUEST_PREFIX}x": "3",
    }
    backwards = dict(reversed(annotations.items()))
    assert [request.verb for request in requests(annotations)] == [Verb.APPROVE, Verb.RETRY]
    assert requests(annotations) == requests(backwards)


def test_hints_are_known_classes_with_their_newest_key() -> None:
    annotations = {
        f"{HINT_PREFIX}ci": "abc/build",
        f"{HINT_PREFIX}gossip": "x",
        "conveyor.dev/freeze": "audit",
        "ci": "y",
    }
    assert hints(annotations) == {HintClass.CI: "abc/build"}
