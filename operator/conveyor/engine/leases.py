"""The Leases of transitions: who does the heavy work between intent and result (decision 0006).

An acquisition belongs to one item in one process, and the work queue never gives a key to two workers: so what is held
is a table by item, and whoever finds a Lease of this very process that is not in the table has found a dead one.
Time left is counted on the monotonic clock from the last write that was proven; foreign clocks are never compared.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NoReturn

from conveyor.api.annotations import LABEL_REPOSITORY, LABEL_WORKITEM
from conveyor.cluster.leases import LeaseRecord, LeaseSpec, lease_record
from conveyor.cluster.protocol import Cluster, JSONObject, Key, Lost, Rejected, Uncertain, Won, Written
from conveyor.engine.certificates import Certificates
from conveyor.engine.identity import Liveness
from conveyor.engine.telemetry import Telemetry
from conveyor.web.errors import OutsideError, Unavailable

logger = logging.getLogger(__name__)

RENEW_SECONDS = 10.0
FORCED_TRIES = 5
LAST_LOOK_SECONDS = 35.0
"""What must be left of a Lease when an effect is sent: longer than the longest time-out of one call."""


class _WithoutTruthValue:
    __slots__ = ()

    def __bool__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} is neither true nor false: take a claim apart by match")


@dataclass(frozen=True, slots=True)
class Held(_WithoutTruthValue):
    """Ours, proven by a write or a read just now or not long ago."""


@dataclass(frozen=True, slots=True)
class HeldBy(_WithoutTruthValue):
    """Another one's, who is or may be alive."""

    holder: str


@dataclass(frozen=True, slots=True)
class Unsure(_WithoutTruthValue):
    """No answer that proves anything: nothing may begin."""

    reason: str


Claim = Held | HeldBy | Unsure


@dataclass(frozen=True, slots=True)
class Owner:
    """An item as the owner of its Leases."""

    key: Key
    uid: str
    repository: str


@dataclass(frozen=True, slots=True)
class _Acquisition:
    owner: Owner
    record: LeaseRecord
    since: float
    """When it was taken or its owner last put a step on record; the hard ceiling counts from here."""
    until: float
    """Monotonic time until which nobody may take it over for want of renewal."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a Lease lasts without renewal, and how long it is held at the longest; seconds."""

    seconds: float = 60.0
    ceiling: float = 7200.0


@dataclass(slots=True)
class _Seen:
    """A foreign Lease as it stood when it was first seen so."""

    version: str
    at: float


Judge = Callable[[LeaseRecord], Awaitable[Liveness]]
"""Whether the process that holds a Lease is alive, as far as it can be proven."""


@dataclass
class Leases:
    cluster: Cluster
    identity: str
    """Of this process; an item's uid is added for each acquisition."""
    judge: Judge
    telemetry: Telemetry
    clock: Callable[[], float]
    now: Callable[[], datetime]
    """Only for people, and for proofs of death on one node: no term is ever counted with it."""
    terms: Terms = field(default_factory=Terms)
    released: Callable[[Owner], None] = lambda _: None
    """Told of each Lease that its owner here gives up: others may be waiting for it."""
    _held: dict[Key, _Acquisition] = field(default_factory=dict)
    _seen: dict[Key, _Seen] = field(default_factory=dict)
    _certificates: Certificates = field(default_factory=Certificates)
    _taking: set[Key] = field(default_factory=set)
    """What an item here is about to hold: it can stand in the store before we have heard so."""

    def holder(self, uid: str) -> str:
        """Who owns an item's transitions here, as Leases and intents have it."""
        return f"{self.identity}/{uid}"[:256]

    def held(self, uid: str) -> frozenset[str]:
        """The names of the Leases that an item holds here."""
        return frozenset(key.name for key, mine in self._held.items() if mine.owner.uid == uid)

    def all_held(self) -> list[tuple[str, str]]:
        """Name of each Lease held here, and the item that holds it."""
        return sorted((str(key), mine.owner.key.name) for key, mine in self._held.items())

    async def take(self, name: str, owner: Owner) -> Claim:
        """Make it ours if it is free or its holder is gone. Asked again for what is held it costs nothing."""
        key = Key(owner.key.namespace, name)
        mine = self._held.get(key)
        if mine is not None and mine.owner.uid != owner.uid:
            return HeldBy(self.holder(mine.owner.uid))
        if mine is not None and self.clock() < mine.until - LAST_LOOK_SECONDS / 2:
            return Held()
        if key in self._taking:
            return Unsure("another item of this process is taking it")
        self._taking.add(key)
        try:
            return await self._take(key, owner)
        except OutsideError as error:
            return Unsure(f"{type(error).__name__}: {str(error)[:200]}")
        finally:
            self._taking.discard(key)

    async def confirm(self, name: str, owner: Owner) -> bool:
        """The last look: whether the API server says it is ours, and for longer than an effect may take."""
        key = Key(owner.key.namespace, name)
        mine = self._held.get(key)
        if mine is None or mine.owner.uid != owner.uid:
            return False
        if self.clock() > mine.until - LAST_LOOK_SECONDS and not await self._renew(key, mine):
            return False
        found = await self.cluster.lease(key)
        if found is None or found.spec.holder != self.holder(owner.uid) or found.uid != mine.record.uid:
            self._lost(key, "it is no longer ours")
            return False
        return self.clock() < self._held[key].until - LAST_LOOK_SECONDS / 2

    def stepped(self, uid: str) -> None:
        """An intent or a result was put on record: the hard ceiling counts anew."""
        for key, mine in self._held.items():
            if mine.owner.uid == uid:
                self._held[key] = replace(mine, since=self.clock())

    async def release(self, uid: str, *, keep: frozenset[str] = frozenset()) -> None:
        """Give up what an item holds beside `keep`: only what is still ours."""
        for key in [key for key, mine in self._held.items() if mine.owner.uid == uid and key.name not in keep]:
            await self._give_up(key)

    async def release_gone(self, item: Key) -> None:
        """Of an item that is no more."""
        for key in [key for key, mine in self._held.items() if mine.owner.key == item]:
            await self._give_up(key)

    async def release_all(self) -> None:
        """At the end of the process, after the last worker."""
        for key in list(self._held):
            await self._give_up(key)

    async def clear(self, key: Key, found: LeaseRecord) -> bool:
        """Take away a Lease that nobody needs and nobody alive holds; whether it is gone."""
        if key in self._held or key in self._taking or await self._why_free(key, found) is None:
            return False
        self._seen.pop(key, None)
        written = await self.cluster.delete_lease(key, uid=found.uid, resource_version=found.resource_version)
        return isinstance(written, Won)

    async def force(self, key: Key, found: LeaseRecord) -> bool:
        """Take a Lease away from another, who may be alive, exactly as it was read; whether it is gone."""
        if key in self._held:
            return False
        written = await self.cluster.delete_lease(key, uid=found.uid, resource_version=found.resource_version)
        if isinstance(written, Won):
            self.telemetry.lease_taken_over("Forced")
        return isinstance(written, Won)

    async def force_release(self, owner: Owner, names: frozenset[str]) -> list[str]:
        """Take an item's Leases away from whoever holds them; the names of those that were there.

        Raises Unavailable where one cannot be taken away now.
        """
        gone = []
        for name in sorted(names):
            if await self._take_away(Key(owner.key.namespace, name), owner):
                self.telemetry.lease_taken_over("Forced")
                gone.append(name)
        return gone

    async def _take_away(self, key: Key, owner: Owner) -> bool:
        """Whether it was there. A holder that renews it meanwhile has it taken away all the same."""
        asked = False
        for _ in range(FORCED_TRIES):
            found = await self.cluster.lease(key)
            if found is None or not found.spec.holder.endswith(f"/{owner.uid}"):
                return asked
            match await self.cluster.delete_lease(key, uid=found.uid, resource_version=found.resource_version):
                case Won():
                    self._held.pop(key, None)
                    return True
                case Lost():
                    continue
                case Uncertain():
                    asked = True
                case Rejected(message):
                    raise Unavailable(f"Lease {key} cannot be taken away: {message[:200]}")
        raise Unavailable(f"Lease {key} could not be taken away in {FORCED_TRIES} tries")

    async def renew(self) -> list[Owner]:
        """Renew all; those whose time is over, who must not hold them any longer, are given up and named."""
        over: list[Owner] = []
        for key, mine in list(self._held.items()):
            if self.clock() - mine.since > self.terms.ceiling:
                await self._give_up(key)
                self.telemetry.lease_taken_over("Forced")
                over.append(mine.owner)
            elif self.clock() > mine.until - self.terms.seconds + RENEW_SECONDS / 2:
                await self._renew(key, mine)
        return over

    # --- the writes

    async def _take(self, key: Key, owner: Owner) -> Claim:
        found = await self.cluster.lease(key) if key in self._seen or key in self._held else None
        if found is None:
            began = self.clock()
            match await self.cluster.create_lease(key, self._spec(owner, None), labels=_labels(owner)):
                case Won(stored):
                    return self._own(key, owner, stored, began)
                case Rejected(message):
                    return Unsure(message[:200])
                case Lost() | Uncertain():
                    found = await self.cluster.lease(key)
        if found is None:
            return Unsure("it comes and goes")
        return await self._take_over(key, owner, found)

    async def _take_over(self, key: Key, owner: Owner, found: LeaseRecord) -> Claim:
        """What is there: ours by an answer that was lost, free, or another one's."""
        reason = "Ours" if found.spec.holder == self.holder(owner.uid) else await self._why_free(key, found)
        if reason is None:
            return HeldBy(found.spec.holder)
        began = self.clock()
        written = await self._update(key, owner, found)
        match written:
            case Won(stored):
                if reason == "Gone":
                    self._certificates.use(key, found.spec.holder)
                if reason not in ("Ours", "Free"):
                    self.telemetry.lease_taken_over(reason)
                    logger.warning(
                        "lease taken over", extra={"lease": str(key), "from": found.spec.holder[:256], "why": reason}
                    )
                return self._own(key, owner, stored, began)
            case Lost():
                return Unsure("somebody else wrote it first")
            case Uncertain(message) | Rejected(message):
                return Unsure(message[:200])

    async def _why_free(self, key: Key, found: LeaseRecord) -> str | None:
        """Why a foreign Lease may be taken, or None. A Lease of this process that nobody here holds is a dead one."""
        if not found.spec.holder:
            return "Free"
        if found.spec.holder.startswith(f"{self.identity}/"):
            return "Gone" if key not in self._held else None
        match await self.judge(found):
            case Liveness.DEAD if not self._certificates.is_void(key, found.spec.holder):
                return "Gone"
            case _:
                return "Expired" if self._is_stale(key, found) else None

    def _is_stale(self, key: Key, found: LeaseRecord) -> bool:
        """Not renewed for its whole term, as seen from here: no foreign clock is asked."""
        seen = self._seen.get(key)
        if seen is None or seen.version != found.resource_version:
            self._seen[key] = _Seen(found.resource_version, self.clock())
            return False
        return self.clock() - seen.at > self.terms.seconds

    async def _update(self, key: Key, owner: Owner, found: LeaseRecord) -> Written:
        """Renew it, or put another item's name on it with its new holder."""
        spec = self._spec(owner, found.spec)
        labels = None if spec.holder == found.spec.holder else _labels(owner)
        return await self.cluster.update_lease(key, spec, resource_version=found.resource_version, labels=labels)

    def _spec(self, owner: Owner, old: LeaseSpec | None) -> LeaseSpec:
        holder, now = self.holder(owner.uid), self.now()
        same = old is not None and old.holder == holder
        return LeaseSpec(
            holder=holder,
            duration_seconds=int(self.terms.seconds),
            acquire_time=old.acquire_time if old is not None and same else now,
            renew_time=now,
            transitions=0 if old is None else old.transitions + (not same),
        )

    async def _renew(self, key: Key, mine: _Acquisition) -> bool:
        """Whether it is ours for another term."""
        try:
            return await self._written_anew(key, mine)
        except OutsideError as error:
            logger.warning("lease not renewed", extra={"lease": str(key), "error": type(error).__name__})
            return False

    async def _written_anew(self, key: Key, mine: _Acquisition) -> bool:
        began = self.clock()
        match await self._update(key, mine.owner, mine.record):
            case Won(stored):
                return await self._renewed(key, mine, replace(mine, record=lease_record(stored), until=began))
            case Lost():
                return await self._look_again(key, mine)
            case Uncertain() | Rejected():
                return False

    async def _renewed(self, key: Key, old: _Acquisition, new: _Acquisition) -> bool:
        """On the table again, unless it was given up while the answer was on its way."""
        if key not in self._held:
            await self.cluster.delete_lease(key, uid=new.record.uid, resource_version=new.record.resource_version)
            return False
        if self._held[key] is old:
            self._held[key] = replace(new, until=new.until + self.terms.seconds)
        return True

    async def _look_again(self, key: Key, mine: _Acquisition) -> bool:
        """Somebody wrote it: perhaps we, by an answer that was lost."""
        found = await self.cluster.lease(key)
        if found is not None and found.uid == mine.record.uid and found.spec.holder == self.holder(mine.owner.uid):
            self._held[key] = replace(mine, record=found)
            return True
        self._lost(key, "somebody else has it")
        return False

    async def _give_up(self, key: Key) -> None:
        mine = self._held.pop(key, None)
        if mine is None:
            return
        try:
            await self.cluster.delete_lease(key, uid=mine.record.uid, resource_version=mine.record.resource_version)
        except OutsideError as error:
            # It expires by itself, and this process knows that it holds it no more.
            logger.warning("lease not released", extra={"lease": str(key), "error": type(error).__name__})
        self.released(mine.owner)

    def _own(self, key: Key, owner: Owner, stored: JSONObject, began: float) -> Held:
        self._seen.pop(key, None)
        record = lease_record(stored)
        self._held[key] = _Acquisition(owner, record, since=began, until=began + self.terms.seconds)
        return Held()

    def _lost(self, key: Key, why: str) -> None:
        self._held.pop(key, None)
        logger.warning("lease lost", extra={"lease": str(key), "why": why})


def _labels(owner: Owner) -> dict[str, str]:
    return {LABEL_WORKITEM: owner.key.name, LABEL_REPOSITORY: owner.repository}
