"""Only what a decision will ask for is read: and nothing that it would have gone forward by stays unread."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from conveyor.api.answers import Verdict
from conveyor.api.objects import Repository, WorkItem
from conveyor.api.stages import Stage
from conveyor.api.workitem import Effect, StalledReason
from conveyor.pipeline.actions import Action, Settle
from conveyor.pipeline.case import Case, Facts
from conveyor.pipeline.decide import decide
from conveyor.pipeline.facts import NOT_READ
from conveyor.pipeline.lane import DependencyFact, DependencyState, Lane
from conveyor.pipeline.wants import Want, may_start, wants
from tests.quick import thinned
from tests.unit.pipeline.builders import (
    AUTO,
    NOW,
    OPEN_LANE,
    PERSON,
    POLICY,
    active_run,
    approval,
    facts,
    item,
    last_run,
    metadata,
    seen,
    stalled,
    transition,
)
from tests.unit.pipeline.situations import VALUES, oddities
from tests.unit.pipeline.variants import intents, variants

TICKET = {Want.TICKET, Want.STATES}
STAGING = {
    Want.PULL,
    Want.CHANGE_ID,
    Want.STATUSES,
    Want.REVIEWS,
    Want.BASE,
    Want.BASE_IN_HEAD,
    Want.HEAD_IN_BASE,
}


def wanted(whole: WorkItem, *, of: Repository = AUTO, lane: Lane = OPEN_LANE, look: bool = False) -> set[Want]:
    return set(wants(whole, of, lane, look_at_ticket=look))


def asks(**fields: Any) -> WorkItem:
    return item(Stage.REVIEW, last_run=last_run(Stage.REVIEW, Verdict.BLOCKED, question="which?"), **fields)


NEEDS = DependencyFact("shop-et-3", DependencyState.OPEN)
ROWS: tuple[tuple[str, WorkItem, set[Want]], ...] = (
    ("a new item", item(None), set()),
    ("an item that is done", item(Stage.DONE), set()),
    ("the head of its lane", item(Stage.CREATED), {Want.BRANCH, Want.BASE}),
    ("the head of its lane, of a ticket", item(Stage.CREATED, source=True), {Want.BRANCH, Want.BASE, *TICKET}),
    ("a claimed run", item(Stage.ANALYSIS, active_run=active_run(Stage.ANALYSIS)), {Want.RUN_JOB}),
    ("a run on a pull request", item(Stage.REVIEW, active_run=active_run(Stage.REVIEW)), {Want.RUN_JOB, Want.PULL}),
    ("analysis with its role's pass", item(Stage.ANALYSIS), {Want.BRANCH, Want.CHANGED}),
    ("analysis before its role has worked", item(Stage.ANALYSIS, last_run=None), set()),
    ("development", item(Stage.DEVELOPMENT), {Want.PULL, Want.CHANGE_ID, Want.STATUSES, Want.HEAD_IN_BASE}),
    ("review", item(Stage.REVIEW), {Want.PULL, Want.CHANGE_ID, Want.REVIEWS, Want.HEAD_IN_BASE}),
    ("testing", item(Stage.TESTING), {Want.PULL, Want.CHANGE_ID, Want.HEAD_IN_BASE}),
    ("review with a question", asks(), {Want.PULL, Want.CHANGE_ID, Want.HEAD_IN_BASE}),
    ("deploy-staging", item(Stage.DEPLOY_STAGING), STAGING),
    ("deploy", item(Stage.DEPLOY), set()),
    ("an intended branch", item(Stage.CREATED, transition=transition(Effect.CUT_BRANCH)), {Want.BRANCH}),
    ("an intended deploy", item(Stage.DEPLOY, transition=transition(Effect.PRODUCTION)), {Want.EFFECT_JOB}),
    (
        "an intended image",
        item(Stage.DEPLOY_STAGING, transition=transition(Effect.IMAGE)),
        {Want.EFFECT_JOB, Want.PULL},
    ),
    (
        "an intended rollback",
        item(Stage.DEPLOY, transition=transition(Effect.ROLLBACK)),
        {Want.EFFECT_JOB, Want.BASE},
    ),
    ("a deploy that failed", stalled(item(Stage.DEPLOY), StalledReason.DEPLOY_FAILED), {Want.BASE}),
)


@pytest.mark.parametrize(("whole", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_what_is_read_for(whole: WorkItem, expected: set[Want]) -> None:
    assert wanted(whole) == expected


def test_nothing_is_read_of_an_item_being_deleted() -> None:
    gone = metadata("shop-et-17").model_copy(update={"deletion_timestamp": metadata("x").creation_timestamp})
    assert wanted(item(Stage.REVIEW).model_copy(update={"metadata": gone})) == set()


@pytest.mark.parametrize(
    "lane",
    [
        Lane(),
        replace(OPEN_LANE, first=False),
        replace(OPEN_LANE, occupied_by="x"),
        replace(OPEN_LANE, watched_until=NOW),
        replace(OPEN_LANE, cycle=("a",)),
        replace(OPEN_LANE, dependencies=(NEEDS,)),
    ],
    ids=["not ready", "not first", "occupied", "being watched", "in a cycle", "with open dependencies"],
)
def test_nothing_is_read_for_an_item_that_waits_in_line(lane: Lane) -> None:
    assert not may_start(lane)
    assert wanted(item(Stage.CREATED, source=True), lane=lane) == set()
    assert wanted(item(Stage.CREATED, source=True), lane=lane, look=True) == TICKET


GATE = (
    ("a gate that may have to be opened", item(Stage.ANALYSIS, source=True), PERSON, True),
    ("an open gate", item(Stage.ANALYSIS, source=True, approval=approval("analysis_approved")), PERSON, True),
    ("no gate", item(Stage.ANALYSIS, source=True), AUTO, False),
    ("no ticket", item(Stage.ANALYSIS), PERSON, False),
    ("another stage", item(Stage.REVIEW, source=True), PERSON, False),
    ("Stalled", stalled(item(Stage.REVIEW, source=True), StalledReason.CI_SILENT), AUTO, False),
)


@pytest.mark.parametrize(("whole", "of", "is_read"), [row[1:] for row in GATE], ids=[row[0] for row in GATE])
def test_unasked_the_ticket_is_read_for_gates_alone(whole: WorkItem, of: Repository, *, is_read: bool) -> None:
    assert (wanted(whole, of=of) >= TICKET) is is_read


@pytest.mark.parametrize("stage", [Stage.ANALYSIS, Stage.REVIEW, Stage.DEPLOY_STAGING, Stage.DEPLOY])
def test_told_to_look_the_ticket_is_read(stage: Stage) -> None:
    assert wanted(item(stage, source=True, tracker=seen()), look=True) >= TICKET


def _forward(case: Case, action: Action) -> tuple[object, object] | None:
    """Where it goes on to, and by which effect; None where it stays or goes back."""
    if not isinstance(action, Settle):
        return None
    order, status = list(Stage), action.status
    if status.stage not in (None, Stage.CANCELLED) and order.index(status.stage) > order.index(case.stage):
        return status.stage, None
    begun = status.transition is not None and case.status.transition is None
    return (case.stage, status.transition.effect) if begun and status.transition is not None else None


@pytest.mark.parametrize("stage", list(Stage), ids=str)
def test_what_was_not_asked_for_would_not_have_moved_the_item_forward(stage: Stage) -> None:
    """With only the wanted facts known a step forward is taken exactly where it is with everything known."""
    found = [found for found in variants(stage) if stage != Stage.CREATED or not found[0].startswith("Stalled")]
    found += [(name, whole) for name, whole in intents() if whole.status.stage == stage]
    for name, whole in thinned(found):
        there_is = frozenset(Want) - (TICKET if whole.spec.source is None else set())
        for of in (AUTO, PERSON):
            for known in _some_facts(there_is):
                full = Case(whole, of, _only(there_is, known), POLICY, NOW)
                partly = replace(full, facts=_only(wants(whole, of, known.lane, look_at_ticket=True), known))
                assert _forward(full, decide(full)) == _forward(partly, decide(partly)), (name, oddities(known))


def _some_facts(there_is: frozenset[Want]) -> list[Facts]:
    """All good, and each fact that there is as each of its other values."""
    odd = [facts(**{want.value: value}) for want in Want if want in there_is for value in VALUES[want][1:]]
    return [facts(), *odd]


def _only(read: frozenset[Want], known: Facts) -> Facts:
    unread: dict[str, Any] = {want.value: NOT_READ for want in Want if want not in read}
    return replace(known, **unread)


def test_of_what_has_ended_nothing_is_read_but_the_pull_request_that_may_yet_be_merged() -> None:
    ended = item(Stage.CANCELLED)
    assert wants(ended, AUTO, OPEN_LANE, look_at_ticket=True) == set()
    assert wants(ended, AUTO, OPEN_LANE, look_at_ticket=True, may_be_merged=True) == {Want.PULL}
