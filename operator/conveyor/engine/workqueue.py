"""A keyed work queue with client-go's semantics, for one event loop.

It carries keys, never objects, so that a worker always reads the latest. A key is asked for at most once at a time:
asking again only makes it sooner or more urgent. It is *delayed* until it is due, then *ready*, then in *work*. What is
asked for during work waits for `done` and then goes to the end. Higher priorities go first and may starve lower ones;
keys of one priority go first in, first out. Not safe across threads.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Generic, Protocol, TypeVar

K = TypeVar("K", bound=Hashable)
Rank = tuple[float, int]

STALE_ENTRIES_KEPT = 64
LARGEST_EXPONENT = 62


class QueueShutDownError(Exception):
    """The queue hands out nothing more."""


class Timer(Protocol):
    def cancel(self) -> None: ...


CallLater = Callable[[float, Callable[[], None]], Timer]


@dataclass(frozen=True, slots=True)
class _Request:
    due: float
    priority: int


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a failing key waits: doubling from `base` to `cap` seconds, of which a random half to whole is taken.

    Jitter only shortens, so `cap` holds. It keeps keys that failed together from coming back together.
    """

    base: float = 0.5
    cap: float = 60.0

    def seconds(self, failures: int, random: Random) -> float:
        """The wait after that many failures in a row, the newest included."""
        whole = min(self.cap, math.ldexp(self.base, min(failures - 1, LARGEST_EXPONENT)))
        return whole * random.uniform(0.5, 1.0)


class WorkQueue(Generic[K]):
    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        random: Random | None = None,
        *,
        backoff: Backoff | None = None,
        slack: float = 0.0,
        call_later: CallLater | None = None,
    ) -> None:
        """`clock` counts seconds and never goes back; `call_later` is the running loop's unless time is replaced.

        `slack`: what is asked for after ten times as long or more may come so many seconds late, so that what is due
        at about the same time comes together: a process that wakes for each key alone takes twice the processor time.
        """
        self._clock = clock
        self._random = random or Random()  # noqa: S311 spreads load, guards nothing
        self._backoff = backoff or Backoff()
        self._slack = slack
        self._call_later = call_later
        self._requests: dict[K, _Request] = {}
        self._delayed: _Heap[K] = _Heap()
        self._ready: _Heap[K] = _Heap()
        self._working: set[K] = set()
        self._failures: dict[K, int] = {}
        self._order = count()
        self._wake = asyncio.Event()
        self._timer: Timer | None = None
        self._timer_due = 0.0
        self._stopped = False

    def __len__(self) -> int:
        """How many keys are ready and wait for a worker."""
        return len(self._ready)

    @property
    def delayed(self) -> int:
        """How many keys wait for their time."""
        return len(self._delayed)

    @property
    def working(self) -> int:
        """How many keys are with a worker."""
        return len(self._working)

    def oldest_age(self) -> float:
        """Seconds since the ready key that waits longest was due; 0 when none is ready. Looks at every ready key."""
        now = self._clock()
        return max((now - self._requests[key].due for key in self._ready), default=0.0)

    def add(self, key: K, priority: int = 0) -> None:
        """Ask for the key now. A delay it still has is over. Ignored after shutdown."""
        self.add_after(key, 0.0, priority=priority)

    def add_after(self, key: K, seconds: float, *, priority: int = 0) -> None:
        """Ask for the key in that time, or sooner if it is asked for sooner. Must be called on the event loop.

        The earliest time and the highest priority asked for count until the key is handed out. So a delay is dropped
        when the key is ready already: its worker sees the state of then and says itself when to look again. A long
        delay may end later by the queue's slack.
        """
        now = self._clock()
        self._ask(key, now, _Request(self._due(now, max(0.0, seconds)), priority))

    def _ask(self, key: K, now: float, wanted: _Request) -> None:
        if self._stopped:
            return
        known = self._requests.get(key, wanted)
        request = _Request(min(known.due, wanted.due), max(known.priority, wanted.priority))
        if self._requests.get(key) == request:
            return
        self._requests[key] = request
        if request.due > now:
            self._delayed.put(key, (request.due, next(self._order)))
            self._arm(now)
        else:
            self._delayed.discard(key)
            self._make_ready(key)

    def _due(self, now: float, seconds: float) -> float:
        due = now + seconds
        return math.ceil(due / self._slack) * self._slack if 0 < self._slack <= seconds / 10 else due

    def retry(self, key: K) -> float:
        """Ask for the key after its backoff, and return those seconds. Each call until `forget` waits longer."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        seconds, now = self._backoff.seconds(failures, self._random), self._clock()
        self._ask(key, now, _Request(now + seconds, 0))  # without slack: what failed together comes back apart
        return seconds

    def forget(self, key: K) -> None:
        """The key's next `retry` is a first one again. Does not touch what is asked for."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """Wait for the next key, which is in work until `done`. QueueShutDownError, also in those who wait already."""
        while not self._stopped:
            if self._ready:
                key = self._ready.pop()
                del self._requests[key]
                self._working.add(key)
                return key
            # Nothing is awaited between finding nothing and waiting, so no wake-up falls in between.
            self._wake.clear()
            await self._wake.wait()
        raise QueueShutDownError

    def done(self, key: K) -> None:
        """The worker is through with the key. KeyError if it is not in work."""
        self._working.remove(key)
        if key in self._requests and key not in self._delayed:
            self._make_ready(key)

    def shutdown(self) -> None:
        """Hand out nothing more and drop what waits. What is in work may finish; calls made by it have no effect."""
        self._stopped = True
        self._requests.clear()
        self._delayed = _Heap()
        self._ready = _Heap()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wake.set()

    def _make_ready(self, key: K) -> None:
        if key in self._working:
            return
        rank = self._ready.rank(key)
        place = next(self._order) if rank is None else rank[1]
        self._ready.put(key, (-self._requests[key].priority, place))
        self._wake.set()

    def _arm(self, now: float) -> None:
        """Keep one timer that ends no later than the first delay; one that ends too early is set again then."""
        if not self._delayed:
            return
        due = self._delayed.lowest()[0]
        if self._timer is not None:
            if self._timer_due <= due:
                return
            self._timer.cancel()
        call_later = self._call_later or asyncio.get_running_loop().call_later
        self._timer, self._timer_due = call_later(due - now, self._tick), due

    def _tick(self) -> None:
        self._timer = None
        now = self._clock()
        while self._delayed and self._delayed.lowest()[0] <= now:
            self._make_ready(self._delayed.pop())
        self._arm(now)


class _Heap(Generic[K]):
    """Keys by rank, lowest first. No two ranks ever given to one heap are equal, so keys are never compared.

    A moved or discarded key leaves its old entry behind. Such entries are skipped on the way out, and swept once they
    are the majority.
    """

    def __init__(self) -> None:
        self._ranks: dict[K, Rank] = {}
        self._entries: list[tuple[Rank, K]] = []

    def __len__(self) -> int:
        return len(self._ranks)

    def __contains__(self, key: K) -> bool:
        return key in self._ranks

    def __iter__(self) -> Iterator[K]:
        return iter(self._ranks)

    def rank(self, key: K) -> Rank | None:
        return self._ranks.get(key)

    def put(self, key: K, rank: Rank) -> None:
        self._ranks[key] = rank
        heapq.heappush(self._entries, (rank, key))
        self._sweep()

    def discard(self, key: K) -> None:
        self._ranks.pop(key, None)

    def lowest(self) -> Rank:
        self._drop_stale()
        return self._entries[0][0]

    def pop(self) -> K:
        self._drop_stale()
        key = heapq.heappop(self._entries)[1]
        del self._ranks[key]
        return key

    def _drop_stale(self) -> None:
        while self._ranks.get(self._entries[0][1]) != self._entries[0][0]:
            heapq.heappop(self._entries)

    def _sweep(self) -> None:
        if len(self._entries) > 2 * len(self._ranks) + STALE_ENTRIES_KEPT:
            self._entries = [(rank, key) for key, rank in self._ranks.items()]
            heapq.heapify(self._entries)
