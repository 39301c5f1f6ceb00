from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor.api.stages import Stage
from conveyor.api.workitem import HistoryEntry, WorkItemStatus
from conveyor.cluster.merge_patch import apply_merge_patch, merge_patch, model_patch

SCALARS = st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a", "b"])
NAMES = st.sampled_from("abc")


def json_values(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
    )


OBJECTS = st.dictionaries(NAMES, json_values(SCALARS), max_size=3)
OBJECTS_WITH_NULLS = st.dictionaries(NAMES, json_values(SCALARS | st.none()), max_size=3)


def without_null_members(value: dict[str, Any]) -> dict[str, Any]:
    return {
        key: without_null_members(member) if isinstance(member, dict) else member
        for key, member in value.items()
        if member is not None
    }


def exactly(value: object) -> str:
    """Tells true from 1, which == does not; members in any order."""
    if isinstance(value, dict):
        return f"{{{sorted((key, exactly(member)) for key, member in value.items())}}}"
    if isinstance(value, list):
        return f"[{','.join(map(exactly, value))}]"
    return repr(value)


@given(OBJECTS, OBJECTS)
def test_applying_the_patch_gives_the_new_object(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert exactly(apply_merge_patch(old, merge_patch(old, new) or {})) == exactly(new)


@given(OBJECTS_WITH_NULLS, OBJECTS_WITH_NULLS)
def test_null_members_mean_absent_ones(old: dict[str, Any], new: dict[str, Any]) -> None:
    made = apply_merge_patch(old, merge_patch(old, new) or {})
    assert exactly(without_null_members(made)) == exactly(without_null_members(new))


@given(OBJECTS_WITH_NULLS)
def test_equal_objects_need_no_patch(value: dict[str, Any]) -> None:
    assert merge_patch(value, deepcopy(value)) is None


@given(OBJECTS, OBJECTS)
def test_an_object_that_has_been_patched_needs_no_patch(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert merge_patch(apply_merge_patch(old, merge_patch(old, new) or {}), new) is None


@given(OBJECTS, OBJECTS_WITH_NULLS)
def test_neither_target_nor_patch_is_changed(target: dict[str, Any], patch: dict[str, Any]) -> None:
    before = deepcopy((target, patch))
    apply_merge_patch(target, patch)
    assert exactly([*before]) == exactly([target, patch])


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [
        pytest.param({"a": 1, "b": 2}, {"a": 1, "b": 3}, {"b": 3}, id="only what changed is sent"),
        pytest.param({"a": 1, "b": 2}, {"a": 1}, {"b": None}, id="removed member becomes null"),
        pytest.param({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, {"a": {"c": None}}, id="nested objects are compared"),
        pytest.param({"a": {"b": 1}}, {"a": {}}, {"a": {"b": None}}, id="emptied object keeps its place"),
        pytest.param({"a": [1, 2]}, {"a": [1, 3]}, {"a": [1, 3]}, id="lists are replaced whole"),
        pytest.param({"a": [{"b": 1}]}, {"a": [{"b": 1}]}, None, id="equal lists are not sent"),
        pytest.param({"a": 1}, {"a": {"b": 1}}, {"a": {"b": 1}}, id="object takes a scalar's place"),
        pytest.param({"a": {"b": 1}}, {"a": 1}, {"a": 1}, id="scalar takes an object's place"),
        pytest.param({"a": 1}, {"a": True}, {"a": True}, id="true is not 1"),
        pytest.param({"a": [0]}, {"a": [False]}, {"a": [False]}, id="false is not 0 in a list either"),
        pytest.param({"a": [{"b": None}]}, {"a": [{}]}, {"a": [{}]}, id="nulls count within lists"),
        pytest.param({}, {"a": None}, None, id="null where nothing was changes nothing"),
        pytest.param({"a": 1}, {"a": None}, {"a": None}, id="null where something was removes it"),
    ],
)
def test_patch_is_the_smallest(old: dict[str, Any], new: dict[str, Any], patch: dict[str, Any] | None) -> None:
    assert exactly(merge_patch(old, new)) == exactly(patch)


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_patches_of_the_rfc_give_its_results(
    target: dict[str, Any], patch: dict[str, Any], result: dict[str, Any]
) -> None:
    """RFC 7386, appendix A: the rows whose target and patch are objects."""
    assert apply_merge_patch(target, patch) == result


ENTRIES = st.builds(
    HistoryEntry,
    from_stage=st.just(Stage.TESTING),
    to_stage=st.just(Stage.DONE),
    time=st.just(datetime(2026, 11, 22, tzinfo=UTC)),
    actor=st.just("conveyor"),
    cause=st.sampled_from(["one", "another"]),
)
STATUSES = st.builds(
    WorkItemStatus,
    stage=st.sampled_from([None, Stage.TESTING, Stage.DONE]),
    branch=st.sampled_from([None, "feature/ET-1"]),
    history=st.lists(ENTRIES, max_size=3).map(tuple),
)


@given(STATUSES, STATUSES)
def test_patch_of_models_makes_the_one_of_the_other(old: WorkItemStatus, new: WorkItemStatus) -> None:
    patch = model_patch(old, new)
    assert apply_merge_patch(old.dump(), patch or {}) == new.dump()
    assert (patch is None) is (old.dump() == new.dump())
