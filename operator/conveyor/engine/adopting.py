"""When an intent that no Lease speaks for may be taken over from another process.

At once if that one is provably gone, else after it has stood still for a while, as seen from here. It is no matter of
safety: two leaders that took each other's intents at first sight would write for ever, and neither get to the effect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from conveyor.api.workitem import Transition
from conveyor.cluster.leases import LeaseRecord, LeaseSpec
from conveyor.cluster.protocol import Key
from conveyor.engine.certificates import Certificates
from conveyor.engine.identity import Liveness
from conveyor.engine.leases import Judge

STANDS_SECONDS = 10.0
"""Longer than a process that lives takes from its intent to its effect, but for a forge that hangs."""


@dataclass(slots=True)
class Adopting:
    judge: Judge
    clock: Callable[[], float]
    """Monotonic; foreign clocks are never asked."""
    _seen: dict[Key, tuple[int, float]] = field(default_factory=dict)
    """Token of a foreign intent, and since when it is seen to stand under it."""
    _certificates: Certificates = field(default_factory=Certificates)

    async def is_left(self, item: Key, intent: Transition) -> bool:
        """Whether its owner is gone, or has left it alone for long enough."""
        token, since = self._seen.get(item, (-1, 0.0))
        if token != intent.fencing_token:
            since = self.clock()
            self._seen[item] = (intent.fencing_token, since)
        if self.clock() - since < STANDS_SECONDS and not await self._is_dead(item, intent):
            return False
        self.forget(item)
        return True

    async def _is_dead(self, item: Key, intent: Transition) -> bool:
        token = intent.fencing_token
        if self._certificates.is_void(item, intent.holder, token=token):
            return False
        dead = await self.judge(_claim(intent)) is Liveness.DEAD
        if dead:
            self._certificates.use(item, intent.holder, token=token)
        return dead

    def forget(self, item: Key) -> None:
        self._seen.pop(item, None)


def _claim(intent: Transition) -> LeaseRecord:
    """An intent says who owns it as a Lease does, but not since when."""
    spec = LeaseSpec(intent.holder, duration_seconds=1, acquire_time=None, renew_time=None, transitions=0)
    return LeaseRecord(uid="", resource_version="", spec=spec)
