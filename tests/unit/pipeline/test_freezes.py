"""Automatic freezes: added once, kept as a record as long as there is room, cleared by the id that a person names."""

from datetime import timedelta

import pytest

from conveyor.api.repository import Freeze, RepositoryStatus
from conveyor.pipeline.actions import Amend
from conveyor.pipeline.amending import amended
from conveyor.pipeline.freezes import MAX_FREEZES, cleared, standing, with_freeze
from tests.unit.pipeline.builders import NOW


def freeze(number: int, *, ended: bool = False) -> Freeze:
    """The higher the number, the younger; it was cleared an hour after it began."""
    since = NOW - timedelta(days=100 - number)
    word = {"cleared_time": since + timedelta(hours=1), "cleared_by": "ann"} if ended else {}
    return Freeze(id=f"f{number}", reason="the deploy failed", since_time=since).model_copy(update=word)


def ids(freezes: tuple[Freeze, ...]) -> list[str]:
    return [one.id for one in freezes]


def test_a_freeze_is_added_once() -> None:
    once = with_freeze((), freeze(1))
    assert with_freeze(once, freeze(1)) == once == (freeze(1),)


def test_a_freeze_that_was_cleared_stays_cleared() -> None:
    assert with_freeze((freeze(1, ended=True),), freeze(1)) == (freeze(1, ended=True),)


def test_where_there_is_no_room_the_longest_cleared_goes() -> None:
    full = (freeze(0), *(freeze(number, ended=number > 3) for number in range(1, MAX_FREEZES)))
    after = with_freeze(full, freeze(50))
    assert set(ids(full)) - set(ids(after)) == {"f4"}
    assert ids(after)[-1] == "f50"
    RepositoryStatus.model_validate({"freezes": after})


def test_where_all_stand_there_are_as_many_after_one_more_and_the_newest_is_one() -> None:
    after = with_freeze(tuple(freeze(number) for number in range(MAX_FREEZES)), freeze(50))
    assert (len(standing(after)), ids(after)[-1], "f0" in ids(after)) == (MAX_FREEZES, "f50", False)


def test_what_a_transition_leaves_behind_keeps_to_that_bound() -> None:
    full = tuple(freeze(number, ended=True) for number in range(MAX_FREEZES))
    after = amended(RepositoryStatus(freezes=full), Amend(freeze=freeze(50)))
    assert ids(standing(after.freezes)) == ["f50"]
    assert len(after.freezes) == MAX_FREEZES


@pytest.mark.parametrize(("which", "ended"), [("f1", ["f1"]), ("all", ["f1", "f2"]), ("f3", []), ("f9", []), ("", [])])
def test_what_is_named_is_cleared_and_nothing_else(which: str, ended: list[str]) -> None:
    before = (freeze(1), freeze(2), freeze(3, ended=True))
    after, changed = cleared(before, which, by="ann@example.org", now=NOW)
    assert ids(changed) == ended
    assert all((one.cleared_time, one.cleared_by) == (NOW, "ann@example.org") for one in changed)
    assert [one for one in after if one.id not in ended] == [one for one in before if one.id not in ended]
