"""A lane: whose turn it is, what a dependency is worth, cycles, and when a repository is frozen."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conveyor.api.annotations import FREEZE, FREEZE_SCOPE, FREEZE_UNTIL
from conveyor.api.fields import rfc3339
from conveyor.api.repository import EffectiveFreeze, Freeze, RepositoryStatus
from conveyor.api.stages import TERMINAL, Stage
from conveyor.pipeline.lane import (
    DependencyState,
    Mend,
    Waiter,
    dependency_state,
    effective_freeze,
    find_cycle,
    head,
    is_under_way,
    order,
)
from tests.unit.pipeline.builders import NOW


def waiter(name: str, *, priority: int = 0, age: int = 0, **fields: Any) -> Waiter:
    values: dict[str, Any] = {"uid": f"uid-{name}", "key": name.upper()}
    return Waiter(name=name, priority=priority, created=NOW - timedelta(minutes=age), **(values | fields))


# --- order


def test_the_order_is_priority_then_age_then_key_then_uid() -> None:
    queue = [
        waiter("urgent", priority=5),
        waiter("oldest", age=9),
        waiter("older", age=3),
        waiter("a", age=1),
        waiter("b", age=1, uid="1"),
        waiter("c", age=1, key="B", uid="2"),
        waiter("low", priority=-1, age=99),
    ]
    for shuffled in permutations(queue, 7):
        assert sorted(shuffled, key=order) == queue


def test_the_head_is_the_first_that_may_start() -> None:
    queue = [waiter("young"), waiter("held", age=9), waiter("old", age=5)]
    assert head(queue, startable=lambda found: found.name != "held") == queue[2]
    assert head(queue, startable=lambda _: False) is None
    assert head([], startable=lambda _: True) is None


# --- dependencies


@pytest.mark.parametrize("stage", [None, *Stage])
def test_only_done_is_done(stage: Stage | None) -> None:
    expected = {Stage.DONE: DependencyState.DONE, Stage.CANCELLED: DependencyState.CANCELLED}
    assert dependency_state(stage, present=True) == expected.get(stage or Stage.CREATED, DependencyState.OPEN)
    assert dependency_state(stage, present=False) == DependencyState.MISSING


@pytest.mark.parametrize("stage", [None, *Stage])
def test_under_way_is_between_admission_and_end(stage: Stage | None) -> None:
    assert is_under_way(stage) is (stage not in (None, Stage.CREATED, *TERMINAL))


NAMES = "abcdef"
GRAPHS = st.dictionaries(
    st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=4, unique=True).map(tuple), max_size=6
)


def cycles_through(start: str, graph: dict[str, tuple[str, ...]]) -> list[tuple[str, ...]]:
    """All of them, by trying every path."""
    return [
        (start, *path)
        for length in range(len(NAMES))
        for path in permutations([name for name in NAMES if name != start], length)
        if all(needed in graph.get(name, ()) for name, needed in zip((start, *path), (*path, start), strict=True))
    ]


@settings(deadline=None)
@given(GRAPHS, st.sampled_from(NAMES))
def test_a_cycle_is_found_exactly_where_there_is_one_and_is_a_shortest(
    graph: dict[str, tuple[str, ...]], start: str
) -> None:
    found, every = find_cycle(start, lambda name: graph.get(name, ())), cycles_through(start, graph)
    if not every:
        assert found == ()
        return
    assert found in every
    assert len(found) == len(every[0])


def test_a_cycle_of_five_hundred_is_found_without_recursion() -> None:
    names = [f"item-{n}" for n in range(500)]
    following = dict(zip(names, [*names[1:], names[0]], strict=True))
    assert find_cycle("item-0", lambda name: (following[name],)) == tuple(names)


# --- freeze

UNTIL = rfc3339(NOW + timedelta(hours=1))


def frozen(
    annotations: dict[str, str] | None = None,
    *,
    automatic: tuple[Freeze, ...] = (),
    old: EffectiveFreeze | None = None,
    mend: Mend | None = None,
) -> EffectiveFreeze | None:
    status = RepositoryStatus(freezes=automatic, effective_freeze=old)
    return effective_freeze(annotations or {}, status, now=NOW, mend=mend)


def degraded(name: str, *, age: int = 0, **fields: Any) -> Freeze:
    values: dict[str, Any] = {"id": name, "reason": f"because of {name}", "item": "shop-et-3", "scope": "merge"}
    return Freeze(**(values | {"since_time": NOW - timedelta(hours=age)} | fields))


@pytest.mark.parametrize(
    ("annotations", "scope"),
    [
        ({}, None),
        ({FREEZE_UNTIL: UNTIL}, None),
        ({FREEZE: "audit"}, "admission"),
        ({FREEZE: ""}, "admission"),
        ({FREEZE: "audit", FREEZE_SCOPE: "merge"}, "merge"),
        ({FREEZE: "audit", FREEZE_SCOPE: "everything"}, "merge"),
        ({FREEZE: "audit", FREEZE_UNTIL: UNTIL}, "admission"),
        ({FREEZE: "audit", FREEZE_UNTIL: rfc3339(NOW)}, None),
        ({FREEZE: "audit", FREEZE_UNTIL: "tomorrow"}, "admission"),
        ({FREEZE: "audit", FREEZE_UNTIL: "2020-01-01T00:00:00"}, "admission"),
        ({FREEZE: "audit", FREEZE_UNTIL: ""}, "admission"),
        ({FREEZE: "audit", FREEZE_UNTIL: "9999-12-31T23:59:59-23:59"}, "admission"),
        ({FREEZE: "audit", FREEZE_UNTIL: "0001-01-01T00:00:00+23:59"}, "admission"),
    ],
    ids=[
        "nothing",
        "a time without a freeze",
        "a freeze",
        "without a reason",
        "of merges",
        "of an unreadable scope",
        "until later",
        "until now",
        "until something unreadable",
        "until a time without zone",
        "until nothing",
        "until after the end of time",
        "until before its beginning",
    ],
)
def test_an_annotation(annotations: dict[str, str], scope: str | None) -> None:
    found = frozen(annotations)
    stored = EffectiveFreeze.model_validate(found.dump()) if found is not None else None
    assert (stored.scope if stored is not None else None) == scope


@pytest.mark.parametrize("key", [FREEZE_UNTIL, FREEZE_SCOPE])
def test_what_cannot_be_read_is_said(key: str) -> None:
    found = frozen({FREEZE: "audit", key: "gibberish"})
    assert found is not None
    assert key in found.reason
    assert "cannot be read" in found.reason


def test_the_longest_reason_with_everything_unreadable_can_still_be_stored() -> None:
    found = frozen({FREEZE: "x" * 5000, FREEZE_UNTIL: "soon", FREEZE_SCOPE: "all"})
    assert found is not None
    assert EffectiveFreeze.model_validate(found.dump()) == found


def test_a_freeze_keeps_the_time_since_when_it_stands() -> None:
    first = frozen({FREEZE: "audit"})
    old = EffectiveFreeze(reason="audit", source="Annotation", scope="admission", since_time=NOW - timedelta(days=1))
    again = frozen({FREEZE: "audit, still"}, old=old)
    assert first is not None
    assert again is not None
    assert first.since_time == NOW
    assert again.since_time == old.since_time


def test_an_automatic_freeze_stands_until_it_is_cleared() -> None:
    assert frozen(automatic=(degraded("one", cleared_time=NOW),)) is None
    found = frozen(automatic=(degraded("young"), degraded("old", age=5), degraded("gone", age=9, cleared_time=NOW)))
    assert found is not None
    assert (found.source, found.reason) == ("Automatic", "because of old")


def test_of_two_freezes_the_one_that_stops_merges_counts() -> None:
    found = frozen({FREEZE: "audit"}, automatic=(degraded("one"),))
    assert found is not None
    assert (found.source, found.scope) == ("Automatic", "merge")


MINE = Mend("shop-et-3", "u-3", NOW - timedelta(days=1))


def test_item_passes_the_freezes_that_its_own_deploy_caused_and_no_other() -> None:
    both = (degraded("mine"), degraded("mine again", age=2))
    assert frozen(automatic=both, mend=MINE) is None
    assert frozen(automatic=both, mend=Mend("shop-et-4", "u-4", MINE.created)) is not None
    other = frozen(automatic=(*both, degraded("other", item="shop-et-4")), mend=MINE)
    assert other is not None
    assert other.reason == "because of other"


def test_item_passes_no_freeze_of_a_persons() -> None:
    found = frozen({FREEZE: "audit"}, automatic=(degraded("mine"),), mend=MINE)
    assert found is not None
    assert (found.source, found.scope) == ("Annotation", "admission")


def test_freeze_that_names_nobody_is_passed_by_nobody() -> None:
    assert frozen(automatic=(degraded("somebody's", item=""),), mend=MINE) is not None


def test_namesake_is_held_whenever_it_was_made() -> None:
    assert frozen(automatic=(degraded("mine", item_uid="u-3"),), mend=MINE) is None
    assert frozen(automatic=(degraded("mine", item_uid="u-2"),), mend=MINE) is not None


def test_namesake_made_after_a_freeze_that_names_no_uid_is_held() -> None:
    later = Mend("shop-et-3", "u-5", NOW + timedelta(minutes=6))
    assert frozen(automatic=(degraded("mine"),), mend=later) is not None
    assert frozen(automatic=(degraded("mine"),), mend=Mend("shop-et-3", "u-5", NOW + timedelta(minutes=4))) is None
