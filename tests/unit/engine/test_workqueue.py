"""The queue's promises one by one; their combinations are in test_workqueue_properties."""

import asyncio
import gc
import time
import weakref
from random import Random

import pytest

from conveyor.engine.workqueue import Backoff, QueueShutDownError, WorkQueue
from tests.fakes.timers import ManualTime, settle


def seeded(seed: int) -> Random:
    return Random(seed)  # noqa: S311 jitter guards nothing


@pytest.fixture
def time_() -> ManualTime:
    return ManualTime()


@pytest.fixture
def queue(time_: ManualTime) -> WorkQueue[str]:
    return WorkQueue(time_.clock, seeded(1), call_later=time_.call_later)


async def take_ready(queue: WorkQueue[str]) -> list[str]:
    """Every ready key, in the order in which it is handed out, each done before the next."""
    taken = []
    while len(queue):
        key = await queue.get()
        queue.done(key)
        taken.append(key)
    return taken


async def test_keys_of_one_priority_come_first_in_first_out(queue: WorkQueue[str]) -> None:
    for key in ("b", "c", "a"):
        queue.add(key)
    assert await take_ready(queue) == ["b", "c", "a"]


async def test_higher_priority_comes_first(queue: WorkQueue[str]) -> None:
    queue.add("low", -1)
    queue.add("default")
    queue.add("high", 5)
    queue.add("high-later", 5)
    assert await take_ready(queue) == ["high", "high-later", "default", "low"]


async def test_key_added_twice_is_handed_out_once(queue: WorkQueue[str]) -> None:
    queue.add("a")
    queue.add("b")
    queue.add("a")
    assert await take_ready(queue) == ["a", "b"]


async def test_ready_key_added_with_higher_priority_overtakes(queue: WorkQueue[str]) -> None:
    queue.add("a")
    queue.add("b")
    queue.add("c")
    queue.add("b", 1)
    assert await take_ready(queue) == ["b", "a", "c"]


async def test_ready_key_that_overtakes_keeps_its_place_among_equals(queue: WorkQueue[str]) -> None:
    queue.add("a")
    queue.add("b", 1)
    queue.add("a", 1)
    assert await take_ready(queue) == ["a", "b"]


async def test_ready_key_added_with_lower_priority_keeps_its_own(queue: WorkQueue[str]) -> None:
    queue.add("a")
    queue.add("b", 1)
    queue.add("b", -1)
    assert await take_ready(queue) == ["b", "a"]


async def test_priority_ends_with_the_handing_out(queue: WorkQueue[str]) -> None:
    queue.add("a", 5)
    await take_ready(queue)
    queue.add("b")
    queue.add("a")
    assert await take_ready(queue) == ["b", "a"]


async def test_key_in_work_is_not_handed_out_again(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await queue.get()
    queue.add("a")
    assert (len(queue), queue.working) == (0, 1)


async def test_key_added_during_work_goes_to_the_end_when_done(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await queue.get()
    queue.add("a")
    queue.add("b")
    queue.done("a")
    assert await take_ready(queue) == ["b", "a"]


async def test_key_added_during_work_keeps_the_priority_it_was_added_with(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await queue.get()
    queue.add("a", 3)
    queue.add("b")
    queue.done("a")
    assert await take_ready(queue) == ["a", "b"]


async def test_done_of_a_key_not_in_work_is_refused(queue: WorkQueue[str]) -> None:
    queue.add("a")
    with pytest.raises(KeyError):
        queue.done("a")


async def test_waiting_getter_gets_the_key_added_later(queue: WorkQueue[str]) -> None:
    async with asyncio.TaskGroup() as group:
        getter = group.create_task(queue.get())
        await settle()
        queue.add("a")
        await settle()
        getter.cancel()
    assert getter.result() == "a"


async def test_cancelled_getter_takes_no_key_with_it(queue: WorkQueue[str]) -> None:
    async with asyncio.TaskGroup() as group:
        cancelled = group.create_task(queue.get())
        patient = group.create_task(queue.get())
        await settle()
        queue.add("a")
        cancelled.cancel()
        await settle()
        patient.cancel()
    assert (patient.result(), cancelled.cancelled()) == ("a", True)


async def test_delayed_key_is_ready_at_its_time_and_not_before(queue: WorkQueue[str], time_: ManualTime) -> None:
    queue.add_after("a", 10)
    time_.advance(9.9)
    early = (len(queue), queue.delayed)
    time_.advance(0.1)
    assert (early, (len(queue), queue.delayed)) == ((0, 1), (1, 0))


async def test_waiting_getter_gets_a_delayed_key_at_its_time(queue: WorkQueue[str], time_: ManualTime) -> None:
    async with asyncio.TaskGroup() as group:
        getter = group.create_task(queue.get())
        await settle()
        queue.add_after("a", 10)
        time_.advance(10)
        await settle()
        getter.cancel()
    assert getter.result() == "a"


@pytest.mark.parametrize("delays", [(10, 30), (30, 10)], ids=["earlier asked first", "earlier asked last"])
async def test_earlier_of_two_delays_wins(queue: WorkQueue[str], time_: ManualTime, delays: tuple[int, int]) -> None:
    for delay in delays:
        queue.add_after("a", delay)
    time_.advance(10)
    first = await take_ready(queue)
    time_.advance(1000)
    assert (first, await take_ready(queue)) == (["a"], [])


async def test_add_cancels_a_pending_delay(queue: WorkQueue[str], time_: ManualTime) -> None:
    queue.add_after("a", 10)
    queue.add("a")
    first = await take_ready(queue)
    time_.advance(1000)
    assert (first, await take_ready(queue)) == (["a"], [])


async def test_delay_of_a_ready_key_changes_nothing(queue: WorkQueue[str], time_: ManualTime) -> None:
    queue.add("a")
    queue.add_after("a", 10)
    first = await take_ready(queue)
    time_.advance(1000)
    assert (first, await take_ready(queue)) == (["a"], [])


async def test_delay_that_ends_during_work_waits_for_done(queue: WorkQueue[str], time_: ManualTime) -> None:
    queue.add("a")
    await queue.get()
    queue.add_after("a", 10)
    time_.advance(10)
    during = len(queue)
    queue.done("a")
    assert (during, await take_ready(queue)) == (0, ["a"])


async def test_delay_asked_during_work_outlasts_done(queue: WorkQueue[str], time_: ManualTime) -> None:
    queue.add("a")
    await queue.get()
    queue.add_after("a", 10)
    queue.done("a")
    ready_at_once = len(queue)
    time_.advance(10)
    assert (ready_at_once, await take_ready(queue)) == (0, ["a"])


async def test_add_during_work_wins_over_a_backoff(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await queue.get()
    queue.add("a")
    queue.retry("a")
    queue.done("a")
    assert await take_ready(queue) == ["a"]


@pytest.mark.parametrize("seconds", [0, -5])
async def test_delay_without_length_is_ready_at_once(queue: WorkQueue[str], seconds: float) -> None:
    queue.add_after("a", seconds)
    assert await take_ready(queue) == ["a"]


async def test_keys_that_become_due_come_in_the_order_of_their_times(queue: WorkQueue[str], time_: ManualTime) -> None:
    queue.add_after("late", 20)
    queue.add_after("early", 10)
    time_.advance(30)
    queue.add("now")
    assert await take_ready(queue) == ["early", "late", "now"]


async def test_later_delay_ends_after_an_earlier_one_has(queue: WorkQueue[str], time_: ManualTime) -> None:
    queue.add_after("early", 10)
    queue.add_after("late", 20)
    time_.advance(10)
    first = await take_ready(queue)
    time_.advance(10)
    assert (first, await take_ready(queue)) == (["early"], ["late"])


async def test_one_timer_serves_all_delays(queue: WorkQueue[str], time_: ManualTime) -> None:
    for number in range(100):
        queue.add_after(f"key-{number}", 100 - number)
    assert time_.pending() == 1


@pytest.mark.parametrize(
    ("failures", "longest"),
    [(1, 0.5), (2, 1.0), (3, 2.0), (7, 32.0), (8, 60.0), (5000, 60.0)],
)
def test_backoff_doubles_up_to_the_cap_and_jitter_takes_at_most_half(failures: int, longest: float) -> None:
    random = seeded(3)
    seconds = [Backoff().seconds(failures, random) for _ in range(200)]
    assert longest / 2 <= min(seconds) < 0.55 * longest
    assert 0.95 * longest < max(seconds) <= longest


async def test_retry_delays_the_key_by_what_it_returns(queue: WorkQueue[str], time_: ManualTime) -> None:
    seconds = queue.retry("a")
    time_.advance(seconds - 0.001)
    early = len(queue)
    time_.advance(0.001)
    assert (early, len(queue)) == (0, 1)


async def test_retries_in_a_row_wait_longer(queue: WorkQueue[str]) -> None:
    first, *_, fifth = [queue.retry("a") for _ in range(5)]
    assert first <= 0.5
    assert 4.0 <= fifth <= 8.0


async def test_keys_have_a_backoff_each(queue: WorkQueue[str]) -> None:
    for _ in range(5):
        queue.retry("a")
    assert queue.retry("b") <= 0.5


async def test_forgotten_key_starts_its_backoff_anew(queue: WorkQueue[str]) -> None:
    for _ in range(5):
        queue.retry("a")
    queue.forget("a")
    assert queue.retry("a") <= 0.5


async def test_same_seed_gives_the_same_jitter() -> None:
    time_ = ManualTime()
    queues: list[WorkQueue[str]] = [WorkQueue(time_.clock, seeded(7), call_later=time_.call_later) for _ in "12"]
    assert queues[0].retry("a") == queues[1].retry("a")


async def test_oldest_age_counts_from_the_longest_waiting_ready_key(queue: WorkQueue[str], time_: ManualTime) -> None:
    queue.add_after("delayed", 5)
    queue.add("high", 1)
    time_.advance(3)
    of_the_added = queue.oldest_age()
    await take_ready(queue)
    time_.advance(6)
    assert (of_the_added, queue.oldest_age()) == (3, 4)


async def test_nothing_ready_has_no_age(queue: WorkQueue[str], time_: ManualTime) -> None:
    queue.add_after("a", 5)
    time_.advance(1)
    assert queue.oldest_age() == 0


async def test_shutdown_releases_those_who_wait(queue: WorkQueue[str]) -> None:
    getters = [asyncio.create_task(queue.get()) for _ in range(3)]
    await settle()
    queue.shutdown()
    await settle()
    for getter in getters:
        getter.cancel()
    results = await asyncio.gather(*getters, return_exceptions=True)
    assert [type(result) for result in results] == [QueueShutDownError] * 3


async def test_get_after_shutdown_ends_at_once_though_keys_were_ready(queue: WorkQueue[str]) -> None:
    queue.add("a")
    queue.shutdown()
    with pytest.raises(QueueShutDownError):
        await queue.get()


async def test_work_finishes_after_shutdown(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await queue.get()
    queue.add("a")
    queue.shutdown()
    queue.retry("a")
    queue.done("a")
    assert (len(queue), queue.delayed, queue.working) == (0, 0, 0)


async def test_shutdown_leaves_no_timer_behind(queue: WorkQueue[str], time_: ManualTime) -> None:
    queue.add_after("a", 10)
    queue.shutdown()
    queue.add_after("b", 10)
    assert time_.pending() == 0


async def test_delay_ends_by_the_loop_where_time_is_not_replaced() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("a", 0.001)
    async with asyncio.timeout(10):
        assert await queue.get() == "a"


async def test_fifteen_thousand_keys_cost_little() -> None:
    """Takes about a tenth of a second; what is quadratic would take minutes."""
    time_ = ManualTime()
    queue: WorkQueue[int] = WorkQueue(time_.clock, seeded(1), call_later=time_.call_later)
    began = time.process_time()
    for number in range(15_000):
        queue.add_after(number, 15_000 - number)
    for number in range(15_000):
        queue.add(number, number % 7)
    for _ in range(15_000):
        queue.done(await queue.get())
    assert time.process_time() - began < 2


class Name:
    """A key whose life can be watched."""


async def test_cancelled_delays_do_not_pile_up() -> None:
    time_ = ManualTime()
    queue: WorkQueue[Name] = WorkQueue(time_.clock, seeded(1), call_later=time_.call_later)
    alive: weakref.WeakSet[Name] = weakref.WeakSet()
    queue.add_after(Name(), 10)
    for _ in range(5_000):
        key = Name()
        alive.add(key)
        queue.add_after(key, 3600)
        queue.add(key)
        queue.done(await queue.get())
    gc.collect()
    assert len(alive) < 200
