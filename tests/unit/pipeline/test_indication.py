"""A project's states by meaning, and the state that shows where an item is."""

from collections.abc import Sequence
from typing import Any

import pytest

from conveyor.api.stages import Stage
from conveyor.pipeline.facts import TrackerState
from conveyor.pipeline.indication import DEFAULT_NAMES, FALLBACK, LogicalState, indicated_state, resolve

USUAL = {
    "To Analyse": "unstarted",
    "Analysis": "started",
    "Needs Input": "started",
    "In Progress": "started",
    "Code Review": "started",
    "Awaiting Deploy": "started",
    "Deploying": "started",
    "Approved": "started",
    "Rejected": "started",
    "Blocked": "started",
    "Done": "completed",
    "Monitoring": "completed",
    "Cancelled": "cancelled",
}


def project(*names: str, without: Sequence[str] = ()) -> tuple[TrackerState, ...]:
    """The usual states or the named ones, each with the id `id-<name>`."""
    return tuple(
        TrackerState(id=f"id-{name}", name=name, group=USUAL.get(name, "started"))
        for name in names or USUAL
        if name not in without
    )


# --- looking up


@pytest.mark.parametrize("logical", list(LogicalState))
def test_project_with_the_usual_names_has_every_state(logical: LogicalState) -> None:
    assert resolve(project(), {}).id_of(logical) == f"id-{DEFAULT_NAMES[logical][0]}"


@pytest.mark.parametrize(
    ("logical", "name"), [(logical, name) for logical, names in DEFAULT_NAMES.items() for name in names]
)
def test_usual_name_in_other_case_is_found(logical: LogicalState, name: str) -> None:
    group = {LogicalState.DONE: "completed", LogicalState.CANCELLED: "cancelled"}.get(logical, "started")

    states = resolve((TrackerState("x", name.upper(), group),), {})

    assert states.ids == {logical: "x"}


@pytest.mark.parametrize(
    ("logical", "fallback"),
    [
        ("analysis", "In Progress"),
        ("code_review", "In Progress"),
        ("awaiting_deploy", "In Progress"),
        ("deploying", "In Progress"),
        ("monitoring", "Done"),
        ("needs_input", None),
        ("in_progress", None),
        ("done", None),
        ("blocked", None),
        ("approved", None),
        ("rejected", None),
        ("cancelled", None),
    ],
)
def test_state_the_project_lacks_falls_back_as_the_table_says(logical: str, fallback: str | None) -> None:
    states = project(without=DEFAULT_NAMES[LogicalState(logical)])

    assert resolve(states, {}).id_of(LogicalState(logical)) == (f"id-{fallback}" if fallback else None)


def test_fallback_goes_one_hop_only() -> None:
    assert not set(FALLBACK.values()) & set(FALLBACK)


def test_project_without_to_analyse_starts_by_in_progress() -> None:
    assert resolve(project(without=["To Analyse"]), {}).start_ids == {"id-In Progress"}


@pytest.mark.parametrize("logical", ["analysis", "code_review", "awaiting_deploy", "deploying"])
def test_fallback_that_would_start_work_is_not_set(logical: str) -> None:
    states = resolve(project("In Progress", "Done"), {})

    assert states.id_of(LogicalState(logical)) is None


def test_in_progress_that_starts_work_is_still_shown_for_itself() -> None:
    assert resolve(project("In Progress"), {}).id_of(LogicalState.IN_PROGRESS) == "id-In Progress"


def test_project_without_any_start_state_starts_nothing() -> None:
    assert resolve(project("Done"), {}).start_ids == frozenset()


# --- configured


@pytest.mark.parametrize("value", ["Разработка", "разработка", "id-Разработка"])
def test_configured_name_or_id_replaces_the_usual_one(value: str) -> None:
    states = resolve(project("In Progress", "Разработка"), {"in_progress": value})

    assert states.id_of(LogicalState.IN_PROGRESS) == "id-Разработка"


def test_id_goes_before_another_state_of_that_name() -> None:
    states = (TrackerState("a", "b", "started"), TrackerState("b", "Work", "started"))

    assert resolve(states, {"in_progress": "b"}).id_of(LogicalState.IN_PROGRESS) == "b"


def test_exact_name_goes_before_the_same_in_another_case() -> None:
    states = (TrackerState("1", "review", "started"), TrackerState("2", "Review", "started"))

    assert resolve(states, {"code_review": "Review"}).ids[LogicalState.CODE_REVIEW] == "2"


@pytest.mark.parametrize(
    ("configured", "missing"),
    [
        pytest.param({"blocked": "Stuck"}, ("blocked",), id="the project has no such state"),
        pytest.param({"blocked": "Twice"}, ("blocked",), id="two states have this name"),
        pytest.param({"blocked": ""}, ("blocked",), id="the name is empty"),
        pytest.param({"blokced": "Blocked"}, ("blokced",), id="there is no such logical state"),
        pytest.param({"blocked": "Done"}, ("blocked",), id="a closed state cannot show work under way"),
        pytest.param({"cancelled": "Done"}, ("cancelled",), id="a completed state is not a cancelled one"),
        pytest.param({"done": "Cancelled"}, ("done",), id="a cancelled state is not done"),
        pytest.param({"approved": "Rejected"}, ("approved", "rejected"), id="one state for both verdicts"),
        pytest.param({"approved": "To Analyse"}, ("approved",), id="a start state is no verdict"),
        pytest.param({"done": "Released"}, (), id="done may be a state in work"),
    ],
)
def test_configured_state_that_cannot_be_used_is_lacking(configured: dict[str, str], missing: tuple[str, ...]) -> None:
    states = (
        *project(),
        TrackerState("t1", "Twice", "started"),
        TrackerState("t2", "Twice", "started"),
        TrackerState("r", "Released", "started"),
    )

    assert resolve(states, configured).lacking(person_gates=True) == missing


def test_configured_state_that_is_not_found_is_not_replaced_by_the_usual_one() -> None:
    assert resolve(project(), {"to_analyse": "Ready"}).start_ids == frozenset()


def test_usual_name_held_by_two_states_is_not_found() -> None:
    states = (TrackerState("1", "Blocked", "started"), TrackerState("2", "Blocked", "started"))

    assert resolve(states, {}).id_of(LogicalState.BLOCKED) is None


@pytest.mark.parametrize(("person_gates", "lacking"), [(True, ("approved", "rejected")), (False, ())])
def test_verdict_states_are_lacking_only_where_a_person_decides(person_gates: bool, lacking: tuple[str, ...]) -> None:
    states = resolve(project(without=["Approved", "Rejected"]), {})

    assert states.lacking(person_gates=person_gates) == lacking


# --- meaning


@pytest.mark.parametrize("logical", list(LogicalState))
def test_state_set_by_its_meaning_is_read_back_as_that(logical: LogicalState) -> None:
    states = resolve(project(), {})

    assert states.logical_of(states.ids[logical]) is logical


def test_state_used_for_work_and_for_start_is_read_as_start() -> None:
    states = resolve(project(), {"analysis": "To Analyse"})

    assert states.logical_of("id-To Analyse") is LogicalState.TO_ANALYSE


def test_unknown_state_means_nothing_and_closes_nothing() -> None:
    states = resolve(project(), {})

    assert (states.logical_of("?"), states.group_of("?"), states.is_terminal("?")) == (None, None, False)


@pytest.mark.parametrize(
    ("group", "terminal", "cancelled"),
    [
        ("backlog", False, False),
        ("unstarted", False, False),
        ("started", False, False),
        ("completed", True, False),
        ("cancelled", True, True),
    ],
)
def test_terminal_is_told_by_the_group_whatever_the_name(group: str, terminal: bool, cancelled: bool) -> None:
    states = resolve((TrackerState("x", "In Progress", group),), {})

    assert (states.is_terminal("x"), states.is_cancelled("x")) == (terminal, cancelled)


# --- what is shown


@pytest.mark.parametrize(
    ("stage", "shown"),
    [
        (Stage.CREATED, None),
        (Stage.ANALYSIS, LogicalState.ANALYSIS),
        (Stage.ARCHITECTURE, LogicalState.ANALYSIS),
        (Stage.DEVELOPMENT, LogicalState.IN_PROGRESS),
        (Stage.REVIEW, LogicalState.CODE_REVIEW),
        (Stage.TESTING, LogicalState.IN_PROGRESS),
        (Stage.DEPLOY_STAGING, LogicalState.AWAITING_DEPLOY),
        (Stage.DEPLOY, LogicalState.DEPLOYING),
        (Stage.DONE, LogicalState.DONE),
        (Stage.CANCELLED, LogicalState.CANCELLED),
    ],
)
def test_item_at_work_shows_its_stage(stage: Stage, shown: LogicalState | None) -> None:
    assert indicated_state(stage) is shown


@pytest.mark.parametrize(
    ("stage", "situation", "shown"),
    [
        pytest.param(
            Stage.ANALYSIS, {"approval": "analysis_approved"}, "needs_input", id="analysis waits for approval"
        ),
        pytest.param(
            Stage.DEPLOY_STAGING, {"approval": "deploy_approved"}, "awaiting_deploy", id="deploy waits for approval"
        ),
        pytest.param(Stage.DEVELOPMENT, {"question": True}, "needs_input", id="an agent asks"),
        pytest.param(Stage.CREATED, {"stalled": "DependencyCycle"}, "blocked", id="stalled before it began"),
        pytest.param(
            Stage.ANALYSIS,
            {"stalled": "RetriesExhausted", "question": True},
            "blocked",
            id="stalled goes before asking",
        ),
        pytest.param(Stage.DEPLOY, {"degraded": True}, "blocked", id="degraded in deploy"),
        pytest.param(Stage.DONE, {"monitoring": True}, "monitoring", id="watched after the deploy"),
        pytest.param(Stage.DONE, {"monitoring": True, "degraded": True}, "blocked", id="found degraded"),
        pytest.param(Stage.DONE, {"question": True}, "done", id="an old question does not reopen what is done"),
        pytest.param(Stage.CANCELLED, {"stalled": "TicketClosed"}, "cancelled", id="cancelled stays cancelled"),
    ],
)
def test_situation_shows_before_the_stage(stage: Stage, situation: dict[str, Any], shown: str) -> None:
    assert indicated_state(stage, **situation) == shown
