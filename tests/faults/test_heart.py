"""The writes at the heart of an item's way, each with the faults that hurt most; `scripts/faults` does all of them.

| write, of merge and of production | fault |
|---|---|
| intent | killed after it, answer lost, carried out twice, arriving while a successor is at work |
| effect: the merge itself, the Job's creation, its start | some of the same, and 500 though it was carried out |
| result | killed after it, 500 though it was carried out, arriving while a successor is at work |
"""

from collections.abc import Mapping

import pytest

from tests.faults.cases import Case, Result
from tests.faults.faults import Fault, Target
from tests.faults.scenarios import PLAIN

pytestmark = pytest.mark.slow

INTENT = (Fault.KILL_AFTER, Fault.DROP_ANSWER, Fault.REPEAT_SECOND, Fault.LATE_IN_THE_RACE)
EFFECT = (Fault.KILL_AFTER, Fault.DROP_ANSWER, Fault.ERROR_APPLIED, Fault.REPEAT_SECOND, Fault.LATE_IN_THE_RACE)
RESULT = (Fault.KILL_AFTER, Fault.ERROR_APPLIED, Fault.LATE)
HEART = {
    "item: intent Merge": INTENT,
    "forge: POST pulls/n/merge fast-forward-only": EFFECT,
    "item: to deploy, end of Merge": RESULT,
    "item: intent Production": INTENT,
    "Job Production: create": (Fault.KILL_AFTER, Fault.ERROR_APPLIED, Fault.REPEAT_SECOND, Fault.LATE_IN_THE_RACE),
    "Job Production: start": (Fault.KILL_AFTER, Fault.DROP_ANSWER, Fault.LATE_IN_THE_RACE),
    "item: to done, end of Production": RESULT,
}
ALWAYS = {
    "item: intent Merge": (Fault.KILL_AFTER,),
    "forge: POST pulls/n/merge fast-forward-only": (Fault.KILL_AFTER, Fault.LATE_IN_THE_RACE),
    "Job Production: start": (Fault.KILL_AFTER,),
}
"""What `scripts/test` has of it."""


CASES = [(Case(PLAIN.name, Target(write), fault), write, fault) for write, faults in HEART.items() for fault in faults]
PARAMETERS = [
    pytest.param(
        case,
        id=f"{case.target}-{case.fault}".replace(" ", "_"),
        marks=[pytest.mark.long] * (fault not in ALWAYS.get(write, ())),
    )
    for case, write, fault in CASES
]


@pytest.mark.parametrize("case", PARAMETERS)
def test_disturbed_write_ends_as_if_nothing_had_been(case: Case, results: Mapping[Case, Result]) -> None:
    result = results[case]
    assert result.findings == [], result.log
    assert result.outcome == "ok", "the write never came: rename it here after `scripts/faults --list`"
