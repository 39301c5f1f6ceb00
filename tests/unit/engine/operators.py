"""Several operator processes over one store, forge and time, whose every request a test can hold up.

Each has a pod, a wall clock and a watch of its own. What it does, it does as a `Strand`: so many requests pass, then
it stands still until the test lets it go on, and everybody else moves meanwhile.
"""

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from conveyor.api.fields import rfc3339
from conveyor.cluster.leases import LeaseRecord
from conveyor.cluster.protocol import JSONObject, Key, Kind
from conveyor.engine.events import EventRecorder
from conveyor.engine.identity import Holder, Liveness, liveness
from conveyor.engine.renewing import renew, sweep
from conveyor.engine.world import EngineSettings
from tests.fakes.gates import ALL, STRAND, Fate, Gate, KilledError, Request, Strand
from tests.fakes.memory_store import JOBS, PODS
from tests.unit.engine.audit import Audit
from tests.unit.engine.process import Around, Process
from tests.unit.engine.rig import Rig

OURS = "conveyor"
"""The namespace of the operators' pods."""
STEPS = 1000
SPINS = 10_000
SWEEP_SECONDS = 60.0
Change = tuple[str, str, JSONObject]


@dataclass(eq=False)
class Operator:
    me: Holder
    pod: Key
    process: Process = field(init=False)
    skew: timedelta = timedelta()
    """By how much its wall clock is wrong."""
    watches: bool = True
    """Off: its cache stays as it is, but for what it reads and writes itself."""
    sleeps: bool = False
    """Stopped as a whole: it renews nothing."""
    backlog: list[Change] = field(default_factory=list)
    """What its watch has not told yet."""
    tasks: dict[Strand, asyncio.Task[None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.work, self.keeping = Strand(f"{self.me}/work"), Strand(f"{self.me}/keeping")
        """Its worker, and what goes on beside it: renewing Leases, sweeping, reaping."""

    @property
    def is_alive(self) -> bool:
        return not self.work.is_dead

    def is_idle(self, strand: Strand) -> bool:
        return strand not in self.tasks

    def holder(self, item_uid: str) -> str:
        return f"{self.me}/{item_uid}"


class Operators(Rig):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.gate = Gate()
        self.cluster.gate = self.forge.calls.gate = self.tracker.calls.gate = self.gate
        self.operators: list[Operator] = []
        self.history: list[Change] = []
        """What a watch would have told from the beginning."""
        self.audit = Audit(self.cluster, self.forge, is_working=self._is_working)
        self.audit.listen(self.gate)
        self.forge.calls.on_effect = self.audit.forge_changed
        self._swept = self.seconds()

    def seconds(self) -> float:
        return self.clock.now().timestamp()

    def living(self) -> list[Operator]:
        return [operator for operator in self.operators if operator.is_alive]

    def _is_working(self, holder: str) -> bool:
        """Whether it lives, and nobody has said that it does not."""
        for operator in self.living():
            if holder.startswith(f"{operator.me}/"):
                return self.has_pod(operator)
        return False

    def has_pod(self, operator: Operator) -> bool:
        return (PODS, operator.pod) in self.cluster.store.objects

    def _changed(self, kind: str, event: str, obj: JSONObject) -> None:
        if (kind, event) == (JOBS, "ADDED"):
            self.jobs.append(obj["metadata"]["name"])
        self.audit.changed(kind, event, obj, now=self.seconds())
        if kind in (Kind.WORKITEM, Kind.REPOSITORY, JOBS):
            self.history.append((kind, event, obj))
            for operator in self.living():
                operator.backlog.append((kind, event, obj))

    # --- their lives

    async def start(self, *, in_pod_of: Operator | None = None, **settings: Any) -> Operator:
        """A new process; in a pod of its own, or as the next container in another's."""
        if in_pod_of is not None:
            pod, place = in_pod_of.pod, in_pod_of.me.place
        else:
            pod = Key(OURS, f"operator-{len(self.operators) + 1}")
            place = self.cluster.store.add(PODS, pod, self._pod(pod))["metadata"]["uid"]
        operator = Operator(Holder(place, f"{OURS}.{pod.name}", secrets.token_hex(4)), pod)
        whole = {**self._settings, **settings}
        operator.process = Process(
            self.around_of(operator), EngineSettings(holder=str(operator.me), tools_image="tools:1", **whole)
        )
        self.operators.append(operator)
        await self.do(operator, operator.work, operator.process.begin())
        for key in self.cluster.store.keys(JOBS):
            operator.process.seen(JOBS, "ADDED", self.cluster.store.object(JOBS, key))
        return operator

    def _pod(self, key: Key) -> JSONObject:
        running = {
            "name": "operator",
            "restartCount": 0,
            "state": {"running": {"startedAt": rfc3339(self.clock.now())}},
        }
        metadata = {"namespace": key.namespace, "name": key.name}
        return {"metadata": metadata, "status": {"phase": "Running", "containerStatuses": [running]}}

    def around_of(self, operator: Operator) -> Around:
        async def judge(lease: LeaseRecord) -> Liveness:
            return await liveness(self.cluster, lease.spec.holder, me=operator.me, acquired=lease.spec.acquire_time)

        def now() -> datetime:
            return self.clock.now() + operator.skew

        return Around(self.cluster, self.connections, self.probes, self.told, judge, self.seconds, now)

    async def kill(self, operator: Operator, *, proof: bool = True) -> None:
        """What it has sent goes on. `proof`: its pod goes with it, so that everybody can know."""
        self.gate.kill(operator.work)
        self.gate.kill(operator.keeping)
        for strand in list(operator.tasks):
            await self._quiet(operator, strand)
        if proof:
            self.certify(operator)

    def certify(self, operator: Operator) -> None:
        """Its pod is deleted by force, whether or not its process has ended."""
        if self.has_pod(operator):
            self.cluster.store.remove(PODS, operator.pod)

    def jump(self, operator: Operator, *, hours: int) -> None:
        """Its wall clock is that much wrong from now on."""
        operator.skew = timedelta(hours=hours)

    # --- what they do

    def begin(self, operator: Operator, strand: Strand, work: Coroutine[Any, Any, object]) -> None:
        """It is held up before its first request."""
        self.deliver(operator)

        async def run() -> None:
            STRAND.set(strand)
            await work

        operator.tasks[strand] = asyncio.get_running_loop().create_task(run())

    async def go_on(self, operator: Operator, strand: Strand, *, requests: int = ALL, fate: Fate = Fate.LANDS) -> None:
        """Let so many requests pass, the first of them with this fate, until the next is made or all is done."""
        self.deliver(operator)
        await self._quiet(operator, strand)
        if strand.held and requests:
            strand.passes = requests - 1
            self.gate.let_go(strand, fate)
        await self._quiet(operator, strand)

    async def go_on_to(self, operator: Operator, strand: Strand, wanted: Callable[[Request], bool]) -> bool:
        """Until it is about to make such a request; whether it comes to that."""
        await self.go_on(operator, strand, requests=0)
        while strand.held and not wanted(strand.held[0][0]):
            await self.go_on(operator, strand, requests=1)
        return bool(strand.held)

    async def do(self, operator: Operator, strand: Strand, work: Coroutine[Any, Any, object]) -> None:
        self.begin(operator, strand, work)
        await self.go_on(operator, strand)

    async def _quiet(self, operator: Operator, strand: Strand) -> None:
        """Until it stands still. Errors of its own are the test's."""
        task = operator.tasks.get(strand)
        for _ in range(SPINS):
            if task is None or (strand.held and not task.done()):
                return
            if task.done():
                strand.passes = 0
                del operator.tasks[strand]
                error = task.exception()
                if error is not None and not isinstance(error, KilledError):
                    raise error
                return
            await asyncio.sleep(0)
        raise AssertionError(f"{strand.name} waits for something else than a request")

    def deliver(self, operator: Operator) -> None:
        """Its watch tells what it has to tell."""
        if operator.watches and operator.is_alive:
            backlog, operator.backlog = operator.backlog, []
            for change in backlog:
                operator.process.seen(*change)

    async def tend(self, operator: Operator) -> None:
        """What goes on beside the worker: Leases are renewed, and what the dead left is cleared away."""
        world = operator.process.world
        await renew(world, EventRecorder(world))
        await sweep(world, EventRecorder(world))

    # --- to the end

    async def carry(self, is_over: Callable[[], bool], *only: Operator, until: float = 86400.0) -> None:
        """All who live, or these, do in turn what they have to, until it is over or nothing to be done in time."""
        end = self.seconds() + until
        for _ in range(STEPS):
            working = only or tuple(self.living())
            for operator in working:
                self.deliver(operator)
            if is_over():
                return
            if await self._all_step(working) or self.crew.work():
                continue
            due = min(operator.process.next_due() for operator in working)
            if due > end:
                return
            await self.wait(max(due - self.seconds(), 0.001))
        raise AssertionError("it goes on without end")

    async def _all_step(self, working: tuple[Operator, ...]) -> bool:
        """Whether anybody had anything to do."""
        due = [operator for operator in working if operator.process.next_due() <= self.seconds()]
        for operator in due:
            await self.do(operator, operator.work, operator.process.step())
        return bool(due)

    async def wait(self, seconds: float) -> None:
        """Time passes; finished Jobs expire, and idle processes look after what goes on beside their work."""
        self.clock.advance(seconds)
        self._expire_jobs()
        if self.seconds() - self._swept >= SWEEP_SECONDS:
            self._swept = self.seconds()
            for operator in self.living():
                if operator.is_idle(operator.keeping) and not operator.sleeps:
                    await self.do(operator, operator.keeping, self.tend(operator))

    def _expire_jobs(self) -> None:
        """As the cluster does with `ttlSecondsAfterFinished`."""
        for key in self.cluster.store.keys(JOBS):
            job = self.cluster.store.objects[JOBS, key]
            after = job["spec"].get("ttlSecondsAfterFinished")
            ends = [it["lastTransitionTime"] for it in job.get("status", {}).get("conditions", [])]
            if after is not None and ends:
                over = datetime.fromisoformat(ends[-1]).timestamp() + after
                if over < self.seconds() and "deletionTimestamp" not in job["metadata"]:
                    self.cluster.store.delete(JOBS, key)
