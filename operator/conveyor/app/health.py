"""Whether this process should go on and be asked, from what others tell of it. Times are monotonic seconds."""

from __future__ import annotations

import time
from collections.abc import Callable

from conveyor.cluster.protocol import Kind

DEAF_SECONDS = 10.0
"""A watch that works reports a touch in milliseconds; this outlasts its planned reconnection."""
RECONNECT_SECONDS = 30.0
"""A watch that has lost its API server comes back within its longest backoff, 5 s, and a listing."""
LAG_SECONDS = 5.0
"""An event loop held for so long renews no Lease in time."""
LAG_REMEMBERED_SECONDS = 10.0
"""The probe itself is answered only when the loop is free again, so the worst of this time counts."""


class Health:
    """An API server that is away is no reason to be restarted: only touches that it acknowledged are waited for.

    The watch is deaf when a touch is unreported while the API server still acknowledges others `DEAF_SECONDS` later.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = clock()
        self._touched: float | None = None
        self._seen: float | None = None
        self._due: float | None = None
        """When the oldest unreported touch should have been reported; None: none is."""
        self._unlisted = set(Kind)
        self._lag, self._lag_at = 0.0, self._started

    def heartbeat_touched(self, at: float) -> None:
        """The API server has acknowledged a touch."""
        was_away = self._touched is None or at - self._touched > DEAF_SECONDS
        if was_away:
            self._due = at + RECONNECT_SECONDS
        elif self._due is None:
            self._due = at + DEAF_SECONDS
        self._touched = at

    def heartbeat_seen(self, at: float) -> None:
        """The watch has reported a touch."""
        self._seen, self._due = at, None

    def listed(self, kind: Kind) -> None:
        """All objects of a kind are in the cache."""
        self._unlisted.discard(kind)

    def loop_lag(self, seconds: float) -> None:
        now = self._clock()
        if seconds >= self._lag or now - self._lag_at > LAG_REMEMBERED_SECONDS:
            self._lag, self._lag_at = seconds, now

    def watch_age(self) -> float:
        """Seconds since the watch reported a touch; before the first, since the start."""
        return self._clock() - (self._seen if self._seen is not None else self._started)

    def live(self) -> tuple[bool, str]:
        if self._due is not None and self._touched is not None and self._touched >= self._due:
            return (
                False,
                f"the watch is deaf: touches of the heartbeat Lease are unreported for {self.watch_age():.0f} s",
            )
        if self._lag > LAG_SECONDS and self._clock() - self._lag_at <= LAG_REMEMBERED_SECONDS:
            return False, f"the event loop was held for {self._lag:.1f} s"
        return True, "ok"

    def ready(self) -> tuple[bool, str]:
        if self._unlisted:
            return False, f"not listed yet: {', '.join(sorted(kind.value for kind in self._unlisted))}"
        return True, "ok"
