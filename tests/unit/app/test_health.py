"""When the process says that it is live and ready: heartbeats, an API server that is away, loop lag, listings."""

from conveyor.app.health import Health
from conveyor.cluster.protocol import Kind


class Watch:
    """A health with a clock that the test moves, told of a heartbeat every five seconds."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.health = Health(clock=lambda: self.now)

    def beat(self, seconds: float, *, stored: bool = True, reported: bool = True) -> None:
        """Let that many seconds pass."""
        for _ in range(int(seconds / 5)):
            self.now += 5
            if stored:
                self.health.heartbeat_touched(self.now)
            if stored and reported:
                self.health.heartbeat_seen(self.now + 0.01)

    @property
    def live(self) -> bool:
        return self.health.live()[0]


def test_a_new_process_is_live() -> None:
    assert Watch().live


def test_reported_touches_keep_it_live() -> None:
    watch = Watch()
    watch.beat(3600)
    assert watch.live


def test_touches_without_report_make_it_not_live() -> None:
    watch = Watch()
    watch.beat(60)
    watch.beat(20, reported=False)
    assert watch.health.live() == (
        False,
        "the watch is deaf: touches of the heartbeat Lease are unreported for 20 s",
    )


def test_a_report_that_is_a_few_seconds_late_is_no_failure() -> None:
    watch = Watch()
    watch.beat(60)
    watch.beat(10, reported=False)
    assert watch.live


def test_a_report_before_the_answer_to_the_touch_keeps_it_live() -> None:
    watch = Watch()
    for _ in range(100):
        watch.now += 5
        watch.health.heartbeat_seen(watch.now - 0.01)
        watch.health.heartbeat_touched(watch.now)
    assert watch.live


def test_a_report_makes_it_live_again() -> None:
    watch = Watch()
    watch.beat(60)
    watch.beat(60, reported=False)
    watch.beat(5)
    assert watch.live


def test_ten_minutes_without_api_server_leave_it_live() -> None:
    watch = Watch()
    watch.beat(60)
    lives = []
    for _ in range(120):
        watch.beat(5, stored=False)
        lives.append(watch.live)
    assert all(lives)


def test_an_api_server_that_goes_between_touch_and_report_leaves_it_live() -> None:
    watch = Watch()
    watch.beat(60)
    watch.beat(5, reported=False)
    watch.beat(600, stored=False)
    assert watch.live


def test_the_watch_has_time_to_come_back_after_the_api_server() -> None:
    watch = Watch()
    watch.beat(60)
    watch.beat(5, reported=False)
    watch.beat(600, stored=False)
    watch.beat(25, reported=False)
    assert watch.live


def test_a_watch_that_does_not_come_back_makes_it_not_live() -> None:
    watch = Watch()
    watch.beat(60)
    watch.beat(600, stored=False)
    watch.beat(40, reported=False)
    assert not watch.live


def test_a_watch_that_never_starts_makes_it_not_live() -> None:
    watch = Watch()
    watch.beat(40, reported=False)
    assert not watch.live


def test_a_held_event_loop_makes_it_not_live() -> None:
    watch = Watch()
    watch.health.loop_lag(6.0)
    watch.health.loop_lag(0.0)
    assert watch.health.live() == (False, "the event loop was held for 6.0 s")


def test_a_held_event_loop_is_forgotten() -> None:
    watch = Watch()
    watch.health.loop_lag(6.0)
    watch.now += 11
    watch.health.loop_lag(0.0)
    assert watch.live


def test_usual_lag_leaves_it_live() -> None:
    watch = Watch()
    watch.health.loop_lag(0.5)
    assert watch.live


def test_it_is_ready_once_every_kind_was_listed() -> None:
    health = Health()
    for kind in Kind:
        health.listed(kind)
    assert health.ready() == (True, "ok")


def test_it_is_not_ready_while_a_kind_is_missing() -> None:
    health = Health()
    health.listed(Kind.REPOSITORY)
    assert health.ready() == (False, "not listed yet: workitems")


def test_watch_age_counts_from_the_last_report() -> None:
    watch = Watch()
    watch.beat(60)
    watch.beat(20, stored=False)
    assert round(watch.health.watch_age()) == 20
