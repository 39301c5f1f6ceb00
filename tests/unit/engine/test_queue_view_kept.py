"""What `/queue` keeps from one answer to the next is made anew where anything of it has changed."""

import pytest

from conveyor.cluster.protocol import JSONObject, Key
from conveyor.engine.queue_view import QueueView
from conveyor.engine.world import EngineSettings
from tests.unit.engine.test_queue_view import FROZEN, Store, parsed, places


@pytest.fixture
def store() -> Store:
    store = Store()
    store.repository()
    return store


class Watched:
    """One view of a store: an answer is that of a view that has kept nothing, after each change."""

    def __init__(self, store: Store) -> None:
        self._store, self._settings = store, EngineSettings(holder="me", tools_image="conveyor")
        self._view = QueueView(store.cache, self._settings)
        self._view.answer()

    def shown(self) -> JSONObject:
        answer = self._view.answer()
        assert answer == QueueView(self._store.cache, self._settings).answer()
        return parsed(answer)


def test_an_item_that_moves_is_shown_where_it_is(store: Store) -> None:
    store.item("one")
    watched = Watched(store)
    store.item("one", "review")
    assert [item["stage"] for item in watched.shown()["items"]] == ["review"]


def test_an_item_that_comes_or_goes_moves_those_behind_it(store: Store) -> None:
    store.item("first", "review")
    store.item("second")
    watched = Watched(store)
    store.gone("first")
    store.item("third", spec={"priority": 1})
    assert places(watched.shown()) == [("third", 1, None), ("second", 2, "third")]


def test_an_item_that_changes_its_repository_leaves_its_old_lane(store: Store) -> None:
    store.item("one")
    watched = Watched(store)
    store.item("one", repository="bank")
    assert [(item["repository"], item["position"]) for item in watched.shown()["items"]] == [("bank", 1)]


def test_a_repository_that_changes_or_goes_changes_its_lane(store: Store) -> None:
    watched = Watched(store)
    store.repository(status=FROZEN)
    assert len(watched.shown()["freezes"]) == 1
    store.cache.drop_repository(Key("team", "shop"), uid="uid-shop", version=1000)
    assert watched.shown()["serial_gate"]["lanes"] == []


@pytest.mark.parametrize("stage", ["done", "cancelled", None])
def test_a_dependency_in_another_lane_that_moves_or_goes_changes_who_waits_for_it(
    store: Store, stage: str | None
) -> None:
    store.repository("bank")
    store.item("base", repository="bank")
    store.item("needy", spec={"dependsOn": [{"name": "base"}]})
    watched = Watched(store)
    before = watched.shown()["dependencies"]["waiting"][0]["on"]
    if stage is None:
        store.gone("base")
    else:
        store.item("base", stage, repository="bank")
    after = [entry["on"] for entry in watched.shown()["dependencies"]["waiting"]]
    states = {"done": [], "cancelled": [[{"name": "base", "state": "cancelled"}]]}
    assert before == [{"name": "base", "state": "open"}]
    assert after == states.get(stage or "", [[{"name": "base", "state": "missing"}]])


def test_an_item_without_a_stage_yet_is_missing_when_it_is_gone(store: Store) -> None:
    store.cache.put_item(store._object("base", spec={"repositoryRef": {"name": "bank"}}))
    store.item("needy", spec={"dependsOn": [{"name": "base"}]})
    watched = Watched(store)
    store.gone("base")
    (needy,) = watched.shown()["dependencies"]["waiting"]
    assert needy["on"] == [{"name": "base", "state": "missing"}]


def test_lanes_that_are_no_more_leave_nothing_behind() -> None:
    store = Store()
    watched = Watched(store)
    store.item("one", repository="gone")
    watched.shown()
    store.gone("one")
    watched.shown()
    assert store.cache.lanes() == set()
