from collections.abc import Iterator

import pytest

from conveyor.engine.lag import watch_lag


class EndOfTestError(Exception):
    pass


class LateClock:
    """A clock whose sleeps overshoot by given amounts, the last of them followed by the end of the test."""

    def __init__(self, overshoots: list[float]) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self._overshoots: Iterator[float] = iter(overshoots)

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        overshoot = next(self._overshoots, None)
        if overshoot is None:
            raise EndOfTestError
        self.slept.append(seconds)
        self.now += seconds + overshoot


async def lags_reported(clock: LateClock) -> list[float]:
    reported: list[float] = []
    with pytest.raises(EndOfTestError):
        await watch_lag(reported.append, interval=0.5, clock=clock.clock, sleep=clock.sleep)
    return reported


async def test_each_overshoot_is_reported() -> None:
    assert await lags_reported(LateClock([0.0, 0.25, 2.0])) == [0.0, 0.25, 2.0]


async def test_waking_early_is_no_lag() -> None:
    assert await lags_reported(LateClock([-0.25])) == [0.0]


async def test_sleeps_are_of_the_interval_however_late_the_last_one_was() -> None:
    clock = LateClock([2.0, 0.0])
    await lags_reported(clock)
    assert clock.slept == [0.5, 0.5]
