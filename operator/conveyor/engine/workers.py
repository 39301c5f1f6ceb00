"""The pool of workers: takes keys from the queue, runs one pass each, and tells the queue what the outcome asks for."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from pathlib import PurePath
from traceback import extract_tb
from typing import Generic, TypeVar

from conveyor.engine.outcomes import Again, Done, Outcome, Person, Retry
from conveyor.engine.workqueue import QueueShutDownError, WorkQueue

logger = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)

AT_ONCE = 200
"""Passes in a row without a wait after which a key is slowed down: a circle must not take the forge's time."""

ASKED_AGAIN = -1
"""Priority of a key that rests: nobody reported anything, so what was reported goes first."""

Reconcile = Callable[[K], Awaitable[Outcome]]
OnError = Callable[[K, BaseException], None]
OnOutcome = Callable[[K, Outcome, float], None]


async def run_workers(
    queue: WorkQueue[K],
    reconcile: Reconcile[K],
    *,
    on_error: OnError[K],
    on_outcome: OnOutcome[K],
    count: int = 8,
    time_limit: float = 120.0,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Work until the queue is shut down and what was in work has finished, or until cancelled; no task is left behind.

    A pass that raises, or that takes longer than `time_limit` seconds and is cancelled therefore, counts as Retry.
    `on_error` is told of each such pass, `on_outcome` of every pass, with its duration in seconds. They must not raise:
    what they raise ends the pool.
    """
    worker = _Worker(queue, reconcile, on_error, on_outcome, time_limit, clock)
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(worker.run(), name=f"worker-{number}")


@dataclass(frozen=True, slots=True)
class _Worker(Generic[K]):
    queue: WorkQueue[K]
    reconcile: Reconcile[K]
    on_error: OnError[K]
    on_outcome: OnOutcome[K]
    time_limit: float
    clock: Callable[[], float]
    at_once: dict[K, int] = field(default_factory=dict)
    """How often in a row a key was to be looked at again without a wait; it holds no key that rests."""

    async def run(self) -> None:
        while True:
            try:
                key = await self.queue.get()
            except QueueShutDownError:
                return
            try:
                began = self.clock()
                outcome = await self._attempt(key)
                self._settle(key, outcome)
                self.on_outcome(key, outcome, self.clock() - began)
            finally:
                self.queue.done(key)
            # A pass that awaits nothing would otherwise keep the loop until the queue is empty.
            await asyncio.sleep(0)

    async def _attempt(self, key: K) -> Outcome:
        limit = asyncio.timeout(self.time_limit)
        try:
            async with limit:
                return await self.reconcile(key)
        except asyncio.CancelledError as error:
            # Cancelled from within, as by awaiting a task that somebody cancelled. Let through, it would end this
            # worker alone and in silence: a task group takes a cancelled member for one that has ended well.
            if _is_being_cancelled():
                raise
            return self._failed(key, error)
        except Exception as error:  # noqa: BLE001 the loop's edge
            if limit.expired():
                return self._failed(key, error, text=f"the pass took longer than {self.time_limit:g} s")
            return self._failed(key, error)

    def _failed(self, key: K, error: BaseException, *, text: str = "") -> Retry:
        """Names the error by type and place, for its text may quote what is secret or hostile."""
        self.on_error(key, error)
        name = type(error).__name__
        logger.error("reconcile failed", extra={"key": str(key), "error_type": name, "where": place(error)})
        return Retry(text or name)

    def _settle(self, key: K, outcome: Outcome) -> None:
        if not isinstance(outcome, Again) or outcome.after > 0:
            self.at_once.pop(key, None)
        match outcome:
            case Done() | Person():
                self.queue.forget(key)
            case Again(after) if after > 0 or self._may_go_on(key):
                self.queue.forget(key)
                self.queue.add_after(key, after, priority=ASKED_AGAIN if after > 0 else 0)
            case Again():
                seconds = self.queue.retry(key)
                logger.warning("a key goes round in circles", extra={"key": str(key), "seconds": seconds})
            case Retry(error):
                seconds = self.queue.retry(key)
                logger.warning("reconcile is retried", extra={"key": str(key), "error": error, "seconds": seconds})

    def _may_go_on(self, key: K) -> bool:
        """A pass that takes a step asks for the next at once; nothing has that many steps to take without a wait."""
        count = self.at_once[key] = self.at_once.get(key, 0) + 1
        return count <= AT_ONCE


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def place(error: BaseException) -> str:
    """File and line where it was raised, for a log that must not quote its text."""
    frames = extract_tb(error.__traceback__)
    return f"{PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
