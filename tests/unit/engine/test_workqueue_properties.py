"""What the work queue promises in every order of events:

1. A key is never with two workers.
2. What was asked for is handed out: an add during work, and a delay that ends during work, after `done`.
3. Of a delay and another, the earlier counts; an add ends the delay. Nothing is handed out before its time, or twice.
4. No ready key of higher priority, or of the same and ready earlier, is passed over.
5. Nobody waits while a key is ready, also after others who waited were cancelled.
6. A backoff lies between half and whole of `base * 2 ** failures`, at most `cap`, and starts anew after `forget`.
7. Shutdown releases everybody who waits, hands out nothing more and leaves no timer.

The machine compares the queue with a plain model that looks through all keys at each step. Clock and timers are moved
by the test; a failure prints what reproduces it.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from conveyor.engine.workqueue import Backoff, QueueShutDownError, WorkQueue
from tests.fakes.timers import ManualTime, settle

KEYS = st.sampled_from("abcde")
PRIORITIES = st.integers(-1, 2)
BACKOFF = Backoff(base=0.5, cap=4.0)
ALL_DELAYS = 1000
ROUNDS = 12
"""Enough to hand out each key twice, one a round."""


@dataclass(frozen=True)
class Asked:
    due: float
    priority: int
    ready_since: tuple[int, float] | None = None
    """Step and time at which it became ready; None while it is delayed or its key in work."""


class WorkQueueMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.time = ManualTime()
        self.step = 0
        self.asked: dict[str, Asked] = {}
        self.working: set[str] = set()
        self.failures: dict[str, int] = {}
        self.waiting: list[asyncio.Task[None]] = []
        self.received: list[str] = []
        self.released = 0

    @initialize(random=st.randoms(use_true_random=False))
    def start(self, random: Random) -> None:
        self.queue: WorkQueue[str] = WorkQueue(
            self.time.clock, random, backoff=BACKOFF, call_later=self.time.call_later
        )

    @rule(key=KEYS, priority=PRIORITIES)
    def add(self, key: str, priority: int) -> None:
        self.queue.add(key, priority)
        self.ask(key, 0, priority=priority)

    @rule(key=KEYS, seconds=st.integers(0, 8), priority=PRIORITIES)
    def add_after(self, key: str, seconds: int, priority: int) -> None:
        async def act() -> None:
            self.queue.add_after(key, seconds, priority=priority)

        self.run(act())
        self.ask(key, seconds, priority=priority)

    @rule(key=KEYS)
    def retry(self, key: str) -> None:
        seconds = self.queue.retry(key)
        whole = min(BACKOFF.cap, BACKOFF.base * 2 ** self.failures.get(key, 0))
        assert whole / 2 <= seconds <= whole
        self.failures[key] = self.failures.get(key, 0) + 1
        self.ask(key, seconds, priority=0)

    @rule(key=KEYS)
    def forget(self, key: str) -> None:
        self.queue.forget(key)
        self.failures.pop(key, None)

    @precondition(lambda self: len(self.waiting) < 3)
    @rule()
    def ask_for_work(self) -> None:
        async def get() -> None:
            try:
                self.received.append(await self.queue.get())
            except QueueShutDownError:
                self.released += 1

        async def start() -> None:
            self.waiting.append(asyncio.create_task(get()))

        self.run(start())
        self.settled()

    @precondition(lambda self: self.waiting)
    @rule(key=KEYS, data=st.data())
    def cancel_one_who_waits_just_after_an_add(self, key: str, data: st.DataObject) -> None:
        unlucky = data.draw(st.sampled_from(range(len(self.waiting))))
        self.queue.add(key)
        self.waiting[unlucky].cancel()
        self.ask(key, 0, priority=0)

    @precondition(lambda self: self.working)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        self.finish_key(data.draw(st.sampled_from(sorted(self.working))))

    @rule(seconds=st.integers(1, 10))
    def let_time_pass(self, seconds: int) -> None:
        self.time.advance(seconds)
        self.settled()

    @rule()
    def work_off_everything(self) -> None:
        for _ in range(ROUNDS):
            self.let_time_pass(ALL_DELAYS)
            for key in sorted(self.working):
                self.finish_key(key)
            if not self.waiting:
                self.ask_for_work()
        assert not self.asked

    @invariant()
    def counts_agree(self) -> None:
        ready = [asked for asked in self.asked.values() if asked.ready_since]
        delayed = [asked for asked in self.asked.values() if asked.due > self.time.now]
        assert len(self.queue) == len(ready)
        assert self.queue.delayed == len(delayed)
        assert self.queue.working == len(self.working)
        assert self.queue.oldest_age() == max((self.time.now - asked.due for asked in ready), default=0)

    @invariant()
    def nobody_waits_while_a_key_is_ready(self) -> None:
        assert not (self.waiting and any(asked.ready_since for asked in self.asked.values()))

    def teardown(self) -> None:
        waiting = len(self.waiting)
        self.queue.shutdown()
        self.queue.add("late")
        self.run(settle())
        try:
            assert self.released == waiting
            assert all(task.done() for task in self.waiting)
            assert (len(self.queue), self.queue.delayed, self.time.pending()) == (0, 0, 0)
            for key in self.working:
                self.queue.done(key)
        finally:
            self.runner.close()

    def finish_key(self, key: str) -> None:
        self.working.remove(key)
        self.queue.done(key)
        self.settled()

    def ask(self, key: str, seconds: float, *, priority: int) -> None:
        wanted = Asked(self.time.now + seconds, priority)
        known = self.asked.get(key, wanted)
        self.asked[key] = replace(known, due=min(known.due, wanted.due), priority=max(known.priority, wanted.priority))
        self.settled()

    def settled(self) -> None:
        """What is due is ready, and those who wait have been given it in a rightful order."""
        self.step += 1
        for key, asked in self.asked.items():
            if asked.due <= self.time.now and not asked.ready_since and key not in self.working:
                self.asked[key] = replace(asked, ready_since=(self.step, asked.due))
        self.run(settle())
        self.waiting = [task for task in self.waiting if not task.done()]
        for key in self.received:
            self.take(key)
        self.received.clear()

    def take(self, key: str) -> None:
        assert key not in self.working
        taken = self.asked.pop(key)
        assert taken.ready_since is not None
        for other in self.asked.values():
            if other.ready_since is not None:
                assert (-taken.priority, taken.ready_since) <= (-other.priority, other.ready_since)
        self.working.add(key)

    def run(self, act: Coroutine[Any, Any, None]) -> None:
        self.runner.run(act)


TestWorkQueue = WorkQueueMachine.TestCase
TestWorkQueue.settings = settings(max_examples=150, stateful_step_count=40, deadline=None, print_blob=True)
