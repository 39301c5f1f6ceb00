"""Outcome by outcome what the queue is told, then the ways in which a pass and the pool can end."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

import pytest

from conveyor.engine.outcomes import Again, Done, Outcome, Person, Retry
from conveyor.engine.workers import AT_ONCE, run_workers
from conveyor.engine.workqueue import WorkQueue
from tests.fakes.timers import ManualTime, settle


@dataclass
class Pool:
    """A queue with its time, and what the pool told its callbacks."""

    time: ManualTime = field(default_factory=ManualTime)
    outcomes: list[tuple[str, Outcome, float]] = field(default_factory=list)
    errors: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        random = Random(1)  # noqa: S311 jitter guards nothing
        self.queue: WorkQueue[str] = WorkQueue(self.time.clock, random, call_later=self.time.call_later)

    async def run(
        self, reconcile: Callable[[str], Awaitable[Outcome]], *, count: int = 2, time_limit: float = 60
    ) -> None:
        await run_workers(
            self.queue,
            reconcile,
            count=count,
            time_limit=time_limit,
            clock=self.time.clock,
            on_error=lambda key, error: self.errors.append((key, type(error).__name__)),
            on_outcome=lambda key, outcome, seconds: self.outcomes.append((key, outcome, seconds)),
        )

    @asynccontextmanager
    async def running(
        self, reconcile: Callable[[str], Awaitable[Outcome]], *, count: int = 2, time_limit: float = 60
    ) -> AsyncIterator[asyncio.Task[None]]:
        """The pool at work, and cancelled at the end if it has not ended before."""
        task = asyncio.create_task(self.run(reconcile, count=count, time_limit=time_limit))
        try:
            yield task
        finally:
            task.cancel()
            await settle()
            if not task.done():
                self.queue.shutdown()  # a worker that survives its cancellation would keep the test from ending
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def pool() -> Pool:
    return Pool()


def always(outcome: Outcome) -> Callable[[str], Awaitable[Outcome]]:
    async def reconcile(_key: str) -> Outcome:
        return outcome

    return reconcile


def raising(error: BaseException) -> Callable[[str], Awaitable[Outcome]]:
    async def reconcile(_key: str) -> Outcome:
        raise error

    return reconcile


@pytest.mark.parametrize(
    ("outcome", "delayed", "forgotten"),
    [
        pytest.param(Done(), 0, True, id="done waits for a change and forgets the failures"),
        pytest.param(Again(30), 1, True, id="again comes back and forgets the failures"),
        pytest.param(Retry("no answer"), 1, False, id="retry comes back and remembers the failures"),
        pytest.param(Person("asks"), 0, True, id="person waits for their act and forgets the failures"),
    ],
)
async def test_outcome_decides_what_the_queue_does(pool: Pool, outcome: Outcome, delayed: int, forgotten: bool) -> None:
    for _ in range(5):
        pool.queue.retry("a")
    pool.queue.add("a")
    async with pool.running(always(outcome)):
        await settle()
    assert (len(pool.queue), pool.queue.delayed, pool.queue.working) == (0, delayed, 0)
    assert (pool.queue.retry("a") <= 0.5) == forgotten


async def test_key_comes_back_after_the_time_it_asked_for(pool: Pool) -> None:
    pool.queue.add("a")
    async with pool.running(always(Again(30))):
        await settle()
        pool.time.advance(29)
        await settle()
        early = len(pool.outcomes)
        pool.time.advance(1)
        await settle()
    assert (early, len(pool.outcomes)) == (1, 2)


async def test_what_was_reported_goes_before_what_is_merely_asked_again(pool: Pool) -> None:
    outcomes: dict[str, list[Outcome]] = {"asked": [Again(30)], "steps": [Again(0.0)]}

    async def reconcile(key: str) -> Outcome:
        if key == "first":
            pool.time.advance(30)
            pool.queue.add("reported")
        return outcomes.get(key, []).pop() if outcomes.get(key) else Done()

    for key in ("asked", "first", "steps"):
        pool.queue.add(key)
    async with pool.running(reconcile, count=1):
        await settle()
    assert [key for key, _, _ in pool.outcomes] == ["asked", "first", "steps", "reported", "steps", "asked"]


async def test_key_that_goes_round_in_circles_is_slowed_down(pool: Pool) -> None:
    pool.queue.add("a")
    async with pool.running(always(Again(0.0))):
        for _ in range(2 * AT_ONCE):
            await settle()
        assert len(pool.outcomes) == AT_ONCE + 1
        assert pool.queue.delayed == 1


async def test_key_that_waits_in_between_goes_in_no_circle(pool: Pool) -> None:
    outcomes = [outcome for _ in range(AT_ONCE) for outcome in (Again(0.0), Again(1.0))]

    async def reconcile(_: str) -> Outcome:
        return outcomes.pop(0) if outcomes else Done()

    pool.queue.add("a")
    async with pool.running(reconcile):
        for _ in range(2 * AT_ONCE):
            await settle()
            pool.time.advance(1.0)
    assert len(pool.outcomes) == 2 * AT_ONCE + 1


async def test_outcome_is_reported_with_the_time_the_pass_took(pool: Pool) -> None:
    async def reconcile(_key: str) -> Outcome:
        pool.time.advance(3)
        return Done()

    pool.queue.add("a")
    async with pool.running(reconcile):
        await settle()
    assert pool.outcomes == [("a", Done(), 3)]


async def test_pass_that_raises_is_counted_and_retried(pool: Pool) -> None:
    pool.queue.add("a")
    async with pool.running(raising(ValueError("token s3cret"))):
        await settle()
    assert pool.errors == [("a", "ValueError")]
    assert [outcome for _, outcome, _ in pool.outcomes] == [Retry("ValueError")]
    assert pool.queue.delayed == 1


async def test_pass_that_raises_is_logged_by_type_and_place_without_its_text(
    pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    pool.queue.add("a")
    async with pool.running(raising(ValueError("token s3cret"))):
        await settle()
    record = caplog.records[0].__dict__
    assert (record["levelno"], record["msg"]) == (logging.ERROR, "reconcile failed")
    assert (record["key"], record["error_type"]) == ("a", "ValueError")
    assert record["where"].startswith("test_workers.py:")
    assert "s3cret" not in f"{[each.__dict__ for each in caplog.records]}"


async def test_one_key_that_raises_does_not_stop_the_others(pool: Pool) -> None:
    async def reconcile(key: str) -> Outcome:
        if key == "bad":
            raise RuntimeError
        return Done()

    for key in ("bad", "a", "b"):
        pool.queue.add(key)
    async with pool.running(reconcile, count=1):
        await settle()
    assert [key for key, _, _ in pool.outcomes] == ["bad", "a", "b"]


async def test_pass_over_its_time_limit_is_cancelled_and_retried(pool: Pool) -> None:
    async def reconcile(_key: str) -> Outcome:
        await asyncio.Event().wait()
        raise AssertionError

    pool.queue.add("a")
    async with pool.running(reconcile, time_limit=0):
        await settle()
    assert pool.errors == [("a", "TimeoutError")]
    assert [outcome for _, outcome, _ in pool.outcomes] == [Retry("the pass took longer than 0 s")]


async def test_time_out_inside_a_pass_is_not_taken_for_its_time_limit(pool: Pool) -> None:
    pool.queue.add("a")
    async with pool.running(raising(TimeoutError())):
        await settle()
    assert [outcome for _, outcome, _ in pool.outcomes] == [Retry("TimeoutError")]


async def test_cancellation_from_within_a_pass_does_not_cost_a_worker(pool: Pool) -> None:
    pool.queue.add("a")
    async with pool.running(raising(asyncio.CancelledError()), count=1):
        await settle()
        pool.queue.add("b")
        await settle()
    assert pool.errors == [("a", "CancelledError"), ("b", "CancelledError")]


async def test_no_more_passes_at_once_than_workers(pool: Pool) -> None:
    at_work: list[str] = []

    async def reconcile(key: str) -> Outcome:
        at_work.append(key)
        await asyncio.Event().wait()
        raise AssertionError

    for key in "abcde":
        pool.queue.add(key)
    async with pool.running(reconcile, count=3):
        await settle()
    assert at_work == ["a", "b", "c"]


async def test_passes_that_await_nothing_let_others_run(pool: Pool) -> None:
    for number in range(100):
        pool.queue.add(f"key-{number}")
    async with pool.running(always(Done())):
        await settle()
        done_meanwhile = len(pool.outcomes)
    assert 0 < done_meanwhile < 100


async def test_pool_ends_on_shutdown_after_what_is_in_work(pool: Pool) -> None:
    may_finish = asyncio.Event()

    async def reconcile(_key: str) -> Outcome:
        await may_finish.wait()
        return Done()

    pool.queue.add("a")
    async with pool.running(reconcile) as task:
        await settle()
        pool.queue.shutdown()
        await settle()
        ended_early = task.done()
        may_finish.set()
        await settle()
        ended = task.done()
    assert (ended_early, ended, len(pool.outcomes)) == (False, True, 1)


async def test_cancelled_pool_leaves_no_task_and_nothing_in_work(pool: Pool) -> None:
    async def reconcile(_key: str) -> Outcome:
        await asyncio.Event().wait()
        raise AssertionError

    before = asyncio.all_tasks()
    pool.queue.add("a")
    task = asyncio.create_task(pool.run(reconcile, count=4))
    await settle()
    task.cancel()
    await settle()
    ended, left = task.cancelled(), asyncio.all_tasks() - before
    pool.queue.shutdown()  # a pool that has not ended would keep the test from ending too
    assert (ended, left) == (True, set())
    assert (pool.queue.working, pool.errors, pool.outcomes) == (0, [], [])
