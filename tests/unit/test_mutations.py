"""The seeded bugs of `scripts/mutate` fit the code as it is: a list that nobody runs would rot."""

import ast
from collections import Counter

import pytest

from scripts.guards import ROOT
from tests.mutations.bugs import BUGS, SUBSET
from tests.mutations.seed import Bug

EACH = pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)


@EACH
def test_bug_has_one_place_and_leaves_what_can_be_parsed(bug: Bug) -> None:
    text = (ROOT / bug.file).read_text()
    assert text.count(bug.old) == 1
    assert ast.dump(ast.parse(text.replace(bug.old, bug.new))) != ast.dump(ast.parse(text))


@EACH
def test_bug_is_looked_for_in_the_subset(bug: Bug) -> None:
    assert bug.first in SUBSET


def test_no_two_bugs_have_one_name_or_do_the_same() -> None:
    assert [name for name, times in Counter(bug.name for bug in BUGS).items() if times > 1] == []
    assert [place for place, times in Counter((it.file, it.old, it.new) for it in BUGS).items() if times > 1] == []


@pytest.mark.parametrize("file", SUBSET)
def test_file_of_the_subset_is_there(file: str) -> None:
    assert (ROOT / file).is_file()
