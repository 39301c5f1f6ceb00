"""Which replica works: leader election by Lease, by the rules of client-go (tools/leaderelection/leaderelection.go).

Not promised: that there is one leader only. A process may stand still between looking and acting, and Kubernetes fences
nothing; two at once are harmless for other reasons (intents, preconditions). A leader saves work. The rules:

1. A Lease is written only on the version that was read. What an unknown answer did is found out by reading.
2. Another's clock is not believed. A record that did not change for its duration, as watched from here on a clock that
   only goes forward, is free; so is one without holder, and one whose holder is provably gone (`engine.identity`).
3. A leader begins no new work once its last renewal is older than `RENEW_DEADLINE_SECONDS`, before others may follow.
4. A leader that finds another in its place ends its process.

Beside client-go's: a leader that cannot renew and finds its own Lease afterwards goes on (docs/decisions/0007), and who
could not look for a while cannot say that nothing was renewed: it watches anew.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from conveyor.cluster.leases import LeaseRecord, LeaseSpec, lease_record
from conveyor.cluster.protocol import Cluster, Key, Lost, Rejected, Uncertain, Won
from conveyor.engine.identity import Holder, Liveness, liveness
from conveyor.web.errors import OutsideError, Refused

logger = logging.getLogger(__name__)

LEASE_SECONDS = 15
RENEW_DEADLINE_SECONDS = 10.0
RENEW_SECONDS = 2.0
LOOK_SECONDS = 1.0
"""How often a candidate reads the Lease: a planned hand-over lasts no longer than this and the leader's own end."""
TURN_SECONDS = 4.0
"""For one renewal: a request that hangs leaves time for another before the deadline."""
SILENT_SECONDS = 2 * RENEW_SECONDS
"""A holder that missed a renewal is asked after; one that renews need not be."""
RELEASE_SECONDS = 2.0
LABELS = {"app.kubernetes.io/part-of": "conveyor"}


class LeadershipLostError(Exception):
    """Somebody else leads, where this process did."""


@dataclass(frozen=True, slots=True)
class _Watched:
    """Another's record. Times are ours, in monotonic seconds."""

    uid: str
    spec: LeaseSpec
    since: float
    looked: float


def claimed(record: LeaseRecord | None, holder: str, *, now: datetime) -> LeaseSpec:
    """What a holder writes over what it read: its own time goes on, another's ends and is counted."""
    fresh = LeaseSpec(holder, LEASE_SECONDS, acquire_time=now, renew_time=now, transitions=0)
    if record is None:
        return fresh
    if record.spec.holder == holder:
        return replace(fresh, acquire_time=record.spec.acquire_time or now, transitions=record.spec.transitions)
    return replace(fresh, transitions=record.spec.transitions + 1)


class Elector:
    def __init__(
        self,
        cluster: Cluster,
        lease: Key,
        me: Holder,
        *,
        on_lead: Callable[[], None],
        on_lapse: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`on_lead`: from now on this process works, and may have missed anything; `on_lapse`: it begins no more."""
        self._cluster, self._lease, self._me = cluster, lease, me
        self._on_lead, self._on_lapse, self._clock, self._now = on_lead, on_lapse, clock, now
        self._held: LeaseRecord | None = None
        """The newest that we wrote; None: we have never led."""
        self._renewed: float | None = None
        """When the newest renewal that was acknowledged set out."""
        self._leading = asyncio.Event()
        self._watched: _Watched | None = None
        self._said = ""

    def leads(self) -> bool:
        """Asked before each piece of work: a process that stood still learns from its clock that its time is over."""
        return self._renewed is not None and self._clock() - self._renewed < RENEW_DEADLINE_SECONDS

    async def until_leading(self) -> None:
        await self._leading.wait()

    async def run(self, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Campaign, lead, renew, until cancelled. Raises LeadershipLostError where another leads after us."""
        while True:
            try:
                async with asyncio.timeout(TURN_SECONDS):
                    await self.turn()
            except (OutsideError, TimeoutError) as error:
                self._say(
                    logging.WARNING, "the leader's Lease cannot be asked", error=f"{type(error).__name__}: {error}"
                )
            self._notice_lapse()
            await sleep(RENEW_SECONDS if self._held is not None else LOOK_SECONDS)

    async def turn(self) -> None:
        """Write on the version that we know; where that is not the newest, read and decide anew."""
        if self._held is not None and await self._write(self._held):
            return
        record = await self._cluster.lease(self._lease)
        if record is None or record.spec.holder in ("", str(self._me)):
            await self._write(record)
        elif self._held is not None:
            raise LeadershipLostError(f"leadership was lost to {record.spec.holder}")
        elif await self._is_free(record):
            await self._write(record)
        else:
            self._say(logging.INFO, "standing by", leader=record.spec.holder)

    async def release(self) -> None:
        """At the end, when nothing works any more: let the next one begin at once. Best effort."""
        self._renewed = None
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                record = await self._cluster.lease(self._lease)
                if record is not None and record.spec.holder == str(self._me):
                    nobody = replace(record.spec, holder="", duration_seconds=1, renew_time=self._now())
                    await self._cluster.update_lease(self._lease, nobody, resource_version=record.resource_version)
        except (OutsideError, TimeoutError) as error:
            logger.info("the leader's Lease was not released", extra={"error": type(error).__name__})

    # --- one turn

    async def _write(self, record: LeaseRecord | None) -> bool:
        """Whether we lead now. False: somebody was ahead, or nobody knows; the Lease itself will tell."""
        sent, spec = self._clock(), claimed(record, str(self._me), now=self._now())
        if record is None:
            written = await self._cluster.create_lease(self._lease, spec, labels=LABELS)
        else:
            written = await self._cluster.update_lease(self._lease, spec, resource_version=record.resource_version)
        match written:
            case Won(stored):
                self._keep(lease_record(stored), sent)
                return True
            case Rejected(message):
                raise Refused(message)
            case Lost() | Uncertain():
                return False

    def _keep(self, record: LeaseRecord, sent: float) -> None:
        """The renewal counts from before it was sent: others can have seen it no earlier."""
        led_on = self._leading.is_set() and self.leads()
        self._held, self._renewed, self._watched = record, sent, None
        if led_on:
            self._said = ""
        else:
            self._say(logging.INFO, "leading", transitions=record.spec.transitions)
            self._leading.set()
            self._on_lead()

    def _notice_lapse(self) -> None:
        if self._leading.is_set() and not self.leads():
            self._leading.clear()
            logger.warning("no renewal in time: no work is begun until the Lease is renewed, or another's")
            self._on_lapse()

    async def _is_free(self, record: LeaseRecord) -> bool:
        """Of another's record: whether it was left alone for its time, as seen from here, or its holder is gone."""
        now, before = self._clock(), self._watched
        is_new_holder = before is None or before.spec.holder != record.spec.holder
        if before is None or (before.uid, before.spec) != (record.uid, record.spec) or _was_blind(before, now):
            before = _Watched(record.uid, record.spec, since=now, looked=now)
        self._watched = replace(before, looked=now)
        silent = now - before.since
        if silent >= (record.spec.duration_seconds or LEASE_SECONDS):
            return True
        if not is_new_holder and silent < SILENT_SECONDS:
            return False
        acquired = record.spec.acquire_time
        return await liveness(self._cluster, record.spec.holder, me=self._me, acquired=acquired) is Liveness.DEAD

    def _say(self, level: int, message: str, **fields: object) -> None:
        """Each news once."""
        said = f"{message} {fields}"
        if said != self._said:
            self._said = said
            logger.log(level, message, extra=fields)


def _was_blind(watched: _Watched, now: float) -> bool:
    """Whether a renewal may have gone unseen: the API server was away, or we stood still."""
    return now - watched.looked > RENEW_DEADLINE_SECONDS
