"""Coverage: what a merge needs, and the mark that follows it only upwards."""

from __future__ import annotations

from typing import Any

import pytest

from conveyor.api.objects import Repository, WorkItem
from conveyor.api.repository import Coverage
from conveyor.api.stages import Stage
from conveyor.api.workitem import Effect, Transition
from conveyor.pipeline.actions import Amend, Settle
from conveyor.pipeline.amending import amended
from conveyor.pipeline.leases import needed
from tests.unit.pipeline.builders import (
    HEAD,
    decided,
    facts,
    gate,
    item,
    last_run,
    merged_pull,
    pull,
    repository,
    review,
    settled,
    sha,
    transition,
)
from tests.unit.pipeline.landing_items import NEW, after
from tests.unit.pipeline.outcomes import decide_row

OTHER = sha("other")
ON: dict[str, Any] = {"approval": {"analysis": "Auto", "deploy": "Auto"}}


def ratcheted(mark: float | None, *, tolerance: float = 0, deploy: bool = True) -> Repository:
    """A Repository with the ratchet on and its mark."""
    gates = ON | {"coverage": {"enabled": True, "tolerance": tolerance}}
    of = repository(gates=gates) if deploy else repository(gates=gates, deploy={})
    stands = Coverage(percent=mark, sha=OTHER) if mark is not None else None
    return of.model_copy(update={"status": of.status.model_copy(update={"coverage": stands})})


def covered(percent: float | None, **fields: Any) -> WorkItem:
    """About to be merged, with what its tester said."""
    return item(Stage.DEPLOY_STAGING, last_run=last_run(Stage.TESTING, coverage=percent), **fields)


@pytest.mark.parametrize(
    ("percent", "mark", "tolerance", "expected"),
    [
        (80.0, 80.0, 0, "intends Merge"),
        (79.9, 80.0, 0, "-> development, charged Coverage, run developer"),
        (79.0, 80.0, 1, "intends Merge"),
        (78.9, 80.0, 1, "-> development, charged Coverage, run developer"),
        (80.2, 80.3, 0.1, "intends Merge"),
        (0.0, None, 0, "intends Merge"),
        (None, None, 0, "-> development, charged Coverage, run developer"),
        (None, 80.0, 100, "-> development, charged Coverage, run developer"),
    ],
)
def test_coverage_before_a_merge(percent: float | None, mark: float | None, tolerance: float, expected: str) -> None:
    assert decide_row(covered(percent), facts(), of=ratcheted(mark, tolerance=tolerance)) == expected


def test_with_the_ratchet_off_no_figure_is_asked_for() -> None:
    assert decide_row(covered(None), facts()) == "intends Merge"


@pytest.mark.parametrize(
    ("percent", "says"),
    [(None, "the tester's answer names no coverage"), (70.5, "coverage is 70.5 %, and 80 % is the least")],
)
def test_the_developer_is_told_what_is_wanted(percent: float | None, says: str) -> None:
    run = settled(covered(percent), of=ratcheted(80.0)).status.active_run
    assert run is not None
    assert says in run.reason


def test_a_developer_who_changes_nothing_is_charged_again() -> None:
    sent = settled(covered(70.0), of=ratcheted(80.0)).status
    back = item(Stage.DEVELOPMENT, attempts=sent.attempts)
    assert decide_row(back, facts()) == "charged Coverage, run developer"


def test_our_own_rebase_carries_the_figure_and_the_mark_is_asked_anew() -> None:
    words = (gate("review_approved"), gate("tests_passed"))
    whole = covered(80.0, gates=words, transition=transition(Effect.REBASE))
    new = facts(pull=pull(head_sha=NEW), reviews=(review(commit=HEAD),))
    rebased = after(whole, new)
    assert decide_row(rebased, new, of=ratcheted(80.0)) == "intends Merge"
    assert decide_row(rebased, new, of=ratcheted(81.0)).startswith("-> development, charged Coverage")


# --- the ratchet

MERGED = facts(head_in_base=True, pull=merged_pull("operator"))


def merging(percent: float | None) -> WorkItem:
    return covered(percent, transition=transition(Effect.MERGE))


def intent(of: Repository, percent: float | None = 82.0) -> tuple[WorkItem, Transition | None]:
    merged = after(merging(percent), MERGED, of=of)
    return merged, merged.status.transition


def test_merge_result_stage_and_ratchet_intent_are_one_write() -> None:
    status = intent(ratcheted(80.0))[0].status
    assert (status.stage, status.merge_sha) == (Stage.DEPLOY, HEAD)
    assert status.transition is not None
    found = status.transition
    assert (found.effect, found.to_stage, found.precondition.head_sha) == (Effect.RATCHET, Stage.DEPLOY, HEAD)
    assert [entry.transition_id for entry in status.history] == ["0123456789abcdef"]


@pytest.mark.parametrize(
    ("of", "percent"),
    [(repository(), 82.0), (ratcheted(82.0), 82.0), (ratcheted(90.0), 82.0), (ratcheted(80.0), None)],
    ids=["the ratchet is off", "the mark is there already", "the mark is higher", "nobody said a figure"],
)
def test_a_merge_that_raises_nothing_intends_no_ratchet(of: Repository, percent: float | None) -> None:
    merged, found = intent(of, percent)
    assert (merged.status.stage, found) == (Stage.DEPLOY, None)


def test_the_mark_names_the_merged_commit_and_goes_up() -> None:
    of = ratcheted(80.0)
    merged, _ = intent(of)
    action = decided(merged, facts(), of=of)
    assert action == Amend(coverage=Coverage(percent=82.0, sha=HEAD))


def test_the_ratchet_is_proven_by_the_repository_and_the_deploy_comes_after_it() -> None:
    of = ratcheted(80.0)
    merged, _ = intent(of)
    action = decided(merged, facts(), of=of)
    assert isinstance(action, Amend)
    raised = of.model_copy(update={"status": amended(of.status, action)})
    assert decide_row(merged, facts(), of=raised) == "Ratchet ended"
    assert decide_row(after(merged, facts(), of=raised), facts(), of=raised) == "intends Production"


def test_a_mark_that_somebody_raised_higher_meanwhile_stays() -> None:
    merged, _ = intent(ratcheted(80.0))
    assert decide_row(merged, facts(), of=ratcheted(95.0)) == "Ratchet ended"


@pytest.mark.parametrize(("there", "kept"), [(95.0, 95.0), (82.0, 82.0), (80.0, 82.0)])
def test_a_mark_that_is_written_late_never_lowers_what_stands(there: float, kept: float) -> None:
    mark = amended(ratcheted(there).status, Amend(coverage=Coverage(percent=82.0, sha=HEAD))).coverage
    assert mark is not None
    assert mark.percent == kept


def test_without_a_deploy_the_item_is_done_after_the_ratchet() -> None:
    merged, _ = intent(ratcheted(80.0, deploy=False))
    raised = ratcheted(82.0, deploy=False)
    assert decide_row(after(merged, facts(), of=raised), facts(), of=raised) == "-> done"


def test_a_ratchet_left_behind_is_taken_over_and_cancel_does_not_end_it() -> None:
    merged, found = intent(ratcheted(80.0))
    assert found is not None
    left = merged.status.model_copy(update={"transition": found.model_copy(update={"holder": "another"})})
    behind = merged.model_copy(update={"status": left})
    assert decide_row(behind, facts(), of=ratcheted(80.0)) == "Ratchet goes on"
    cancelled = merged.model_copy(update={"spec": merged.spec.model_copy(update={"cancel": True})})
    assert isinstance(decided(cancelled, facts(), of=ratcheted(80.0)), Amend)


def test_the_region_lasts_until_the_mark_is_proven() -> None:
    of = ratcheted(80.0)
    leased = transition(Effect.MERGE, lease_used=True)
    merged = covered(82.0, transition=leased)
    action = decided(merged, MERGED, of=of)
    assert isinstance(action, Settle)
    assert needed(merged, action, enabled=True) == {f"transition-{merged.metadata.uid}", "merge-shop"}
