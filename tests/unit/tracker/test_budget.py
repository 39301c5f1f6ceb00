"""How many requests a token may make: a sliding minute, half of it for reads at most."""

from collections.abc import Callable

import pytest

from conveyor.tracker.budget import Budget, Kind
from conveyor.web.errors import RateLimited
from tests.fakes.clock import ManualClock


def take(budget: Budget, kind: Kind) -> int:
    """How many of this kind may be sent now."""
    taken = 0
    while taken <= 1000:
        try:
            budget.reserve(kind)
        except RateLimited:
            return taken
        taken += 1
    raise AssertionError("no limit")


def wait_of(budget: Budget, kind: Kind) -> float:
    with pytest.raises(RateLimited) as limited:
        budget.reserve(kind)
    return limited.value.until_seconds


def test_reads_get_half_and_leave_the_rest_to_writes(budget: Budget) -> None:
    assert (take(budget, "read"), take(budget, "write")) == (30, 30)


def test_writes_alone_get_all_of_it(budget: Budget) -> None:
    assert take(budget, "write") == 60


@pytest.mark.parametrize("limit", [2, 3, 60, 300])
def test_no_window_of_a_minute_holds_more_than_the_limit(
    limit: int, clock: ManualClock, seconds: Callable[[], float]
) -> None:
    budget, sent = Budget(limit, clock=seconds), list[float]()
    for _ in range(50):
        sent += [seconds()] * (take(budget, "read") + take(budget, "write"))
        clock.advance(7)
    assert max(sum(start <= time < start + 60 for time in sent) for start in sent) == limit


def test_used_up_budget_names_the_time_until_the_first_is_forgotten(budget: Budget, clock: ManualClock) -> None:
    budget.reserve("read")
    clock.advance(20)
    take(budget, "read")
    assert wait_of(budget, "read") == pytest.approx(41)


def test_sending_works_again_after_the_time_named(budget: Budget, clock: ManualClock) -> None:
    take(budget, "write")
    clock.advance(wait_of(budget, "write"))
    assert take(budget, "write") == 60


def test_parked_budget_sends_nothing_until_the_time_named(budget: Budget, clock: ManualClock) -> None:
    budget.park(90)
    clock.advance(89)
    assert (take(budget, "read"), take(budget, "write"), round(wait_of(budget, "write"))) == (0, 0, 1)


def test_shorter_park_does_not_end_a_longer_one(budget: Budget) -> None:
    budget.park(90)
    budget.park(10)
    assert wait_of(budget, "read") == pytest.approx(90)


def test_what_others_use_of_the_token_is_taken_off(budget: Budget) -> None:
    budget.reserve("read")
    budget.heed(20, reset_seconds=60)
    assert (take(budget, "read"), take(budget, "write")) == (10, 10)


def test_what_others_used_is_forgotten_when_the_server_forgets(budget: Budget, clock: ManualClock) -> None:
    budget.heed(0, reset_seconds=30)
    clock.advance(30)
    assert take(budget, "write") == 60


def test_server_that_allows_more_than_the_setting_does_not_raise_it(budget: Budget) -> None:
    budget.heed(299, reset_seconds=60)
    assert take(budget, "write") == 60


@pytest.mark.parametrize("reset", [-1e9, 1e9])
def test_absurd_reset_time_stops_for_a_minute_at_most(budget: Budget, clock: ManualClock, reset: float) -> None:
    budget.heed(0, reset_seconds=reset)
    assert 1 <= wait_of(budget, "write") <= 60


def test_budget_too_small_to_share_is_refused(seconds: Callable[[], float]) -> None:
    with pytest.raises(ValueError, match="at least 2"):
        Budget(1, clock=seconds)
