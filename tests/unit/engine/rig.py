"""The engine with everything outside it in memory: items go from created to done in milliseconds, and processes die.

A rig is what outlives a process: the store, the forge, the tracker, time. `boot` starts a process anew, with nothing
but what a listing tells it. Time moves only when there is nothing to do.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from conveyor.api.objects import Repository, WorkItem
from conveyor.api.stages import Role
from conveyor.cluster.leases import LeaseRecord
from conveyor.cluster.protocol import Cluster, JSONObject, Key, Kind
from conveyor.engine.connections import Connections
from conveyor.engine.identity import Liveness
from conveyor.engine.world import EngineSettings
from tests.fakes.clock import ManualClock
from tests.fakes.gates import KilledError
from tests.fakes.memory_cluster import MemoryCluster
from tests.fakes.memory_forge import MemoryForge
from tests.fakes.memory_probes import MemoryProbes
from tests.fakes.memory_store import JOBS
from tests.fakes.memory_tracker import MemoryTracker
from tests.unit.engine.crew import REVIEWER, Crew
from tests.unit.engine.process import Around, Process
from tests.unit.engine.told import Told

NAMESPACE = "team"
SHOP = Key(NAMESPACE, "shop")
STEPS = 5000
TERMINAL = ("done", "cancelled")

TRACKER: JSONObject = {
    "type": "Plane",
    "url": "https://plane.test",
    "workspace": "acme",
    "projectID": "5f3c1c9a-7d6e-4a51-9a57-0c4c1f0a2b11",
    "identifier": "ET",
    "credentialsSecretRef": {"name": "plane"},
}
DEPLOY: JSONObject = {"template": {"spec": {"containers": [{"name": "deploy", "image": "deploy:1"}]}}}


class MemoryConnections(Connections):
    """The same forge and tracker for every Repository."""

    def __init__(self, forge: MemoryForge, tracker: MemoryTracker, cluster: Cluster) -> None:
        self._memory_forge, self._memory_tracker, self._memory_cluster = forge, tracker, cluster

    async def forge(self, repository: Repository) -> MemoryForge:
        return self._memory_forge

    async def tracker(self, repository: Repository) -> MemoryTracker | None:
        return self._memory_tracker if repository.spec.tracker is not None else None

    async def agent_logins(self, repository: Repository) -> Mapping[str, str]:
        return {role: REVIEWER if role is Role.REVIEWER else "developer-bot" for role in Role}

    async def secret(self, key: Key) -> Mapping[str, str]:
        return await self._memory_cluster.secret(key)

    def forget_secrets(self, repository: Repository) -> None:
        return

    def forget(self, repository: Key) -> None:
        return


class Rig:
    def __init__(self, *, workers: int = 1, **settings: Any) -> None:
        """A process is killed cleanly only where it has one worker."""
        self.clock, self.workers = ManualClock(), workers
        self.skew = timedelta()
        """How far the processes' wall clock is off; what they measure spans of time with is not."""
        self.told = Told()
        self.cluster = MemoryCluster(self.clock, on_change=self._changed)
        self.forge = MemoryForge(self._wrote)
        self.tracker = MemoryTracker(self._wrote)
        self.probes = MemoryProbes(self.clock)
        self.connections: Connections = MemoryConnections(self.forge, self.tracker, self.cluster)
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

    def around(self) -> Around:
        return Around(
            cluster=self.cluster,
            connections=self.connections,
            probes=self.probes,
            told=self.told,
            judge=self.judge,
            clock=lambda: self.clock.now().timestamp(),
            now=lambda: self.clock.now() + self.skew,
            workers=self.workers,
        )

    async def boot(self) -> Process:
        self._backlog.clear()
        self.boots += 1
        settings = EngineSettings(holder=f"process-{self.boots}", tools_image="tools:1", **self._settings)
        self.process = Process(self.around(), settings)
        self._by_process = True
        try:
            await self.process.begin()
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
