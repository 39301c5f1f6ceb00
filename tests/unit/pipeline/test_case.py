"""What every stored status carries: conditions, and how the item came where it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from conveyor.api.stages import Stage
from conveyor.api.workitem import StalledReason
from conveyor.pipeline.case import Case, Facts, moved, settle
from tests.unit.pipeline.builders import (
    NOW,
    OPEN_LANE,
    PERSON,
    active_run,
    case,
    facts,
    green,
    item,
    pull,
    settled,
    stalled,
)
from tests.unit.pipeline.situations import FREEZES


def conditions(case_: Case) -> dict[str, tuple[str, str]]:
    found = settle(case_, case_.status).status.conditions
    return {condition.type: (condition.status, condition.reason) for condition in found}


@pytest.mark.parametrize(
    ("stage", "succeeded", "reconciling"),
    [
        (Stage.CREATED, ("Unknown", "UnderWay"), ("True", "Waiting")),
        (Stage.REVIEW, ("Unknown", "UnderWay"), ("True", "Waiting")),
        (Stage.DONE, ("True", "Done"), ("False", "Resting")),
        (Stage.CANCELLED, ("False", "Cancelled"), ("False", "Resting")),
    ],
)
def test_conditions_follow_the_stage(stage: Stage, succeeded: tuple[str, str], reconciling: tuple[str, str]) -> None:
    found = conditions(case(item(stage)))
    assert (found["Succeeded"], found["Reconciling"]) == (succeeded, reconciling)


def test_a_run_at_work_is_work() -> None:
    assert conditions(case(item(Stage.REVIEW, active_run=active_run(Stage.REVIEW))))["Reconciling"] == (
        "True",
        "AtWork",
    )


def test_stalled_is_not_reconciling() -> None:
    found = conditions(case(stalled(item(Stage.REVIEW), StalledReason.CI_SILENT)))
    assert (found["Stalled"], found["Reconciling"]) == (("True", "CISilent"), ("False", "Resting"))


def test_an_open_gate_awaits_approval() -> None:
    opened = settled(item(Stage.ANALYSIS), facts(), of=PERSON).status
    condition = opened.condition("AwaitingApproval")
    assert condition is not None
    assert (condition.status, condition.message) == ("True", "analysis_approved")


def test_a_condition_keeps_its_time_until_its_status_changes() -> None:
    first = settled(item(Stage.DEVELOPMENT), facts(statuses=())).status
    whole = item(Stage.DEVELOPMENT).model_copy(update={"status": first})
    later = settled(whole, facts(statuses=(green("pending"),)), now=NOW + timedelta(minutes=5)).status
    assert {condition.last_transition_time for condition in later.conditions} == {NOW}


@pytest.mark.parametrize(
    ("stage", "is_there"),
    [(Stage.CREATED, False), (Stage.ANALYSIS, True), (Stage.DEPLOY, True), (Stage.DONE, False)],
)
def test_frozen_stands_on_items_under_way_alone(stage: Stage, *, is_there: bool) -> None:
    known = Facts(lane=replace(OPEN_LANE, freeze=FREEZES["merge"]))
    assert ("Frozen" in conditions(case(item(stage), known))) is is_there


def test_frozen_goes_with_the_freeze() -> None:
    frozen = facts(lane=replace(OPEN_LANE, freeze=FREEZES["admission"]), pull=pull(state="closed"))
    first = settled(item(Stage.REVIEW), frozen).status
    assert first.condition("Frozen") is not None
    thawed = settled(item(Stage.REVIEW).model_copy(update={"status": first}), facts(pull=pull(state="closed"))).status
    assert thawed.condition("Frozen") is None


def test_a_move_ends_what_belonged_to_the_stage() -> None:
    whole = stalled(item(Stage.REVIEW), StalledReason.CI_SILENT)
    status = moved(case(whole), whole.status, Stage.TESTING, cause="x")
    assert (status.waiting, status.approval, status.transition, status.stalled) == (None, None, None, None)
    assert status.stage_entered_time == NOW


def test_a_move_that_is_no_edge_is_a_bug() -> None:
    with pytest.raises(ValueError, match="no edge"):
        moved(case(item(Stage.ANALYSIS)), item(Stage.ANALYSIS).status, Stage.DEPLOY, cause="x")


def test_deciding_twice_with_nothing_changed_stores_the_same() -> None:
    known = facts(statuses=())
    once = settled(item(Stage.DEVELOPMENT), known).status
    assert settled(item(Stage.DEVELOPMENT).model_copy(update={"status": once}), known).status == once
