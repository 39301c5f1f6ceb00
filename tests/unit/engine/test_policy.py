"""What a decision is told of the operator's settings."""

from uuid import UUID

from conveyor.engine.policy import share_of_interval

UIDS = [str(UUID(int=number)) for number in range(1000)]


def test_items_looked_at_together_are_asked_again_at_different_times() -> None:
    shares = [share_of_interval(uid) for uid in UIDS]

    assert all(0.75 <= share < 1 for share in shares)
    assert all(any(low <= share < low + 0.05 for share in shares) for low in (0.75, 0.8, 0.85, 0.9, 0.95))


def test_an_item_is_asked_again_after_the_same_time_each_time() -> None:
    assert share_of_interval(UIDS[0]) == share_of_interval(UIDS[0])
