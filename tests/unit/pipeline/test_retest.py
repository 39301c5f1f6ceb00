"""CI on a commit that our own rebase made: it has to be green there within a time of its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from conveyor.api.workitem import StalledReason
from conveyor.pipeline.gates import MOVED_AGAIN
from tests.unit.pipeline.builders import (
    HEAD,
    NOW,
    OPEN_LANE,
    facts,
    green,
    repository,
    review,
    settled,
)
from tests.unit.pipeline.landing_items import (
    HAD_IT,
    MOVED_PULL,
    after,
    rebased,
    told,
)
from tests.unit.pipeline.outcomes import decide_row
from tests.unit.pipeline.situations import FREEZES

ON_NEW = facts(pull=MOVED_PULL, reviews=(review(commit=HEAD),))
LATE = NOW + timedelta(seconds=900)


@pytest.mark.parametrize(
    ("statuses", "now", "expected"),
    [
        ((green("failure"),), NOW, "-> development, charged CI, run developer"),
        ((green("failure"),), LATE, "-> development, charged CI, run developer"),
        ((), NOW, "waits CI"),
        ((green("pending"),), LATE - timedelta(seconds=1), "waits CI"),
        ((), LATE, "Stalled CISilent"),
        ((green("pending"),), LATE, "Stalled CISilent"),
        ((green(),), LATE, "intends Merge"),
    ],
    ids=["red", "red late", "no word yet", "at work in time", "no word in time", "not finished in time", "green late"],
)
def test_ci_on_the_rebased_commit(statuses: Any, now: Any, expected: str) -> None:
    assert decide_row(rebased(), replace(ON_NEW, statuses=statuses), now=now) == expected


def test_the_time_for_ci_is_the_repositorys_and_counts_across_passes_and_processes() -> None:
    of = repository(merge={"retestTimeoutSeconds": 60})
    whole, working = rebased(), replace(ON_NEW, statuses=(green("pending"),))
    for second in (1, 30, 59):
        now = NOW + timedelta(seconds=second)
        assert decide_row(whole, working, of=of, now=now) == "waits CI"
        whole = after(whole, working, of=of, now=now)
    stored = whole.model_copy(update={"status": type(whole.status).model_validate(whole.status.dump())})
    silent = settled(stored, working, of=of, now=NOW + timedelta(seconds=60)).status
    assert silent.stalled == StalledReason.CI_SILENT
    assert silent.waiting is not None
    assert "60 s since the rebase are over" in silent.waiting.message


SILENT = after(rebased(), replace(ON_NEW, statuses=()), now=LATE)


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((), "Stalled CISilent"),
        ((green("pending"),), "Stalled CISilent"),
        ((green(),), "intends Merge"),
        ((green("error"),), "-> development, charged CI, run developer"),
    ],
    ids=["no word", "at work", "green", "red"],
)
def test_ci_that_was_too_late_ends_the_stall_with_its_word(statuses: Any, expected: str) -> None:
    assert decide_row(SILENT, replace(ON_NEW, statuses=statuses), now=LATE) == expected


def test_retry_waits_once_more_for_ci_on_the_rebased_commit() -> None:
    working = replace(ON_NEW, statuses=(green("pending"),))
    again = after(told(SILENT, "retry"), working, now=LATE)
    assert decide_row(again, working, now=LATE) == "waits CI"
    assert decide_row(again, working, now=LATE + timedelta(seconds=900)) == "Stalled CISilent"


def test_once_ci_was_green_a_run_of_it_anew_has_the_ordinary_time() -> None:
    frozen = replace(ON_NEW, lane=replace(OPEN_LANE, freeze=FREEZES["merge"]))
    green_once = after(rebased(), frozen)
    assert decide_row(green_once, replace(ON_NEW, statuses=(green("pending"),)), now=LATE) == "waits CI"


def test_a_commit_that_was_not_rebased_has_the_ordinary_time_for_ci() -> None:
    assert decide_row(HAD_IT, facts(statuses=(green("pending"),)), now=LATE) == "waits CI"


def test_a_base_that_moved_while_ci_worked_is_charged_once_ci_is_green() -> None:
    assert decide_row(rebased(), replace(ON_NEW, base_in_head=False)) == "charged BaseMoved, intends Rebase"
    moved = settled(rebased(), replace(ON_NEW, base_in_head=False)).status
    assert moved.gate("branch_mergeable") is not None
    assert [entry.reason for entry in moved.gates if entry.name == "branch_mergeable"] == [MOVED_AGAIN]


def test_without_a_ci_gate_the_rebased_commit_is_merged_at_once() -> None:
    off = repository(gates={"ci": {"mode": "None"}, "approval": {"analysis": "Auto", "deploy": "Auto"}})
    assert decide_row(rebased(), replace(ON_NEW, statuses=()), of=off) == "intends Merge"
