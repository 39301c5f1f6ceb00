"""What the API server refuses besides stages: counters that go back, fields that are fixed, rules between fields."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.api import Kube
from tests.integration import crd_objects
from tests.integration.crd_objects import (
    FORGE,
    HAND_MADE,
    SOURCE,
    TRACKER,
    Object,
    Objects,
    namespace_for,
    workitems,
)

CI2 = {"cause": "CI", "count": 2}
REVIEW1 = {"cause": "Review", "count": 1}
OVERRIDE = {"id": "o1", "from": "created", "to": "review"}


@pytest.fixture(scope="module")
def namespace_of_all(kube: Kube) -> Iterator[str]:
    with namespace_for(kube, "crd-rules") as namespace:
        yield namespace


@pytest.fixture(scope="module")
def items(kube: Kube, crds: None, namespace_of_all: str) -> Objects:
    items = workitems(kube, namespace_of_all)
    items.create("hand-made", HAND_MADE)
    items.create("of-a-ticket", {"repositoryRef": {"name": "shop"}, "source": SOURCE})
    items.write_status("hand-made", {"stage": "created", "fencingToken": 5, "runs": 7, "attempts": [CI2, REVIEW1]})
    items.write_status("hand-made", {"stage": "review", "override": OVERRIDE})
    return items


@pytest.fixture(scope="module")
def repositories(kube: Kube, crds: None, namespace_of_all: str) -> Objects:
    repositories = crd_objects.repositories(kube, namespace_of_all)
    repositories.create("shop", {"forge": FORGE, "tracker": TRACKER})
    repositories.create("tools", {"forge": FORGE | {"name": "tools"}})
    return repositories


@pytest.mark.parametrize("field", ["fencingToken", "runs"])
@pytest.mark.parametrize(("change", "allowed"), [(-1, False), (0, True), (1, True), (None, False)])
def test_a_counter_never_goes_down_or_away(items: Objects, field: str, change: int | None, allowed: bool) -> None:
    now = items.get("hand-made")["status"][field]
    refusal = items.refusal_of_status("hand-made", {field: None if change is None else now + change})
    assert (refusal is None) == allowed
    assert allowed or f"{field} never goes down or away" in str(refusal)


@pytest.mark.parametrize(
    ("attempts", "allowed"),
    [
        pytest.param([{"cause": "CI", "count": 3}, REVIEW1], True, id="one more"),
        pytest.param([REVIEW1, CI2], True, id="in another order"),
        pytest.param([CI2, REVIEW1, {"cause": "Deploy", "count": 1}], True, id="another cause"),
        pytest.param([{"cause": "CI", "count": 0}, {"cause": "Review", "count": 0}], True, id="all to 0"),
        pytest.param([{"cause": "CI", "count": 1}, REVIEW1], False, id="one less"),
        pytest.param([CI2], False, id="a cause removed"),
        pytest.param([{"cause": "Deploy", "count": 9}, REVIEW1], False, id="a cause replaced"),
        pytest.param([], False, id="emptied"),
        pytest.param(None, False, id="removed"),
    ],
)
def test_attempts_are_never_forgotten_but_by_a_0(items: Objects, attempts: list[Object] | None, allowed: bool) -> None:
    refusal = items.refusal_of_status("hand-made", {"attempts": attempts})
    assert (refusal is None) == allowed
    assert allowed or "a count of attempts is never lowered but to 0" in str(refusal)


def test_an_override_is_replaced(items: Objects) -> None:
    moved = {"stage": "testing", "override": {"id": "o2", "from": "review", "to": "testing"}}
    assert items.refusal_of_status("hand-made", moved) is None


def test_an_override_is_never_removed(items: Objects) -> None:
    assert "override is replaced, never removed" in str(items.refusal_of_status("hand-made", {"override": None}))


@pytest.mark.parametrize("name", ["hand-made", "of-a-ticket"])
def test_the_repository_of_an_item_is_fixed(items: Objects, name: str) -> None:
    refusal = items.refusal_of_change(name, {"repositoryRef": {"name": "other"}})
    assert "repositoryRef is immutable" in str(refusal)


@pytest.mark.parametrize(
    ("name", "source"),
    [("of-a-ticket", {"issueID": "i-18"}), ("of-a-ticket", {"url": "https://x.test"}), ("hand-made", SOURCE)],
    ids=["changed", "extended", "added"],
)
def test_the_source_of_an_item_is_fixed(items: Objects, name: str, source: Object) -> None:
    assert "source is immutable" in str(items.refusal_of_change(name, {"source": source}))


def test_the_source_of_an_item_is_not_removed(items: Objects) -> None:
    assert "source is immutable" in str(items.refusal_of_change("of-a-ticket", {"source": None, "title": "t"}))


@pytest.mark.parametrize(
    "change",
    [{"title": "Another"}, {"priority": -5}, {"suspend": True}, {"cancel": True}, {"dependsOn": [{"name": "a"}]}],
    ids=str,
)
def test_the_rest_of_an_item_is_free(items: Objects, change: Object) -> None:
    assert items.refusal_of_change("hand-made", change) is None


@pytest.mark.parametrize(
    ("fields", "allowed"),
    [
        ({}, False),
        ({"title": ""}, False),
        ({"description": "d"}, False),
        ({"title": "t"}, True),
        ({"source": SOURCE}, True),
        ({"title": "t", "source": SOURCE}, True),
    ],
    ids=str,
)
def test_a_title_is_required_without_source(items: Objects, fields: Object, allowed: bool) -> None:
    refusal = items.refusal_of_new("new", {"repositoryRef": {"name": "shop"}} | fields)
    assert (refusal is None) == allowed
    assert allowed or "title is required without source" in str(refusal)


def test_the_title_of_a_hand_made_item_is_not_removed(items: Objects) -> None:
    assert "title is required without source" in str(items.refusal_of_change("hand-made", {"title": None}))


@pytest.mark.parametrize("key", ["et-17", "../../x", "ET-0", "ET-17\nx", "$(id)-1"])
def test_a_key_that_is_none_is_refused(items: Objects, key: str) -> None:
    refusal = items.refusal_of_new("new", {"repositoryRef": {"name": "shop"}, "source": SOURCE | {"key": key}})
    assert "spec.source.key" in str(refusal)


@pytest.mark.parametrize(("field", "value"), [("url", "https://evil.test"), ("owner", "evil"), ("name", "other")])
def test_where_the_code_is_is_fixed(repositories: Objects, field: str, value: str) -> None:
    assert f"{field} is immutable" in str(repositories.refusal_of_change("shop", {"forge": {field: value}}))


@pytest.mark.parametrize("tracker", [{"projectID": "p-2"}, None], ids=["another project", "removed"])
def test_the_project_of_a_repository_is_fixed(repositories: Objects, tracker: Object | None) -> None:
    assert "tracker.projectID is immutable" in str(repositories.refusal_of_change("shop", {"tracker": tracker}))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("shop", {"forge": {"credentialsSecretRef": {"name": "rotated"}, "defaultBranch": "trunk"}}),
        ("shop", {"tracker": {"url": "https://new.test", "states": {"done": "Shipped"}}}),
        ("tools", {"tracker": TRACKER}),
    ],
    ids=["credentials", "tracker's address", "a tracker added"],
)
def test_the_rest_of_a_repository_is_free(repositories: Objects, name: str, change: Object) -> None:
    assert repositories.refusal_of_change(name, change) is None


@pytest.mark.parametrize(
    ("probe", "allowed"),
    [
        ({"url": "https://shop.test/healthz"}, True),
        ({"prometheus": "https://metrics.test", "query": "up"}, True),
        ({}, False),
        ({"query": "up"}, False),
        ({"prometheus": "https://metrics.test"}, False),
        ({"url": "https://shop.test", "prometheus": "https://metrics.test", "query": "up"}, False),
        ({"url": "https://shop.test", "query": "up"}, False),
    ],
    ids=str,
)
def test_a_probe_asks_one_thing(repositories: Objects, probe: Object, allowed: bool) -> None:
    refusal = repositories.refusal_of_new("new", {"forge": FORGE, "monitor": {"probes": [probe]}})
    assert (refusal is None) == allowed
    assert allowed or "a probe is either url, or prometheus with query" in str(refusal)


@pytest.mark.parametrize(
    ("wish", "allowed"),
    [
        ({"retries": {"CI": 1, "total": 9}}, True),
        ({"retries": {"ci": 1}}, False),
        ({"graceSeconds": {"deploy-staging": 60}}, True),
        ({"graceSeconds": {"deployStaging": 60}}, False),
    ],
    ids=str,
)
def test_a_mistyped_key_of_a_map_is_refused(repositories: Objects, wish: dict[str, Any], allowed: bool) -> None:
    refusal = repositories.refusal_of_new("new", {"forge": FORGE} | wish)
    assert (refusal is None) == allowed
    assert allowed or "known keys are" in str(refusal)
