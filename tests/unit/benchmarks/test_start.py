"""Items that are kept back, and let go at once."""

import pytest

from benchmarks.start import Start
from conveyor.cluster.protocol import Key

FIRST, SECOND = Key("shop", "shop-100000"), Key("shop", "shop-100001")


def test_what_is_kept_back_is_looked_at_once_it_is_let_go() -> None:
    woken: list[Key] = []
    start = Start(lambda number: number == 100_001)
    start.wake = woken.append

    kept = [start.keeps_back(FIRST), start.keeps_back(SECOND)]
    start.let_go()

    assert kept == [False, True]
    assert woken == [SECOND]
    assert not start.keeps_back(SECOND)


def test_nothing_can_be_let_go_where_nobody_can_look_at_it() -> None:
    start = Start(lambda _: True)
    start.keeps_back(FIRST)

    with pytest.raises(RuntimeError, match="nobody said"):
        start.let_go()
