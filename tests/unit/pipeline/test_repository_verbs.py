"""Requests on a Repository: each answered once, the forge asked for `refresh` alone."""

from collections.abc import Mapping

import pytest

from conveyor.api.annotations import FREEZE, Verb
from conveyor.api.objects import Repository
from conveyor.api.repository import Freeze, RepositoryStatus
from conveyor.pipeline.freezes import standing
from conveyor.pipeline.repository_verbs import Answered, answered
from tests.unit.pipeline.builders import NOW, metadata, repository

FREEZES = tuple(Freeze(id=name, reason=f"{name} failed", since_time=NOW) for name in ("one", "two"))


def asked(requests: Mapping[str, str], *, freezes: tuple[Freeze, ...] = FREEZES, **annotations: str) -> Repository:
    """`annotations` under other keys, as they are."""
    found = {f"request.conveyor.dev/{verb}": text for verb, text in requests.items()} | annotations
    whole = repository()
    return whole.model_copy(
        update={"metadata": metadata("shop", annotations=found), "status": RepositoryStatus(freezes=freezes)}
    )


def echo(found: Answered) -> list[tuple[str, str, str]]:
    return [(entry.verb, entry.id, entry.result) for entry in found.status.handled_requests]


ROWS: list[tuple[str, str, list[str]]] = [
    ("r1 by=ann one", "Accepted", ["two"]),
    ("r1 by=ann one the cause is mended", "Accepted", ["two"]),
    ("r1 all", "Accepted", []),
    ("r1 by=ann", "Refused: say which: all, or one of one, two", ["one", "two"]),
    ("r1 by=ann three", "Refused: no automatic freeze three stands; there stand one, two", ["one", "two"]),
    ("r1 by=ann ALL", "Refused: no automatic freeze ALL stands; there stand one, two", ["one", "two"]),
]


@pytest.mark.parametrize(("request_", "result", "stand"), ROWS, ids=[row[0] for row in ROWS])
def test_unfreeze_clears_what_it_names_or_is_refused_with_what_stands(
    request_: str, result: str, stand: list[str]
) -> None:
    found = answered(asked({"unfreeze": request_}), NOW, looked=False)
    assert echo(found) == [("unfreeze", "r1", result)]
    assert [freeze.id for freeze in standing(found.status.freezes)] == stand


def test_a_freeze_in_git_is_not_ended_by_the_verb_and_the_refusal_says_so() -> None:
    whole = asked({"unfreeze": "r1 by=ann all"}, freezes=(), **{FREEZE: "audit"})
    found = answered(whole, NOW, looked=False)
    text = "Refused: no automatic freeze stands; annotation conveyor.dev/freeze ends where it was set"
    assert echo(found) == [("unfreeze", "r1", text)]


def test_people_are_told_what_was_cleared_by_whom_and_why() -> None:
    found = answered(asked({"unfreeze": "r1 by=ann one mended"}), NOW, looked=False)
    assert [(note.reason, note.text) for note in found.notes] == [
        ("RequestAccepted", "unfreeze r1 by ann"),
        ("Unfrozen", "freeze one (one failed) cleared by ann: mended"),
    ]


def test_a_request_is_answered_once() -> None:
    whole = asked({"unfreeze": "r1 by=ann one"})
    first = answered(whole, NOW, looked=False)
    again = answered(whole.model_copy(update={"status": first.status}), NOW, looked=False)
    assert again == Answered(first.status)


def test_a_long_hostile_text_fits_the_record() -> None:
    found = answered(asked({"unfreeze": "r1 by=" + "x" * 128 + " " + "\x1b[31m" * 150}), NOW, looked=False)
    stored = RepositoryStatus.model_validate(found.status.dump())
    assert stored.handled_requests[0].result.startswith("Refused: no automatic freeze ")


def test_refresh_is_answered_when_forge_and_tracker_were_read() -> None:
    whole = asked({"refresh": "r1"})
    assert answered(whole, NOW, looked=False) == Answered(whole.status)
    assert echo(answered(whole, NOW, looked=True)) == [("refresh", "r1", "Accepted")]


@pytest.mark.parametrize("verb", sorted(set(Verb) - {Verb.REFRESH, Verb.UNFREEZE}))
def test_what_is_asked_of_items_is_refused(verb: Verb) -> None:
    found = answered(asked({verb.value: "r1 by=ann x"}), NOW, looked=False)
    assert echo(found) == [(verb.value, "r1", f"Refused: {verb.value} means nothing for a Repository")]
