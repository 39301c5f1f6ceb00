"""The engine with everything outside it in memory: items go from created to done in milliseconds, and processes die.

A rig is what outlives a process: the store, the forge, the tracker, time. `boot` starts a process anew, with nothing
but what a listing tells it. Time moves only when there is nothing to do.
"""

import asyncio
import heapq
import secrets
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any

from conveyor.api.objects import Repository, WorkItem
from conveyor.api.stages import Role
from conveyor.cluster.leases import LeaseRecord
from conveyor.cluster.protocol import JSONObject, Key, Kind
from conveyor.engine.cache import Cache
from conveyor.engine.connections import Connections
from conveyor.engine.events import EventRecorder
from conveyor.engine.hub import Hub, Work
from conveyor.engine.identity import Liveness
from conveyor.engine.indicate import Indicator
from conveyor.engine.items import ItemReconciler
from conveyor.engine.leases import RENEW_SECONDS, Leases
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
from tests.fakes.clock import ManualClock
from tests.fakes.memory_cluster import MemoryCluster
from tests.fakes.memory_faults import KilledError
from tests.fakes.memory_forge import MemoryForge
from tests.fakes.memory_probes import MemoryProbes
from tests.fakes.memory_store import JOBS
from tests.fakes.memory_tracker import MemoryTracker
from tests.unit.engine.crew import REVIEWER, Crew
from tests.unit.engine.told import Told

NAMESPACE = "team"
SHOP = Key(NAMESPACE, "shop")
STEPS = 5000
RETRY_SECONDS = 5.0
POLL_SECONDS = 30.0
REAP_SECONDS = 300.0
"""Longer than in earnest, for a day has many minutes."""
TERMINAL = ("done", "cancelled")
PROBES = "probes"
"""Beside the kinds, what is in line to be probed."""

TRACKER: JSONObject = {
    "type": "Plane",
    "url": "https://plane.test",
    "workspace": "acme",
    "projectID": "5f3c1c9a-7d6e-4a51-9a57-0c4c1f0a2b11",
    "identifier": "ET",
    "credentialsSecretRef": {"name": "plane"},
}
DEPLOY: JSONObject = {"template": {"spec": {"containers": [{"name": "deploy", "image": "deploy:1"}]}}}


Line = Work | Key | tuple[str, Key]
"""What waits for its pass: an object, a ticket to be shown, a deploy to be probed."""


class MemoryConnections(Connections):
    """The same forge and tracker for every Repository."""

    def __init__(self, forge: MemoryForge, tracker: MemoryTracker) -> None:
        self._memory_forge, self._memory_tracker = forge, tracker

    async def forge(self, repository: Repository) -> MemoryForge:
        return self._memory_forge

    async def tracker(self, repository: Repository) -> MemoryTracker | None:
        return self._memory_tracker if repository.spec.tracker is not None else None

    async def agent_logins(self, repository: Repository) -> Mapping[str, str]:
        return {role: REVIEWER if role is Role.REVIEWER else "developer-bot" for role in Role}

    def forget(self, repository: Key) -> None:
        return


class Process:
    """The operator's memory, gone with it."""

    def __init__(self, rig: "Rig", settings: EngineSettings) -> None:
        self.told, self._workers = rig.told, rig.workers
        self.cache = Cache()
        self.leases = Leases(
            rig.cluster,
            settings.holder,
            judge=rig.judge,
            telemetry=rig.told,
            clock=lambda: rig.clock.now().timestamp(),
            now=rig.clock.now,
        )
        self.world = World(
            cluster=rig.cluster,
            connections=rig.connections,
            cache=self.cache,
            leases=self.leases,
            settings=settings,
            telemetry=rig.told,
            now=rig.clock.now,
            nonce=lambda: secrets.token_hex(16),
        )
        self._clock, self._order = rig.clock, count()
        self._next_renewal = self.seconds() + RENEW_SECONDS
        self._queue: list[tuple[float, int, Line]] = []
        self._due: dict[Line, float] = {}
        slots = Slots(self.cache, limit=settings.max_concurrent_runs)
        self.hub = Hub(self.cache, self.add, slots=slots, telemetry=rig.told)
        self.hub.also_tell(lambda change: self._ticket(change.new or change.old))
        self._events = events = EventRecorder(self.world)
        exists = self.cache.repositories.get
        mirror = SecretMirror(rig.cluster, Key("conveyor", "ingress"), exists=lambda key: exists(key) is not None)
        self.prober = Prober(self.world, rig.probes, ask=lambda key: self.add((PROBES, key)), wake=self.add)
        self.items = ItemReconciler(self.world, self.hub, slots, events, prober=self.prober)
        self.repositories = RepositoryReconciler(self.world, self.hub, mirror, events)
        self.indicator = Indicator(self.world, self.hub)
        self.poll = TrackerPoll(self.world, self.hub, failed=self.failed, clock=self.seconds)
        self.resync = Resync(rig.cluster, self.cache, self.hub, listed=lambda _: None, failed=self.failed)
        self.reaper = Reaper(self.world, self.hub, failed=self.failed)
        self._next_poll = self.seconds()
        self._next_reaping = self.seconds() + REAP_SECONDS

    def failed(self, error: BaseException) -> None:
        self.told.failures.append(error)

    def seconds(self) -> float:
        return self._clock.now().timestamp()

    def _ticket(self, record: ItemRecord | None) -> None:
        if record is not None and record.issue_id:
            self.add(record.key)

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


class Rig:
    def __init__(self, *, workers: int = 1, **settings: Any) -> None:
        """A process is killed cleanly only where it has one worker."""
        self.clock, self.workers = ManualClock(), workers
        self.told = Told()
        self.cluster = MemoryCluster(self.clock, on_change=self._changed)
        self.forge = MemoryForge(self._wrote)
        self.tracker = MemoryTracker(self._wrote)
        self.probes = MemoryProbes(self.clock)
        self.connections: Connections = MemoryConnections(self.forge, self.tracker)
        self.crew = Crew(self.cluster, self.forge)
        self.process: Process | None = None
        self.boots = 0
        self.writes = 0
        """Of the process, all together: what it can be killed after."""
        self.alive: set[str] = set()
        """Holders of Leases that live beside ours."""
        self.jobs: list[str] = []
        """Names of Jobs in the order of their creation."""
        self.at_write: dict[int, Callable[[], object]] = {}
        """What people do the moment the process has made its write of that number."""
        self._until_death: Iterator[int] = iter(())
        self._left = 0
        self._settings = settings
        self._backlog: list[tuple[str, str, JSONObject]] = []
        self._by_process = False

    # --- what people do

    def repository(self, name: str = "shop", **spec: Any) -> Key:
        whole: JSONObject = {
            "forge": {
                "url": "https://git.test",
                "owner": "acme",
                "name": name,
                "credentialsSecretRef": {"name": "git"},
            },
            "agents": [{"role": role.value, "image": "agent:1"} for role in Role],
            "gates": {"approval": {"analysis": "Auto", "deploy": "Auto"}},
            "deploy": DEPLOY,
        }
        self.cluster.secrets[Key(NAMESPACE, "git")] = {"token": "t0ps3cret", "url": "https://git.test"}
        return self._create("Repository", Kind.REPOSITORY, name, whole | spec)

    def item(self, name: str = "cart", *, repository: str = "shop", **spec: Any) -> Key:
        whole = {"repositoryRef": {"name": repository}, "title": "A cart"} | spec
        return self._create("WorkItem", Kind.WORKITEM, name, whole)

    def _create(self, name_of_kind: str, kind: Kind, name: str, spec: JSONObject) -> Key:
        key = Key(NAMESPACE, name)
        metadata = {"namespace": NAMESPACE, "name": name}
        self.cluster.store.add(
            kind, key, {"apiVersion": "conveyor.dev/v1alpha1", "kind": name_of_kind, "metadata": metadata, "spec": spec}
        )
        return key

    # --- what is there

    def status(self, key: Key, kind: Kind = Kind.WORKITEM) -> JSONObject:
        found: JSONObject = self.cluster.store.object(kind, key).get("status", {})
        return found

    def stage(self, key: Key) -> str:
        return str(self.status(key).get("stage", ""))

    def is_ended(self, key: Key) -> bool:
        return (Kind.WORKITEM, key) in self.cluster.store.objects and self.stage(key) in TERMINAL

    def is_open(self, key: Key, part: str) -> bool:
        """Whether the item is there and its status has this part."""
        return (Kind.WORKITEM, key) in self.cluster.store.objects and part in self.status(key)

    def waiting(self, key: Key) -> tuple[str, str]:
        waiting = self.status(key).get("waiting", {})
        return waiting.get("reason", ""), waiting.get("message", "")

    def condition(self, key: Key, name: str = "Ready", kind: Kind = Kind.REPOSITORY) -> tuple[str, str, str]:
        found = {it["type"]: it for it in self.status(key, kind).get("conditions", [])}.get(name, {})
        return found.get("status", ""), found.get("reason", ""), found.get("message", "")

    def whole(self, key: Key) -> WorkItem:
        return WorkItem.model_validate(self.cluster.store.object(Kind.WORKITEM, key))

    def notes(self) -> list[tuple[str, str]]:
        """Reason and text of all Events."""
        return [(event["reason"], event["note"]) for event in self.cluster.events.values()]

    # --- a process and its end

    async def judge(self, lease: LeaseRecord) -> Liveness:
        """A process that was killed is known to be dead."""
        living = lease.spec.holder.startswith(f"process-{self.boots}/") or lease.spec.holder in self.alive
        return Liveness.ALIVE if living else Liveness.DEAD

    def settings(self, **changed: Any) -> None:
        """For the processes that are started from now on."""
        self._settings = {**self._settings, **changed}

    async def boot(self) -> Process:
        self._backlog.clear()
        self.boots += 1
        settings = EngineSettings(holder=f"process-{self.boots}", tools_image="tools:1", **self._settings)
        self.process = Process(self, settings)
        self._by_process = True
        try:
            await self.process.resync.once()
            await sweep(self.process.world, EventRecorder(self.process.world))
        finally:
            self._by_process = False
        for key in self.cluster.store.keys(JOBS):
            self.process.seen(JOBS, "ADDED", self.cluster.store.object(JOBS, key))
        return self.process

    def _changed(self, kind: str, event: str, obj: JSONObject) -> None:
        self._backlog.append((kind, event, obj))
        if (kind, event) == (JOBS, "ADDED"):
            self.jobs.append(obj["metadata"]["name"])
        self._wrote()

    def kill_after(self, *writes: int) -> None:
        """Kill the process after so many writes, the next one after so many more, and so on."""
        self._until_death = iter(writes)
        self._left = next(self._until_death)

    def _wrote(self) -> None:
        if self._by_process:
            self.writes += 1
            self._by_process = False
            self.at_write.pop(self.writes, int)()
            self._by_process = True
            self._left -= 1
            if self._left == 0:
                self._left = next(self._until_death, 0)
                raise KilledError

    async def run(self, *items: Key, until: float = 86400.0) -> None:
        """Until these have ended, or nothing is left to be done before `until` seconds are over."""
        end = self.clock.now().timestamp() + until
        for _ in range(STEPS):
            if items and all(self.is_ended(key) for key in items) and not self._is_busy():
                return
            try:
                if not await self._step(end):
                    return
            except KilledError:
                self.process = None
        raise AssertionError(f"it goes on without end: {[(self.is_ended(key), key) for key in items]}")

    async def run_until(self, condition: Callable[[], bool]) -> None:
        """One pass after another until it is so."""
        for _ in range(STEPS):
            if condition():
                return
            await self._step(float("inf"))
        raise AssertionError("it does not come to that")

    def _is_busy(self) -> bool:
        return self.process is None or self.process.next_due() <= self.process.seconds() or bool(self._backlog)

    async def _step(self, end: float) -> bool:
        process = self.process or await self.boot()
        backlog, self._backlog = self._backlog, []
        for change in backlog:
            process.seen(*change)
        if process.next_due() > process.seconds():
            if self.crew.work():
                return True
            if process.next_due() > end:
                return False
            self.clock.advance(max(process.next_due() - process.seconds(), 0.001))
        self._by_process = True
        try:
            await process.step()
        finally:
            self._by_process = False
        return True
