"""The table of stages."""

import pytest

from conveyor.api.stages import EDGES, FIRST, ROLE_OF_STAGE, TERMINAL, Role, Stage, edge_allowed


def test_there_are_the_edges_that_the_design_names() -> None:
    assert sum(len(ends) for ends in EDGES.values()) == 26


def test_every_stage_has_its_row() -> None:
    assert set(EDGES) == set(Stage)


def test_every_stage_can_be_reached_and_can_end() -> None:
    reached, seen = {FIRST}, set[Stage]()
    while fresh := reached - seen:
        seen |= fresh
        reached |= {end for start in fresh for end in EDGES[start]}
    assert reached == set(Stage)
    assert all(Stage.CANCELLED in EDGES[stage] for stage in set(Stage) - TERMINAL)


def test_staying_is_no_edge_but_is_allowed() -> None:
    assert not any(stage in EDGES[stage] for stage in Stage)
    assert all(edge_allowed(stage, stage) for stage in Stage)


@pytest.mark.parametrize("start", sorted(TERMINAL))
def test_a_terminal_stage_is_never_left(start: Stage) -> None:
    assert not any(edge_allowed(start, end, new_override=True) for end in Stage if end != start)


@pytest.mark.parametrize("end", sorted(set(Stage) - {FIRST}))
def test_no_item_begins_elsewhere(end: Stage) -> None:
    assert not edge_allowed(None, end, new_override=True)


def test_a_stage_never_disappears() -> None:
    assert not any(edge_allowed(stage, None, new_override=True) for stage in Stage)


def test_an_override_opens_any_edge_of_an_unfinished_item() -> None:
    assert all(edge_allowed(start, end, new_override=True) for start in set(Stage) - TERMINAL for end in Stage)


def test_every_role_works_for_one_stage() -> None:
    assert sorted(ROLE_OF_STAGE.values()) == sorted(Role)
