"""The answer of `/queue`: who is where in which lane, who is ahead, and what everybody waits on.

Covered: order and position, the item under way, serial gate on, off, limited and passing Stalled items, admitted items,
dependencies, suspension, unreadable items, missing Repositories, filter, freezes, runs, intents, size.
"""

import json
import time
from typing import Any

import pytest

from conveyor.cluster.protocol import JSONObject, Key
from conveyor.engine.cache import Cache
from conveyor.engine.queue_view import QueueView, Sweep, frozen_repositories
from conveyor.engine.world import EngineSettings


def parsed(answer: bytes) -> JSONObject:
    document: JSONObject = json.loads(answer)
    return document


class Store:
    """A cache to fill: every object gets the next version, and items are a minute apart."""

    def __init__(self) -> None:
        self.cache = Cache()
        self._version = 0

    def repository(self, name: str = "shop", *, status: JSONObject | None = None, **spec: Any) -> None:
        self.cache.put_repository(self._object(name, spec=spec, status=status or {}))

    def item(
        self, name: str, stage: str = "created", *, repository: str = "shop", namespace: str = "team", **rest: Any
    ) -> None:
        spec = {"repositoryRef": {"name": repository}} | rest.pop("spec", {})
        self.cache.put_item(self._object(name, namespace, spec=spec, status={"stage": stage} | rest))

    def gone(self, name: str) -> None:
        self._version += 1
        self.cache.drop_item(Key("team", name), uid=f"uid-{name}", version=self._version)

    def _object(self, name: str, namespace: str = "team", **parts: Any) -> JSONObject:
        self._version += 1
        metadata = {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{name}",
            "resourceVersion": str(self._version),
            "creationTimestamp": f"2026-01-01T{self._version // 60 % 24:02}:{self._version % 60:02}:00Z",
        }
        return {"metadata": metadata, **parts}

    def view(self, repository: str | None = None, **settings: Any) -> JSONObject:
        chosen = EngineSettings(holder="me", tools_image="conveyor", **settings)
        return parsed(QueueView(self.cache, chosen).answer(repository=repository))


@pytest.fixture
def store() -> Store:
    store = Store()
    store.repository()
    return store


def places(view: JSONObject) -> list[tuple[str, int, str | None]]:
    return [(item["name"], item["position"], item["ahead"]) for item in view["items"]]


def test_items_waiting_follow_each_other_behind_the_one_under_way(store: Store) -> None:
    store.item("late")
    store.item("later")
    store.item("first", "review")
    assert places(store.view()) == [("first", 0, None), ("late", 1, "first"), ("later", 2, "late")]


def test_higher_priority_goes_first(store: Store) -> None:
    store.item("early")
    store.item("urgent", spec={"priority": 5})
    assert places(store.view()) == [("urgent", 1, None), ("early", 2, "urgent")]


def test_ended_items_are_left_out(store: Store) -> None:
    store.item("ended", "done")
    store.item("dropped", "cancelled")
    assert store.view()["items"] == []


def test_an_item_says_where_it_is_and_why_it_waits(store: Store) -> None:
    stalled = {"type": "Stalled", "status": "True", "reason": "CISilent"}
    store.item(
        "shop-et-7",
        "development",
        spec={"source": {"key": "ET-7"}},
        waiting={"reason": "Person"},
        conditions=[stalled],
    )
    assert store.view()["items"] == [
        {
            "namespace": "team",
            "name": "shop-et-7",
            "key": "ET-7",
            "repository": "shop",
            "position": 0,
            "stage": "development",
            "waiting": "Person",
            "stalled": "CISilent",
            "invalid": None,
            "ahead": None,
        }
    ]


def test_lanes_are_independent(store: Store) -> None:
    store.repository("bank")
    store.item("shop-1", "review")
    store.item("bank-1", repository="bank")
    store.item("shop-2")
    assert places(store.view()) == [("bank-1", 1, None), ("shop-1", 0, None), ("shop-2", 1, "shop-1")]


def test_nobody_is_ahead_without_serial_gate(store: Store) -> None:
    store.item("one", "review")
    store.item("two")
    store.item("three")
    assert places(store.view(serial_gate=False)) == [("one", 0, None), ("two", 1, None), ("three", 2, None)]


@pytest.mark.parametrize(
    ("settings", "mode", "enabled"),
    [
        ({}, "Enabled", True),
        ({}, "Disabled", False),
        ({"serial_gate": False}, "Enabled", False),
        ({"serial_gate_repositories": frozenset({"shop"})}, "Enabled", True),
        ({"serial_gate_repositories": frozenset({"bank"})}, "Enabled", False),
    ],
)
def test_serial_gate_needs_the_settings_and_the_repository(settings: JSONObject, mode: str, *, enabled: bool) -> None:
    store = Store()
    store.repository(serialGate={"mode": mode})
    assert store.view(**settings)["serial_gate"]["lanes"][0]["enabled"] is enabled


@pytest.mark.parametrize(("on_stalled", "ahead"), [("Hold", "stuck"), ("Pass", None)])
def test_stalled_item_keeps_the_lane_unless_it_lets_pass(on_stalled: str, ahead: str | None) -> None:
    store = Store()
    store.repository(serialGate={"onStalled": on_stalled})
    store.item("stuck", "testing", conditions=[{"type": "Stalled", "status": "True", "reason": "CISilent"}])
    store.item("next")
    assert places(store.view())[-1] == ("next", 1, ahead)


def test_admitted_item_counts_as_under_way_before_it_begins() -> None:
    store = Store()
    store.repository(status={"activeItem": {"name": "second", "uid": "uid-second"}})
    store.item("first")
    store.item("second")
    assert places(store.view()) == [("second", 0, None), ("first", 1, "second")]


def test_item_with_open_dependency_is_passed_over(store: Store) -> None:
    store.item("needy", spec={"dependsOn": [{"name": "base"}]})
    store.item("base")
    assert places(store.view()) == [("needy", 1, None), ("base", 2, None)]


def test_suspended_item_is_passed_over(store: Store) -> None:
    store.item("held", spec={"suspend": True})
    store.item("next")
    assert places(store.view()) == [("held", 1, None), ("next", 2, None)]


def test_dependencies_say_what_is_open_and_in_which_state(store: Store) -> None:
    needed = [{"name": name} for name in ("ready", "base", "dropped", "nowhere")]
    store.item("needy", spec={"dependsOn": needed})
    store.item("ready", "done")
    store.item("base", "review")
    store.item("dropped", "cancelled")
    on = [
        {"name": "base", "state": "open"},
        {"name": "dropped", "state": "cancelled"},
        {"name": "nowhere", "state": "missing"},
    ]
    expected = [{"namespace": "team", "name": "needy", "repository": "shop", "on": on}]
    assert store.view()["dependencies"]["waiting"] == expected


def test_dependencies_that_are_off_hold_nobody(store: Store) -> None:
    store.item("needy", spec={"dependsOn": [{"name": "base"}]})
    store.item("base")
    view = store.view(dependencies=False)
    assert (places(view)[1], view["dependencies"]["waiting"]) == (("base", 2, "needy"), [])


def test_members_of_a_cycle_are_named(store: Store) -> None:
    stalled = {"type": "Stalled", "status": "True", "reason": "DependencyCycle"}
    store.item("one", conditions=[stalled])
    store.item("other")
    assert store.view()["dependencies"]["cycles"] == [{"namespace": "team", "name": "one"}]


def test_unreadable_item_is_shown_and_keeps_its_lane(store: Store) -> None:
    store.item("odd", "tomorrow")
    store.item("next")
    odd, following = store.view()["items"]
    assert (odd["stage"], following["ahead"]) == (None, "odd")
    assert "unknown stage 'tomorrow'" in odd["invalid"]


def test_item_without_its_repository_is_shown() -> None:
    store = Store()
    store.item("orphan", repository="gone")
    assert places(store.view()) == [("orphan", 1, None)]


def test_repository_of_odd_shape_is_taken_for_one_without_policy() -> None:
    store = Store()
    store.repository(status={"activeItem": 5, "effectiveFreeze": "yes"}, serialGate=["no"])
    assert store.view()["serial_gate"]["lanes"][0]["enabled"] is True


def test_filter_shows_the_repositories_of_that_name_in_all_namespaces(store: Store) -> None:
    store.item("mine")
    store.item("theirs", namespace="others")
    store.item("elsewhere", repository="bank")
    assert [item["namespace"] for item in store.view("shop")["items"]] == ["others", "team"]


def test_unknown_repository_has_no_items(store: Store) -> None:
    store.item("mine")
    assert store.view("nobody")["items"] == []


FROZEN = {
    "effectiveFreeze": {
        "reason": "fair",
        "source": "Annotation",
        "scope": "admission",
        "sinceTime": "2026-01-01T00:00:00Z",
    }
}


def test_freezes_name_repository_reason_and_time(store: Store) -> None:
    store.repository("bank", status=FROZEN)
    assert store.view()["freezes"] == [
        {
            "namespace": "team",
            "repository": "bank",
            "reason": "fair",
            "source": "Annotation",
            "scope": "admission",
            "since": "2026-01-01T00:00:00Z",
            "until": None,
        }
    ]


def test_freezes_are_not_shown_while_they_do_not_hold(store: Store) -> None:
    store.repository("bank", status=FROZEN)
    assert store.view(freeze=False)["freezes"] == []


def test_frozen_repositories_are_counted(store: Store) -> None:
    store.repository("bank", status=FROZEN)
    assert frozen_repositories(store.cache) == 1


def test_a_thawed_repository_is_no_longer_counted(store: Store) -> None:
    store.repository("bank", status=FROZEN)
    store.repository("bank")
    assert frozen_repositories(store.cache) == 0


WATCH = {"verdict": "Watching", "untilTime": "2026-01-01T09:00:00Z"}


def test_lane_shows_whose_deploy_is_watched_and_until_when(store: Store) -> None:
    store.item("healthy", "done", monitor=WATCH | {"verdict": "Healthy"})
    store.item("fresh", "done", monitor=WATCH)
    (lane,) = store.view()["serial_gate"]["lanes"]
    assert lane["watched"] == [{"name": "fresh", "until": "2026-01-01T09:00:00Z"}]
    assert lane["waits_for_monitor"] is True


@pytest.mark.parametrize(
    ("settings", "gate"),
    [({}, {"waitForMonitor": False}), ({}, {"mode": "Disabled"}), ({"serial_gate": False}, {})],
)
def test_lane_says_where_nobody_waits_for_the_watch(settings: JSONObject, gate: JSONObject) -> None:
    store = Store()
    store.repository(serialGate=gate)
    assert store.view(**settings)["serial_gate"]["lanes"][0]["waits_for_monitor"] is False


def test_runs_show_who_works_and_who_waits_for_a_slot(store: Store) -> None:
    store.item("busy", "development", activeRun={"role": "developer"})
    store.item("slow", "review", waiting={"reason": "RunSlot"})
    assert store.view(max_concurrent_runs=1)["runs"] == {
        "limit": 1,
        "at_work": 1,
        "active": [{"namespace": "team", "name": "busy", "repository": "shop", "role": "developer"}],
        "waiting_for_slot": [{"namespace": "team", "name": "slow", "repository": "shop"}],
    }


def test_intents_of_side_effects_are_shown(store: Store) -> None:
    store.item("moving", "deploy-staging", transition={"effect": "Merge"})
    expected = [{"namespace": "team", "name": "moving", "repository": "shop", "effect": "Merge"}]
    assert store.view()["transition_lease"]["under_way"] == expected


def test_without_a_sweep_reconcile_is_off_and_counts_nothing(store: Store) -> None:
    assert store.view(reconcile_interval_seconds=7.0)["reconcile"] == {
        "enabled": False,
        "interval": 7.0,
        "last_run_ts": None,
        "unblocked_total": 0,
        "last_unblocked": None,
        "skipped_terminal_total": 0,
        "deduped_total": 0,
    }


def test_a_sweep_is_shown_as_it_is(store: Store) -> None:
    sweep = Sweep(enabled=True, interval=30.0, last_run_ts=5.0, unblocked_total=2, last_unblocked="team/shop-et-1")
    settings = EngineSettings(holder="me", tools_image="conveyor")
    shown = parsed(QueueView(store.cache, settings).answer(sweep=sweep))["reconcile"]
    assert (shown["enabled"], shown["unblocked_total"], shown["last_unblocked"]) == (True, 2, "team/shop-et-1")


def seconds_to_answer(items: int) -> float:
    """Of a processor; the least of a few."""
    store = Store()
    for number in range(50):
        store.repository(f"repository-{number}")
    for number in range(items):
        store.item(f"item-{number}", repository=f"repository-{number % 50}")
    took = []
    for _ in range(5):
        began = time.process_time()
        shown = store.view()
        took.append(time.process_time() - began)
        assert len(shown["items"]) == items
    return min(took)


def test_ten_times_as_many_items_take_nowhere_near_a_hundred_times_as_long() -> None:
    assert seconds_to_answer(5000) < 40 * seconds_to_answer(500)


def test_text_cannot_become_markup(store: Store) -> None:
    store.repository("bank", status={"effectiveFreeze": {"reason": "</script><img src=x onerror=alert(1)>&\u2028"}})
    settings = EngineSettings(holder="me", tools_image="conveyor")
    answer = QueueView(store.cache, settings).answer(leases=[("<", "&")])
    assert not set("<>&\u2028") & set(answer.decode())
    assert parsed(answer)["freezes"][0]["reason"].startswith("</script>")
