"""Keys that are asked for after a long time come together; what failed together does not."""

import pytest

from conveyor.engine.workqueue import Backoff, WorkQueue
from tests.fakes.timers import ManualTime
from tests.unit.engine.test_workqueue import seeded, take_ready


@pytest.fixture
def time_() -> ManualTime:
    return ManualTime()


async def test_long_delays_that_end_at_about_the_same_time_end_together(time_: ManualTime) -> None:
    queue = WorkQueue[str](time_.clock, call_later=time_.call_later, slack=1.0)
    queue.add_after("a", 30.2)
    queue.add_after("b", 30.7)
    time_.advance(30.8)
    before = await take_ready(queue)
    time_.advance(0.3)
    assert (before, await take_ready(queue)) == ([], ["a", "b"])


async def test_backoff_has_no_slack(time_: ManualTime) -> None:
    queue = WorkQueue[str](time_.clock, seeded(1), backoff=Backoff(40.3, 40.3), call_later=time_.call_later, slack=1.0)
    time_.advance(queue.retry("a"))
    assert await take_ready(queue) == ["a"]


async def test_short_delay_has_no_slack(time_: ManualTime) -> None:
    queue = WorkQueue[str](time_.clock, call_later=time_.call_later, slack=1.0)
    queue.add_after("a", 9.5)
    time_.advance(9.5)
    assert await take_ready(queue) == ["a"]
