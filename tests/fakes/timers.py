"""A monotonic clock with timers that a test moves, in the place of an event loop's."""

import asyncio
import heapq
from collections.abc import Callable
from itertools import count


class ManualTimer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class ManualTime:
    """Stands still until `advance`, which calls whatever timer ends on the way, each at its own time."""

    def __init__(self) -> None:
        self.now = 0.0
        self._order = count()
        self._timers: list[tuple[float, int, ManualTimer]] = []

    def clock(self) -> float:
        return self.now

    def call_later(self, seconds: float, callback: Callable[[], None]) -> ManualTimer:
        timer = ManualTimer(callback)
        heapq.heappush(self._timers, (self.now + seconds, next(self._order), timer))
        return timer

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while self._timers and self._timers[0][0] <= end:
            due, _, timer = heapq.heappop(self._timers)
            self.now = max(self.now, due)
            if timer.callback is not None:
                timer.callback()
        self.now = end

    def pending(self) -> int:
        return sum(timer.callback is not None for _, _, timer in self._timers)


async def settle() -> None:
    """Let every task run until it waits for something that only the test can bring about."""
    for _ in range(10):
        await asyncio.sleep(0)
