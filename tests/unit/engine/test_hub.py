"""Who is woken by what, and who is not: a change wakes its own item and those whose next step it may allow.

| change | woken |
|---|---|
| an item seen | itself; written by us: nobody |
| it leaves or enters its lane | the lane's head |
| it ends, comes or goes | who depends on it |
| its dependencies change | all who wait behind it, for a cycle may have closed or opened |
| its run ends, or it no longer waits for a slot | who is next for a slot |
| a deploy's watch ends | the lane's head |
| a Repository changes | itself, items under way or watched, the head; it comes or goes: all its items |
| a Job comes unexpected, goes, or says something that its item acts upon | its item |
| we stand by | nobody; who begins is given all there is |
"""

from typing import Any

import pytest

from conveyor.cluster.protocol import JSONObject, Key
from conveyor.engine.cache import Cache
from conveyor.engine.hub import Hub, Work
from conveyor.engine.slots import Slots
from tests.unit.engine.objects import item, job, obj, repository, run
from tests.unit.engine.told import Told


class Bench:
    def __init__(self, *, limit: int = 20) -> None:
        self.cache = Cache()
        self.slots = Slots(self.cache, limit=limit)
        self._woken: list[Work] = []
        self.hub = Hub(self.cache, self._woken.append, slots=self.slots, telemetry=Told())

    def woken(self) -> set[str]:
        """Names of the keys woken since the last time."""
        found = {key.name for _, key in self._woken}
        self._woken.clear()
        return found

    def given(self, *items: JSONObject, repositories: tuple[str, ...] = ("shop",)) -> None:
        for name in repositories:
            self.hub.repository_seen(repository(name))
        for one in items:
            self.hub.item_seen(one)
        self.woken()


def needs(*names: str) -> JSONObject:
    return {"dependsOn": [{"name": name} for name in names]}


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_item_seen_wakes_itself_and_old_news_nobody(bench: Bench) -> None:
    whole = item("a", "review")
    bench.given()
    bench.hub.item_seen(whole)
    assert bench.woken() == {"a"}
    bench.hub.item_seen(whole)
    assert bench.woken() == set()


def test_own_write_wakes_nobody_by_itself(bench: Bench) -> None:
    bench.given(item("a", "review"))
    bench.hub.item_written(item("a", "testing"))
    assert bench.woken() == set()


def test_end_of_the_item_under_way_wakes_the_next_and_nobody_else(bench: Bench) -> None:
    waiting = [item(f"w{number}") for number in range(20)]
    bench.given(item("a", "deploy"), *waiting)
    bench.hub.item_written(item("a", "done"))
    assert bench.woken() == {"w0"}


@pytest.mark.parametrize("how", ["deleted", "stalled", "suspended", "raised"])
def test_change_of_a_lane_wakes_its_head(bench: Bench, how: str) -> None:
    first, second = item("first"), item("second")
    bench.given(first, second, item("under-way", "review"))
    match how:
        case "deleted":
            bench.hub.item_gone(first)
        case "stalled":
            stalled = [{"type": "Stalled", "status": "True", "reason": "CISilent"}]
            bench.hub.item_written(item("under-way", "review", conditions=stalled))
        case "suspended":
            bench.hub.item_written(item("first", spec={"suspend": True}))
        case _:
            bench.hub.item_written(item("second", spec={"priority": 5}))
    expected = {"stalled": "first"}.get(how, "second")
    assert bench.woken() == ({expected, "first"} if how == "deleted" else {expected})


@pytest.mark.parametrize("end", ["done", "cancelled", "gone"])
def test_end_of_an_item_wakes_who_depends_on_it(bench: Bench, end: str) -> None:
    bench.given(item("a", "deploy"), item("b", repository="cart", spec=needs("a")), item("c", repository="cart"))
    bench.woken()
    if end == "gone":
        bench.hub.item_gone(item("a"))
    else:
        bench.hub.item_written(item("a", end))
    assert "b" in bench.woken()


def test_item_that_comes_wakes_who_waited_for_it_to_exist(bench: Bench) -> None:
    bench.given(item("b", spec=needs("a")))
    bench.hub.item_seen(item("a", repository="cart"))
    assert {"a", "b"} <= bench.woken()


def test_step_of_an_item_wakes_no_dependent(bench: Bench) -> None:
    bench.given(item("a", "review"), item("b", spec=needs("a")))
    bench.hub.item_written(item("a", "testing"))
    assert bench.woken() == set()


def test_dependencies_that_change_wake_all_behind_across_repositories(bench: Bench) -> None:
    bench.given(
        item("a", repository="one"), item("b", repository="two", spec=needs("a")), item("c", spec=needs("b")), item("d")
    )
    bench.hub.item_seen(item("a", repository="one", spec=needs("c")))
    assert bench.woken() >= {"a", "b", "c"}
    bench.hub.item_gone(item("a", repository="one"))
    assert bench.woken() >= {"b", "c"}


def test_repository_that_changes_wakes_itself_who_is_under_way_and_the_head(bench: Bench) -> None:
    bench.given(item("up", "review"), item("w0"), item("w1"), item("w2"), item("old", "done"))
    bench.hub.repository_seen(repository())
    assert bench.woken() == {"shop", "up", "w0"}
    bench.hub.repository_written(repository())
    assert bench.woken() == {"up", "w0"}


WATCH = {"verdict": "Watching", "untilTime": "2026-03-02T12:00:00Z"}


def test_repository_that_changes_wakes_whose_deploy_is_watched(bench: Bench) -> None:
    bench.given(item("old", "done"), item("watched", "done", monitor=WATCH))
    bench.hub.repository_seen(repository())
    assert bench.woken() == {"shop", "watched"}


def test_lost_wake_is_made_up_for_whatever_moves(bench: Bench) -> None:
    bench.given(
        item("up", "review"), item("w0"), item("w1"), item("old", "done"), item("watched", "done", monitor=WATCH)
    )
    bench.hub.wake_what_moves()
    assert bench.woken() == {"up", "w0", "watched"}


def test_verdict_on_a_deploy_wakes_the_next_and_nobody_else(bench: Bench) -> None:
    bench.given(item("w0"), item("w1"), item("watched", "done", monitor=WATCH))
    counted = WATCH | {"failures": 1}
    bench.hub.item_written(item("watched", "done", monitor=counted))
    assert bench.woken() == set()
    bench.hub.item_written(item("watched", "done", monitor=counted | {"verdict": "Healthy"}))
    assert bench.woken() == {"w0"}


@pytest.mark.parametrize("how", ["came", "went", "replaced"])
def test_repository_that_comes_or_goes_wakes_all_its_items_that_have_not_ended(bench: Bench, how: str) -> None:
    bench.given(item("up", "review"), item("w0"), item("w1"), item("old", "done"), repositories=())
    bench.given(item("watched", "done", monitor=WATCH), repositories=())
    if how != "came":
        bench.given()
    if how == "went":
        bench.hub.repository_gone(repository())
    else:
        bench.hub.repository_seen(repository(uid="another" if how == "replaced" else ""))
    assert bench.woken() == {"shop", "up", "w0", "w1", "watched"}


def test_job_wakes_its_item_when_it_comes_changes_and_goes(bench: Bench) -> None:
    bench.given(item("a", "review"))
    for whole in (job("j", "a"), job("j", "a", ended=True)):
        bench.hub.job_seen(whole)
        assert bench.woken() == {"a"}
    bench.hub.job_gone(job("j", "a"))
    assert bench.woken() == {"a"}


def said(condition: str, **status: Any) -> JSONObject:
    return {"status": {"conditions": [{"type": condition, "status": "True"}]} | status}


EFFECT: JSONObject = {"effect": "Staging"}
STARTED: JSONObject = {"startTime": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("before", "after", "woken"),
    [
        pytest.param({}, {"status": STARTED | {"active": 1, "ready": 0}}, set(), id="its pod was made"),
        pytest.param({}, {"status": STARTED | {"active": 1, "ready": 1}}, set(), id="its pod is ready"),
        pytest.param({}, {"finalizer": True}, set(), id="its finalizer changes"),
        pytest.param({}, said("SuccessCriteriaMet"), set(), id="it ends soon"),
        pytest.param({}, said("FailureTarget"), {"a"}, id="it is going to fail"),
        pytest.param({}, said("Complete", active=1), {"a"}, id="it ends"),
        pytest.param(said("Failed", terminating=1), said("Failed"), {"a"}, id="its last pod is gone"),
        pytest.param({}, {"deleted": True}, {"a"}, id="somebody deletes it"),
        pytest.param({}, {"uid": "another"}, {"a"}, id="it is another"),
        pytest.param({}, {"spec": {"suspend": True}}, {"a"}, id="it has to wait"),
        pytest.param({"spec": {"suspend": True}}, {"status": STARTED}, {"a"}, id="it need not wait any more"),
        pytest.param(EFFECT | {"spec": {"suspend": True}}, EFFECT, set(), id="we let an effect's begin"),
        pytest.param(
            EFFECT, EFFECT | {"spec": {"suspend": True}, "status": STARTED}, {"a"}, id="somebody stops an effect's"
        ),
    ],
)
def test_job_at_work_wakes_its_item_for_news_alone(
    bench: Bench, before: JSONObject, after: JSONObject, woken: set[str]
) -> None:
    bench.given(item("a", "review"))
    bench.hub.job_seen(job("j", "a", **before))
    bench.woken()
    bench.hub.job_seen(job("j", "a", **after))
    assert bench.woken() == woken


@pytest.mark.parametrize(
    ("found", "woken"),
    [
        pytest.param({}, set(), id="it begins"),
        pytest.param({"spec": {"suspend": True}}, set(), id="it has to wait"),
        pytest.param({"ended": True}, {"a"}, id="it has ended"),
        pytest.param({"deleted": True}, {"a"}, id="somebody deletes it"),
    ],
)
def test_job_that_is_expected_wakes_its_item_only_when_it_is_beyond_its_beginning(
    bench: Bench, found: JSONObject, woken: set[str]
) -> None:
    bench.given(item("a", "review", **run(name="j")))
    bench.hub.job_seen(job("j", "a", **found))
    assert bench.woken() == woken


@pytest.mark.parametrize("asked", [run(name="another"), {}])
def test_job_that_nobody_expects_wakes_its_item(bench: Bench, asked: JSONObject) -> None:
    bench.given(item("a", "review", **asked))
    bench.hub.job_seen(job("j", "a"))
    assert bench.woken() == {"a"}


def test_job_of_a_namesake_wakes_who_has_that_name_now(bench: Bench) -> None:
    bench.given(item("a", "review", uid="uid-of-another", **run(name="j")))
    bench.hub.job_seen(job("j", "a"))
    assert bench.woken() == {"a"}


def test_job_of_nobody_wakes_nobody(bench: Bench) -> None:
    bench.hub.job_seen(obj("j"))
    assert bench.woken() == set()


# --- slots


WAITS: dict[str, Any] = {"waiting": {"reason": "RunSlot"}}


def test_run_that_ends_wakes_who_is_next_for_its_slot() -> None:
    bench = Bench(limit=1)
    bench.given(item("a", "review", **run()), *(item(f"w{n}", "review", repository=f"r{n}", **WAITS) for n in range(3)))
    bench.hub.item_written(item("a", "review"))
    assert bench.woken() == {"w0"}


def test_slot_goes_past_who_cannot_use_it() -> None:
    bench = Bench(limit=2)
    bench.hub.repository_seen(repository("full", spec={"maxConcurrentRuns": 1}))
    bench.given(
        item("f1", "review", repository="full", **run()),
        item("f2", "review", repository="full", **WAITS),
        item("a", "review", **run()),
        item("b", "review", **WAITS),
    )
    bench.hub.item_written(item("a", "review"))
    assert bench.woken() == {"b"}


def test_slot_is_passed_on_by_who_took_one_and_by_who_no_longer_wants_one() -> None:
    bench = Bench(limit=3)
    waiting = [item(f"w{n}", "review", repository=f"r{n}", **WAITS) for n in range(3)]
    bench.given(*waiting)
    bench.hub.item_written(item("w0", "review", repository="r0", **run()))
    assert bench.woken() == {"w1"}
    bench.hub.item_written(item("w1", "cancelled", repository="r1"))
    assert "w2" in bench.woken()


# --- tickets


HINT = "hint.conveyor.dev/ticket"


def hinted(value: str) -> dict[str, Any]:
    return {"metadata": {"annotations": {HINT: value}}}


def test_ticket_is_to_be_read_until_a_pass_has_read_it(bench: Bench) -> None:
    key = Key("team", "a")
    bench.given(item("a", "review"))
    bench.hub.ticket_changed(key)
    assert bench.woken() == {"a"}
    notes = bench.hub.ticket_notes(key)
    assert notes
    bench.hub.ticket_was_read(key, notes)
    assert not bench.hub.ticket_notes(key)


def test_ticket_that_changes_while_it_is_read_is_read_again(bench: Bench) -> None:
    key = Key("team", "a")
    bench.given(item("a", "review"))
    bench.hub.ticket_changed(key)
    notes = bench.hub.ticket_notes(key)
    bench.hub.ticket_changed(key)
    bench.hub.ticket_was_read(key, notes)
    assert bench.hub.ticket_notes(key)


def test_new_hint_says_that_the_ticket_is_to_be_read_and_the_same_hint_does_not(bench: Bench) -> None:
    key = Key("team", "a")
    bench.given(item("a", "review", **hinted("ET-1 0011223344556677")))
    assert not bench.hub.ticket_notes(key)
    bench.hub.item_seen(item("a", "review", **hinted("ET-1 8899aabbccddeeff")))
    assert bench.hub.ticket_notes(key)
    bench.hub.ticket_was_read(key, bench.hub.ticket_notes(key))
    bench.hub.item_seen(item("a", "testing", **hinted("ET-1 8899aabbccddeeff")))
    assert not bench.hub.ticket_notes(key)


def test_nothing_is_remembered_of_an_item_that_is_gone(bench: Bench) -> None:
    bench.given(item("a", "review"))
    bench.hub.ticket_changed(Key("team", "a"))
    bench.hub.item_gone(item("a"))
    assert not bench.hub._tickets_to_read


def test_wake_for_what_was_lost_leaves_those_alone_that_merely_wait(bench: Bench) -> None:
    bench.given(item("up", "review"), *(item(f"w{number}") for number in range(9)), item("old", "done"))
    bench.hub.wake_what_moves()
    assert bench.woken() == {"up", "w0"}


# --- standing by


def test_who_stands_by_keeps_the_cache_and_wakes_nobody(bench: Bench) -> None:
    bench.hub.stand_by()
    bench.hub.repository_seen(repository("shop"))
    bench.hub.item_seen(item("a", "review", **run()))
    bench.hub.job_seen(job("run-a", "a"))
    bench.hub.item_seen(item("b"))
    bench.hub.item_seen(item("a", "done"))
    bench.hub.repository_seen(repository("shop", spec={"queueName": "q"}))
    bench.hub.wake_what_moves()
    assert bench.woken() == set()
    assert len(bench.cache.items) == 2


def test_who_stands_by_reads_no_hints(bench: Bench) -> None:
    bench.given(item("a", "review", **hinted("ET-1 0011223344556677")))
    bench.hub.stand_by()
    bench.hub.item_seen(item("a", "review", **hinted("ET-1 8899aabbccddeeff")))
    assert not bench.hub.ticket_notes(Key("team", "a"))


def test_who_begins_looks_at_everything_there_is(bench: Bench) -> None:
    bench.hub.stand_by()
    bench.given(item("a", "review"), item("b"), item("old", "done"), repositories=("shop", "cart"))
    bench.hub.job_seen(job("run-gone", "gone", ended=True, finalizer=True))
    found = bench.hub.begin()
    assert {key.name for _, key in found} == {"shop", "cart", "a", "b", "old", "gone"}
    assert len(found) == 6
    bench.hub.item_seen(item("b", "analysis"))
    assert bench.woken() == {"b"}
