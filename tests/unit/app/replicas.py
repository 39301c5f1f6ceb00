"""Replicas that campaign for one Lease in memory, on one clock that a test moves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from conveyor.app.leader import Elector, LeadershipLostError
from conveyor.cluster.leases import LeaseRecord, LeaseSpec, lease_record
from conveyor.cluster.protocol import Key, Written
from conveyor.engine.identity import Holder
from conveyor.web.errors import Unavailable
from tests.fakes.clock import ManualClock
from tests.fakes.memory_cluster import MemoryCluster
from tests.fakes.memory_store import LEASES
from tests.fakes.timers import settle

LEASE = Key("conveyor-system", "conveyor-operator")
STEP = 0.25


class Reached(MemoryCluster):
    """The same store as the others', over a connection of its own that can break."""

    def __init__(self, shared: MemoryCluster) -> None:
        super().__init__(shared.clock)
        self.store, self.away, self.hangs = shared.store, False, False
        self.gave_up = asyncio.Event()
        """The caller of what hung has left; from then on nothing hangs."""
        self.answers_after = 0.0
        """Seconds between an update and its answer."""

    async def lease(self, key: Key) -> LeaseRecord | None:
        await self._connect()
        return await super().lease(key)

    async def create_lease(self, key: Key, lease: LeaseSpec, **rest: Any) -> Written:
        await self._connect()
        return await super().create_lease(key, lease, **rest)

    async def update_lease(self, key: Key, lease: LeaseSpec, **rest: Any) -> Written:
        await self._connect()
        written = await super().update_lease(key, lease, **rest)
        if self.answers_after:
            await self.clock.sleep(self.answers_after)
        return written

    async def _connect(self) -> None:
        if self.hangs:
            try:
                await asyncio.Event().wait()
            finally:
                self.hangs = False
                self.gave_up.set()
        if self.away:
            raise Unavailable("no connection to the API server")


class Replica:
    """One process: its elector, how it hears of it, and its end."""

    def __init__(self, field: "Field", me: Holder, *, wall_clock_off_by: float = 0.0) -> None:
        self.cluster, self.me, self.heard = Reached(field.shared), me, list[str]()
        self.elector = Elector(
            self.cluster,
            LEASE,
            me,
            on_lead=lambda: self.heard.append("lead"),
            on_lapse=lambda: self.heard.append("lapse"),
            clock=field.seconds,
            now=lambda: field.clock.now() + timedelta(seconds=wall_clock_off_by),
        )
        self._field, self._thaw = field, asyncio.Event()
        self._thaw.set()
        self.task = asyncio.create_task(self.elector.run(sleep=self._sleep))

    async def _sleep(self, seconds: float) -> None:
        await self._field.clock.sleep(seconds)
        await self._thaw.wait()

    def leads(self) -> bool:
        return not self.task.done() and self.elector.leads()

    def lost(self) -> bool:
        """Whether it found another in its place, which ends its process."""
        return self.task.done() and isinstance(self.task.exception(), LeadershipLostError)

    def freeze(self) -> None:
        """As by SIGSTOP: nothing is done, and the clock goes on."""
        self._thaw.clear()

    def thaw(self) -> None:
        self._thaw.set()

    async def die(self) -> None:
        """Without a word to anybody."""
        self.task.cancel()
        await asyncio.wait({self.task})


class Field:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self._start = self.clock.now()
        self.shared = MemoryCluster(self.clock)
        self.replicas: list[Replica] = []
        self.may_overlap = False
        """Since a person changed the Lease: until the leader looks, within two seconds, a second one may lead too."""
        self._ids = 0

    def seconds(self) -> float:
        """The monotonic clock of everybody."""
        return (self.clock.now() - self._start).total_seconds()

    def replica(self, **options: Any) -> Replica:
        """A process on a host of its own: nobody can look whether it lives."""
        self._ids += 1
        me = Holder(f"host:machine-{self._ids}.00000000", "1.1", f"nonce-{self._ids}")
        return self.started(me, **options)

    def started(self, me: Holder, **options: Any) -> Replica:
        made = Replica(self, me, **options)
        self.replicas.append(made)
        return made

    async def leader(self, **options: Any) -> Replica:
        """One that leads already."""
        made = self.replica(**options)
        await self.passes(0)
        assert made.leads()
        return made

    async def passes(self, seconds: float) -> None:
        end = self.seconds() + seconds
        await self._settle()
        while self.seconds() < end:
            self.clock.advance(min(STEP, end - self.seconds()))
            await self._settle()

    async def until_leads(self, replica: Replica, *, within: float) -> float:
        """How long that took."""
        began = self.seconds()
        while not replica.leads():
            assert self.seconds() - began < within, f"it does not lead within {within} s"
            await self.passes(STEP)
        return self.seconds() - began

    async def _settle(self) -> None:
        for _ in range(4):
            await settle()
        assert self.leaders() <= 1 or self.may_overlap, "two lead at once"

    def leaders(self) -> int:
        return sum(replica.leads() for replica in self.replicas)

    # --- the Lease itself

    def record(self) -> LeaseSpec | None:
        stored = self.shared.store.objects.get((LEASES, LEASE))
        return lease_record(stored).spec if stored is not None else None

    def holder(self) -> str | None:
        record = self.record()
        return None if record is None else record.holder

    def edit(self, **spec: Any) -> None:
        """What a person writes."""
        self.may_overlap = True
        self.shared.store.edit(LEASES, LEASE, {"spec": spec})

    def remove(self) -> None:
        self.may_overlap = True
        self.shared.store.remove(LEASES, LEASE)


@asynccontextmanager
async def field() -> AsyncIterator[Field]:
    made = Field()
    try:
        yield made
    finally:
        for replica in made.replicas:
            await replica.die()
