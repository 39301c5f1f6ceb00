"""When a measurement begins and ends, and what is in it."""

from benchmarks.meter import Meter
from conveyor.cluster.protocol import JSONObject, Key


class Ended:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


def test_writes_that_move_a_stage_are_transitions_and_the_last_expected_one_ends_it() -> None:
    ended = Ended()
    meter = Meter({}, ended, transitions_expected=2)

    meter.about_to_write()
    patches: list[JSONObject] = [{"lastRun": {}}, {"stage": "review"}, {"waiting": None}, {"stage": "testing"}]
    for status in [*patches, {"stage": "done"}]:
        meter.wrote(Key("shop", "shop-100000"), status)

    assert ended.times == 1
    assert meter.begin is not None
    assert (meter.begin.writes, meter.begin.transitions) == (0, 0)
    assert meter.end is not None
    assert (meter.end.writes, meter.end.transitions) == (4, 2)


def test_items_decided_upon_count_once_however_often_they_are_looked_at() -> None:
    ended = Ended()
    meter = Meter({}, ended, decisions_expected=2)

    for name in ("a", "a", "b", "b"):
        meter.decided(Key("shop", name))

    assert (ended.times, meter.passes) == (1, 4)


def test_stalls_after_the_end_do_not_count() -> None:
    meter = Meter({}, Ended(), decisions_expected=1)
    meter.lagged(0.2)
    meter.decided(Key("shop", "a"))
    meter.lagged(3.0)

    assert meter.stall == 0.2


def test_timers_that_come_late_are_put_down_from_the_first_write_to_the_end() -> None:
    meter = Meter({}, Ended(), transitions_expected=1)

    meter.lagged(0.5)
    meter.about_to_write()
    meter.lagged(0.25)
    meter.wrote(Key("shop", "shop-100000"), {"stage": "review"})
    meter.lagged(1.0)

    assert (meter.stall, meter.late) == (0.5, [0.25])


def test_the_longest_collection_from_the_first_write_to_the_end_is_kept() -> None:
    meter = Meter({}, Ended(), transitions_expected=1)

    meter.collecting("stop", {})
    before = meter.collection
    meter.about_to_write()
    for phase in ("start", "stop"):
        meter.collecting(phase, {})
    during = meter.collection
    meter.wrote(Key("shop", "shop-100000"), {"stage": "review"})
    meter.collecting("stop", {})

    assert before == 0.0
    assert 0.0 < during == meter.collection
