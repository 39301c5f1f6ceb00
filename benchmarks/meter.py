"""What is counted of an operator at work, and the operator's own parts with a counter in them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks import machine, naming
from benchmarks.outside import InstantJobs, Outside
from conveyor.api.stages import Stage
from conveyor.cluster.client import KubernetesCluster
from conveyor.cluster.connection import Connection, Reply
from conveyor.cluster.protocol import JSONObject, Key, Kind, Lost, Won, Written
from conveyor.engine.items import ItemReconciler
from conveyor.engine.outcomes import Outcome
from conveyor.pipeline.facts import JobFact


@dataclass(frozen=True)
class Moment:
    """Counts and clocks at one time."""

    time: float
    cpu: float
    servers_cpu: Mapping[str, float]
    busy: float
    """Processor time of the whole machine."""
    requests: int
    writes: int
    transitions: int


@dataclass
class Meter:
    """`finished` is called once: when so many transitions were written, or first decisions made, as are expected."""

    servers: Mapping[str, int]
    finished: Callable[[], None]
    transitions_expected: int | None = None
    decisions_expected: int | None = None
    requests: Counter[str] = field(default_factory=Counter)
    patches: list[tuple[str, JSONObject]] = field(default_factory=list)
    """Every status write of a WorkItem, by the item's name, in their order."""
    writes: int = 0
    transitions: int = 0
    passes: int = 0
    stall: float = 0.0
    """The longest time, in seconds, for which the event loop was not served."""
    begin: Moment | None = None
    """Just before the first status write of a WorkItem."""
    first_decision: float = 0.0
    """When the first item's first pass was over; monotonic."""
    end: Moment | None = None
    _decided: set[Key] = field(default_factory=set)

    def now(self) -> Moment:
        servers = {name: machine.cpu_seconds(pid) for name, pid in self.servers.items()}
        total = sum(self.requests.values())
        return Moment(
            time=time.monotonic(),
            cpu=time.process_time(),
            servers_cpu=servers,
            busy=machine.busy_seconds(),
            requests=total,
            writes=self.writes,
            transitions=self.transitions,
        )

    def about_to_write(self) -> None:
        if self.begin is None:
            self.begin = self.now()

    def wrote(self, key: Key, status: JSONObject) -> None:
        self.writes += 1
        self.transitions += "stage" in status
        self.patches.append((key.name, status))
        if self.transitions == self.transitions_expected and self.end is None:
            self._end()

    def decided(self, key: Key) -> None:
        self.passes += 1
        self._decided.add(key)
        self.first_decision = self.first_decision or time.monotonic()
        if len(self._decided) == self.decisions_expected and self.end is None:
            self._end()

    def lagged(self, seconds: float) -> None:
        if self.end is None:
            self.stall = max(self.stall, seconds)

    def progress(self) -> str:
        return f"{self.transitions} transitions, {self.writes} status writes, {len(self._decided)} items decided upon"

    def _end(self) -> None:
        self.end = self.now()
        self.finished()


class MeteredCluster(KubernetesCluster):
    """The real one, but for runs' Jobs, which have passed as soon as they are created.

    A person merges each pull request whose item gets as far as deploy-staging.
    """

    def __init__(self, meter: Meter, outside: Outside, connection: Connection, *, namespaces: tuple[str, ...]) -> None:
        super().__init__(connection, namespaces=namespaces)
        self._meter, self._outside, self._jobs = meter, outside, InstantJobs()

    async def patch_status(self, kind: Kind, key: Key, *, resource_version: str, status: JSONObject) -> Written:
        if kind is not Kind.WORKITEM:
            return await super().patch_status(kind, key, resource_version=resource_version, status=status)
        self._meter.about_to_write()
        written = await super().patch_status(kind, key, resource_version=resource_version, status=status)
        if isinstance(written, Won):
            if status.get("stage") == Stage.DEPLOY_STAGING:
                self._outside.merged.add(naming.number_in(key.name))
            self._meter.wrote(key, status)
        return written

    async def create_job(self, manifest: JSONObject) -> Written:
        """It has ended before anybody can see it at work, so the engine finds it as one that is there already."""
        self._jobs.create(manifest)
        return Lost()

    async def job(self, key: Key, *, with_message: bool) -> JobFact:
        return self._jobs.get(key.name)


class MeteredReconciler(ItemReconciler):
    def __init__(self, meter: Meter, *parts: Any, **more: Any) -> None:  # noqa: ANN401 as the reconciler is made
        super().__init__(*parts, **more)
        self._meter = meter

    async def reconcile(self, key: Key) -> Outcome:
        outcome = await super().reconcile(key)
        self._meter.decided(key)
        return outcome


def counted(meter: Meter) -> Callable[..., Any]:
    """`Connection.request` that counts; the heartbeat, which goes by the clock, is left out."""
    request = Connection.request

    async def counting(self: Connection, method: str, path: str, **more: Any) -> Reply:  # noqa: ANN401 as they come
        if "/leases/" not in path:
            meter.requests[method] += 1
        return await request(self, method, path, **more)

    return counting
