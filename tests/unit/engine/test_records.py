"""Records of whatever the store holds: reading never raises, and what cannot be read counts as under way."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor.cluster.protocol import JSONObject
from conveyor.engine.records import EPOCH, item_record, job_record, repository_record
from tests.unit.engine.objects import item, job, obj, repository

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KNOWN = (
    *(
        "monitor",
        "stage",
        "conditions",
        "activeRun",
        "transition",
        "dependencies",
        "waiting",
        "tracker",
        "branch",
        "headSHA",
    ),
    *("repositoryRef", "dependsOn", "source", "priority", "suspend", "forge", "maxConcurrentRuns", "title"),
)
PARTS = st.dictionaries(st.sampled_from(KNOWN), ANY_JSON, max_size=6)


@given(spec=PARTS | ANY_JSON, status=PARTS | ANY_JSON)
def test_nothing_in_the_store_makes_a_record_raise(spec: Any, status: Any) -> None:
    whole = obj("any", spec=spec, status=status)
    assert item_record(whole).key.name == "any"
    assert repository_record(whole).key.name == "any"
    assert job_record(whole).key.name == "any"


def test_unknown_stage_counts_as_under_way_and_says_why() -> None:
    record = item_record(item("a", "from-the-future"))
    assert (record.under_way, record.waits, record.terminal) == (True, False, False)
    assert "from-the-future" in record.invalid


@pytest.mark.parametrize(
    ("stage", "expected"),
    [(None, "waits"), ("created", "waits"), ("analysis", "under_way"), ("deploy", "under_way"), ("done", "terminal")],
)
def test_item_waits_is_under_way_or_has_ended(stage: str | None, expected: str) -> None:
    record = item_record(item("a", stage))
    assert [name for name in ("waits", "under_way", "terminal") if getattr(record, name)] == [expected]


@pytest.mark.parametrize(
    ("stage", "monitor", "expected"),
    [
        ("done", {"verdict": "Watching", "untilTime": "2026-03-02T12:00:00Z"}, datetime(2026, 3, 2, 12, tzinfo=UTC)),
        ("done", {"verdict": "Watching", "untilTime": "soon"}, EPOCH),
        ("done", {"verdict": "Healthy", "untilTime": "2026-03-02T12:00:00Z"}, None),
        ("deploy", {"verdict": "Watching", "untilTime": "2026-03-02T12:00:00Z"}, None),
        ("done", {}, None),
    ],
)
def test_deploy_is_watched_while_there_is_no_verdict(
    stage: str, monitor: dict[str, str], expected: datetime | None
) -> None:
    assert item_record(item("a", stage, monitor=monitor)).watched_until == expected


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ({"Spec", "Tracker"}, ("asked", "blocks", "recorded")),
        ({"Spec"}, ("asked", "recorded")),
        ({"Tracker"}, ("blocks",)),
        (set(), ()),
    ],
)
def test_dependencies_come_from_where_they_count(sources: set[str], expected: tuple[str, ...]) -> None:
    dependencies = [{"name": "recorded", "source": "Spec"}, {"name": "blocks", "source": "Tracker"}]
    whole = item("a", spec={"dependsOn": [{"name": "asked"}]}, dependencies=dependencies)
    assert item_record(whole, dependencies_from=frozenset(sources)).dependencies == expected


def test_body_has_all_of_metadata_spec_and_status() -> None:
    whole = item("a", "analysis", branch="feature/A", metadata={"labels": {"of": "x"}})
    assert json.loads(item_record(whole).body) == {name: whole[name] for name in ("metadata", "spec", "status")}


def test_two_spellings_of_one_forge_repository_are_the_same() -> None:
    forge = {"url": "https://Git.Test/", "owner": "ACME", "name": "Shop"}
    assert (
        repository_record(repository("b", spec={"forge": forge})).forge == repository_record(repository("shop")).forge
    )


@pytest.mark.parametrize(
    ("ended", "ttl", "finalizer", "tidy"),
    [(True, True, False, True), (True, True, True, False), (True, False, False, False), (False, True, False, False)],
)
def test_job_is_tidy_when_the_cluster_removes_it_by_itself(ended: bool, ttl: bool, finalizer: bool, tidy: bool) -> None:
    assert job_record(job("j", "a", ended=ended, ttl=ttl, finalizer=finalizer)).tidy == tidy


@pytest.mark.parametrize(
    ("state", "left_over"),
    [
        ({}, False),
        ({"finalizer": True}, False),
        ({"ended": True}, True),
        ({"ended": True, "ttl": True}, False),
        ({"ended": True, "ttl": True, "finalizer": True}, True),
        ({"deleted": True}, False),
        ({"deleted": True, "finalizer": True}, True),
    ],
)
def test_job_is_left_over_at_its_end_or_deleted_while_we_hold_something_of_it(
    state: JSONObject, left_over: bool
) -> None:
    assert job_record(job("j", "a", **state)).left_over == left_over
