"""How many requests a minute a token may make. Everybody who uses the token shares one Budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from conveyor.web.errors import RateLimited

Kind = Literal["read", "write"]

WINDOW_SECONDS = 60.0
_TRAVEL_SECONDS = 1.0
"""The server counts a request when it arrives, so it also forgets it later than we would."""


@dataclass(frozen=True, slots=True)
class _Spent:
    until: float
    kind: Kind | Literal["other"]


class Budget:
    """A sliding window, as Plane's own limit is one; at most half of it goes to reads, so that writes get through.

    A read that the HTTP client repeats is counted once here: the server's own count, heard with the next answer, puts
    that right, as it does for whoever else uses the token.
    """

    def __init__(self, requests_per_minute: int, *, clock: Callable[[], float]) -> None:
        """`clock` gives seconds and never goes back."""
        if requests_per_minute < 2:
            raise ValueError(f"wanted at least 2 requests a minute, found {requests_per_minute}")
        self._limit = requests_per_minute
        self._clock = clock
        self._spent: list[_Spent] = []
        self._parked_until = clock()

    def reserve(self, kind: Kind) -> None:
        """Count one request that is about to be sent; RateLimited where it may not be sent now."""
        now = self._clock()
        if now < self._parked_until:
            raise _limited("the tracker asked us to wait", self._parked_until - now)
        self._forget(now)
        in_the_way = self._in_the_way(kind)
        if in_the_way:
            raise _limited(f"the tracker's budget for {kind}s is used up", in_the_way - now)
        self._spent.append(_Spent(now + WINDOW_SECONDS + _TRAVEL_SECONDS, kind))

    def park(self, seconds: float) -> None:
        """Send nothing for this long: the server said so."""
        self._parked_until = max(self._parked_until, self._clock() + seconds)

    def heed(self, remaining: int, *, reset_seconds: float) -> None:
        """What the server says is left until it forgets: where that is less than we think, others have used it."""
        now = self._clock()
        self._forget(now)
        others = self._limit - len(self._spent) - max(remaining, 0)
        until = now + min(max(reset_seconds, 1.0), WINDOW_SECONDS)
        self._spent += [_Spent(until, "other")] * others

    def _forget(self, now: float) -> None:
        self._spent = [spent for spent in self._spent if spent.until > now]

    def _in_the_way(self, kind: Kind) -> float:
        """When what keeps this kind from being sent will be forgotten, 0 where nothing does."""
        if len(self._spent) >= self._limit:
            return min(spent.until for spent in self._spent)
        ours = self._limit - sum(spent.kind == "other" for spent in self._spent)
        reads = [spent.until for spent in self._spent if spent.kind == "read"]
        if kind == "read" and len(reads) >= ours - ours // 2:
            return min(reads)
        return 0.0


def _limited(why: str, seconds: float) -> RateLimited:
    return RateLimited(f"{why}: nothing was sent, again in {seconds:.0f} s", until_seconds=seconds, status=0)
