"""The writes at the heart of an item's way, each with the faults that hurt most; `scripts/faults` does all of them.

| write | | fault |
|---|---|---|
| intent | of merge and of production | killed after it |
| effect | the merge itself, the Job itself | its answer lost, or 500 though it was carried out |
| result | of both | carried out twice; arriving when another operator is at work |
"""

from collections.abc import Mapping

import pytest

from tests.faults.cases import Case, Result
from tests.faults.faults import Fault, Target
from tests.faults.scenarios import PLAIN

pytestmark = pytest.mark.slow

WRITES = (
    "item: intent Merge",
    "forge: POST pulls/n/merge fast-forward-only",
    "item: to deploy, intent ends",
    "item: intent Production",
    "Job Production: create",
    "item: to done, intent ends",
)
FAULTS = (Fault.KILL_AFTER, Fault.DROP_ANSWER, Fault.ERROR_APPLIED, Fault.REPEAT_SECOND, Fault.LATE_IN_THE_RACE)
CASES = [Case(PLAIN.name, Target(write), fault) for write in WRITES for fault in FAULTS]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.target}-{case.fault}".replace(" ", "_"))
def test_disturbed_write_ends_as_if_nothing_had_been(case: Case, results: Mapping[Case, Result]) -> None:
    result = results[case]
    assert result.findings == [], result.log
    assert result.outcome == "ok", "the write never came: rename it here after `scripts/faults --list`"
