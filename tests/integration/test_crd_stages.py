"""The API server and `stages.edge_allowed` give one answer to every pair of stages.

Matrix: from (no stage, ten stages) x to (no stage, ten stages) x override (none, new, the recorded one again, a new one
that names another move). Each answer is a dry run on an item that really is in that stage.
"""

from collections.abc import Callable, Iterator

import pytest

from conveyor.api.stages import TERMINAL, Stage, edge_allowed
from tests.cluster.api import Kube
from tests.integration.crd_objects import HAND_MADE, Object, Objects, namespace_for, workitems

Start = Stage | None
STARTS: tuple[Start, ...] = (None, *Stage)
RECORDED = "recorded"

OverrideOf = Callable[[Stage, Stage], Object]


@pytest.fixture(scope="module")
def items(kube: Kube, crds: None) -> Iterator[Objects]:
    """One item in each stage, named by it, with the override `recorded`. `none` has no stage, nor has `bare`, which has
    a status.
    """
    with namespace_for(kube, "crd-stages") as namespace:
        items = workitems(kube, namespace)
        items.create("none", HAND_MADE)
        items.create("bare", HAND_MADE)
        items.write_status("bare", {"fencingToken": 1})
        for stage in Stage:
            items.create(stage.value, HAND_MADE)
            items.write_status(stage.value, {"stage": "created"})
            recorded = _override(RECORDED, Stage.CREATED, stage)
            items.write_status(stage.value, {"stage": stage.value, "override": recorded})
        yield items


def _override(number: str, start: Stage, end: Stage) -> Object:
    return {"id": number, "from": start.value, "to": end.value}


def _answers(items: Objects, override: OverrideOf | None = None) -> dict[tuple[Start, Start], bool]:
    """What the API server says to each pair; with an override only to pairs that one can name."""
    answers = {}
    for start in STARTS:
        for end in STARTS:
            status: Object = {"stage": end and end.value}
            if override is not None:
                if start is None or end is None:
                    continue
                status["override"] = override(start, end)
            answers[start, end] = items.refusal_of_status(start or "none", status) is None
    return answers


def test_every_pair_of_stages_is_answered_as_the_table_answers(items: Objects) -> None:
    answers = _answers(items)
    assert len(answers) == 121
    assert answers == {pair: edge_allowed(*pair) for pair in answers}


def test_a_new_override_opens_exactly_the_edges_that_the_table_opens(items: Objects) -> None:
    answers = _answers(items, lambda start, end: _override("fresh", start, end))
    assert len(answers) == 100
    assert answers == {pair: edge_allowed(*pair, new_override=True) for pair in answers}


def test_a_recorded_override_opens_nothing_a_second_time(items: Objects) -> None:
    answers = _answers(items, lambda start, end: _override(RECORDED, start, end))
    assert answers == {pair: edge_allowed(*pair) for pair in answers}


@pytest.mark.parametrize(
    "other_move",
    [
        lambda start, end: _override("fresh", end, start),
        lambda start, _: _override("fresh", start, start),
        lambda _, end: _override("fresh", end, end),
    ],
    ids=["backwards", "to-itself", "from-itself"],
)
def test_a_new_override_that_names_another_move_opens_nothing(items: Objects, other_move: OverrideOf) -> None:
    answers = _answers(items, other_move)
    assert answers == {pair: edge_allowed(*pair) for pair in answers}


def test_an_item_with_a_status_but_no_stage_begins_at_created_only(items: Objects) -> None:
    answers = {end: items.refusal_of_status("bare", {"stage": end.value}) is None for end in Stage}
    assert answers == {end: edge_allowed(None, end) for end in Stage}


def test_an_override_does_not_let_an_item_begin_elsewhere(items: Objects) -> None:
    status = {"stage": "review", "override": _override("fresh", Stage.CREATED, Stage.REVIEW)}
    assert "the first stage is created" in str(items.refusal_of_status("none", status))


def test_an_item_created_with_a_stage_begins_without(items: Objects) -> None:
    created = items.create("in-the-middle", HAND_MADE, status={"stage": "deploy"})
    assert "status" not in created


@pytest.mark.parametrize("name", ["bare", *Stage])
def test_a_status_is_never_removed(items: Objects, name: str) -> None:
    assert "status never disappears" in str(items.refusal_of_status(name, None))


@pytest.mark.parametrize("stage", sorted(TERMINAL))
def test_an_ended_item_takes_every_other_change_of_status(items: Objects, stage: Stage) -> None:
    assert items.refusal_of_status(stage, {"observedGeneration": 2, "runs": 3, "mergeSHA": "a" * 40}) is None


def test_a_refused_edge_is_spelled_out(items: Objects) -> None:
    refusal = str(items.refusal_of_status("created", {"stage": "deploy"}))
    assert "status.stage: Forbidden: illegal stage transition created -> deploy" in refusal


def test_leaving_a_terminal_stage_is_refused_as_such(items: Objects) -> None:
    status = {"stage": "created", "override": _override("fresh", Stage.DONE, Stage.CREATED)}
    assert "a terminal stage is never left" in str(items.refusal_of_status("done", status))
