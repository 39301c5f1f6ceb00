"""An operator process in memory: its cache, its reconcilers and loops, and a queue whose time a test moves."""

import asyncio
import heapq
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import count

from conveyor.cluster.protocol import Cluster, JSONObject, Key, Kind
from conveyor.engine.cache import Cache
from conveyor.engine.connections import Connections
from conveyor.engine.events import EventRecorder
from conveyor.engine.hub import Hub, Work
from conveyor.engine.indicate import Indicator
from conveyor.engine.items import ItemReconciler
from conveyor.engine.leases import RENEW_SECONDS, Judge, Leases
from conveyor.engine.mirror import SecretMirror
from conveyor.engine.outcomes import Again, Done, Outcome, Person, Retry
from conveyor.engine.poll import TrackerPoll
from conveyor.engine.probing import Prober
from conveyor.engine.reaper import Reaper
from conveyor.engine.records import ItemRecord
from conveyor.engine.renewing import renew, sweep
from conveyor.engine.repositories import RepositoryReconciler
from conveyor.engine.resync import Resync
from conveyor.engine.slots import Slots
from conveyor.engine.world import EngineSettings, World
from tests.fakes.memory_probes import MemoryProbes
from tests.fakes.memory_store import JOBS
from tests.unit.engine.told import Told

RETRY_SECONDS = 5.0
POLL_SECONDS = 30.0
REAP_SECONDS = 300.0
"""Longer than in earnest, for a day has many minutes."""
PROBES = "probes"
"""Beside the kinds, what is in line to be probed."""

Line = Work | Key | tuple[str, Key]
"""What waits for its pass: an object, a ticket to be shown, a deploy to be probed."""


@dataclass(frozen=True)
class Around:
    """What a process is put into, and does not take along when it goes."""

    cluster: Cluster
    connections: Connections
    probes: MemoryProbes
    told: Told
    judge: Judge
    clock: Callable[[], float]
    """Monotonic seconds."""
    now: Callable[[], datetime]
    """The wall clock of its host."""
    workers: int = 1


class Process:
    """The operator's memory, gone with it."""

    def __init__(self, around: Around, settings: EngineSettings) -> None:
        self.told, self._workers = around.told, around.workers
        self.cache = Cache(dependencies_from=settings.dependencies_from)
        self.leases = Leases(
            around.cluster,
            settings.holder,
            judge=around.judge,
            telemetry=around.told,
            clock=around.clock,
            now=around.now,
        )
        self.world = World(
            cluster=around.cluster,
            connections=around.connections,
            cache=self.cache,
            leases=self.leases,
            settings=settings,
            telemetry=around.told,
            now=around.now,
            nonce=lambda: secrets.token_hex(16),
        )
        self.seconds, self._order = around.clock, count()
        self._next_renewal = self.seconds() + RENEW_SECONDS
        self._queue: list[tuple[float, int, Line]] = []
        self._due: dict[Line, float] = {}
        slots = Slots(self.cache, limit=settings.max_concurrent_runs)
        self.hub = Hub(self.cache, self.add, slots=slots, telemetry=around.told)
        self.hub.also_tell(lambda change: self._ticket(change.new or change.old))
        self._events = events = EventRecorder(self.world)
        exists = self.cache.repositories.get
        mirror = SecretMirror(
            around.cluster, Key("conveyor", "ingress"), exists=lambda key: exists(key) is not None, clock=self.seconds
        )
        self.prober = Prober(self.world, around.probes, ask=lambda key: self.add((PROBES, key)), wake=self.add)
        self.items = ItemReconciler(self.world, self.hub, slots, events, prober=self.prober)
        self.repositories = RepositoryReconciler(self.world, self.hub, mirror, events)
        self.indicator = Indicator(self.world, self.hub)
        self.poll = TrackerPoll(self.world, self.hub, failed=self.failed, clock=self.seconds)
        self.resync = Resync(around.cluster, self.cache, self.hub, listed=lambda _: None, failed=self.failed)
        self.reaper = Reaper(self.world, self.hub, failed=self.failed)
        self._next_poll = self.seconds()
        self._next_reaping = self.seconds() + REAP_SECONDS

    def failed(self, error: BaseException) -> None:
        self.told.failures.append(error)

    def _ticket(self, record: ItemRecord | None) -> None:
        if record is not None and record.issue_id:
            self.add(record.key)

    async def begin(self) -> None:
        """What a process does first: it lists what there is, and clears away what the dead left."""
        await self.resync.once()
        await sweep(self.world, self._events)

    def seen(self, kind: str, event: str, obj: JSONObject) -> None:
        """The watch."""
        handlers = {
            Kind.WORKITEM: (self.hub.item_seen, self.hub.item_gone),
            Kind.REPOSITORY: (self.hub.repository_seen, self.hub.repository_gone),
            JOBS: (self.hub.job_seen, self.hub.job_gone),
        }
        if kind in handlers:  # Leases are not watched
            seen, gone = handlers[kind]
            (gone if event == "DELETED" else seen)(obj)

    # --- a queue whose time stands still

    def add(self, work: Line, after: float = 0.0) -> None:
        due = self.seconds() + after
        if due < self._due.get(work, float("inf")):
            self._due[work] = due
            heapq.heappush(self._queue, (due, next(self._order), work))

    def next_due(self) -> float:
        while self._queue and self._due.get(self._queue[0][2]) != self._queue[0][0]:
            heapq.heappop(self._queue)
        renewal = self._next_renewal if self.leases.all_held() else float("inf")
        first = self._queue[0][0] if self._queue else float("inf")
        return min(first, self._next_poll, self._next_reaping, renewal)

    async def step(self) -> None:
        """One pass over whatever is due first; several at once where there are more workers than one."""
        if self.leases.all_held() and self._next_renewal <= self.seconds():
            self._next_renewal = self.seconds() + RENEW_SECONDS
            await renew(self.world, self._events)
            return
        if self._next_reaping <= self.seconds():
            self._next_reaping = self.seconds() + REAP_SECONDS
            await self.reaper.round()
            return
        if self._next_poll <= self.seconds():
            self._next_poll = self.seconds() + POLL_SECONDS
            await self.poll.round()
            return
        await asyncio.gather(*(self._pass(work) for work in self._take()))

    def _take(self) -> list[Line]:
        """What is due now, as many at once as there are workers."""
        taken: list[Line] = []
        while len(taken) < self._workers and self._queue and self._queue[0][0] <= self.seconds():
            due, _, work = heapq.heappop(self._queue)
            if self._due.get(work) == due:
                del self._due[work]
                taken.append(work)
        return taken

    async def _pass(self, work: Line) -> None:
        match await self._reconcile(work):
            case Again(after):
                self.add(work, after)
            case Retry():
                self.add(work, RETRY_SECONDS)
            case Done() | Person():
                pass

    async def _reconcile(self, work: Line) -> Outcome:
        if isinstance(work, Key):
            return await self.indicator.reconcile(work)
        kind, key = work
        if kind == PROBES:
            return await self.prober.reconcile(key)
        return await (self.items if kind is Kind.WORKITEM else self.repositories).reconcile(key)
