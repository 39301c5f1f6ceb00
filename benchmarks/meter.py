"""What is counted of an operator at work, and the operator's own parts with a counter in them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks import machine, naming
from benchmarks.outside import InstantJobs, Outside
from benchmarks.start import Start
from conveyor.api.annotations import LABEL_WORKITEM
from conveyor.api.stages import Stage
from conveyor.cluster.client import KubernetesCluster
from conveyor.cluster.connection import Connection, Reply
from conveyor.cluster.protocol import JSONObject, Key, Kind, Lost, Won, Written
from conveyor.engine.hub import Hub
from conveyor.engine.items import ItemReconciler
from conveyor.engine.outcomes import Done, Outcome
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
    passes: int
    writes: int
    transitions: int


@dataclass
class Marks:
    """When the watch told of an item last, its pass began, and its first transition was sent and stored."""

    seen: float = 0.0
    began: float = 0.0
    sent: float = 0.0
    stored: float = 0.0


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
    late: list[float] = field(default_factory=list)
    """By how many seconds its timers came late, from the first status write on."""
    collection: float = 0.0
    """The longest garbage collection since then, in seconds."""
    marks: dict[str, Marks] = field(default_factory=dict)
    """By the item's name."""
    begin: Moment | None = None
    """Just before the first status write of a WorkItem."""
    first_decision: float = 0.0
    """When the first item's first pass was over; monotonic."""
    end: Moment | None = None
    _decided: set[Key] = field(default_factory=set)
    _collecting: float = 0.0

    def now(self) -> Moment:
        servers = {name: machine.cpu_seconds(pid) for name, pid in self.servers.items()}
        total = sum(self.requests.values())
        return Moment(
            time=time.monotonic(),
            cpu=time.process_time(),
            servers_cpu=servers,
            busy=machine.busy_seconds(),
            requests=total,
            passes=self.passes,
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
        if self.end is not None:
            return
        self.stall = max(self.stall, seconds)
        if self.begin is not None:
            self.late.append(seconds)

    def collecting(self, phase: str, _: object) -> None:
        """For `gc.callbacks`."""
        now = time.monotonic()
        if phase == "start":
            self._collecting = now
        elif self.begin is not None and self.end is None:
            self.collection = max(self.collection, now - self._collecting)

    def marks_of(self, name: str) -> Marks:
        return self.marks.setdefault(name, Marks())

    @property
    def decided_upon(self) -> int:
        """How many items were looked at."""
        return len(self._decided)

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
        sent = time.monotonic()
        written = await super().patch_status(kind, key, resource_version=resource_version, status=status)
        if isinstance(written, Won):
            marks = self._meter.marks_of(key.name)
            if "stage" in status and not marks.stored:
                marks.sent, marks.stored = sent, time.monotonic()
            if status.get("stage") == Stage.DEPLOY_STAGING:
                self._outside.merged.add(naming.number_in(key.name))
            self._meter.wrote(key, status)
        return written

    async def create_job(self, manifest: JSONObject) -> Written:
        """It has ended before anybody can see it at work, so the engine finds it as one that is there already."""
        self._jobs.create(manifest)
        self._outside.heads.pop(naming.number_in(manifest["metadata"]["labels"][LABEL_WORKITEM]), None)
        return Lost()

    async def job(self, key: Key, *, with_message: bool) -> JobFact:
        return self._jobs.get(key.name)


class MeteredReconciler(ItemReconciler):
    """What is kept back is not looked at until it is let go."""

    def __init__(self, meter: Meter, start: Start, *parts: Any, **more: Any) -> None:  # noqa: ANN401 as it is made
        super().__init__(*parts, **more)
        self._meter, self._common = meter, start
        start.wake = self._hub.look_at

    async def reconcile(self, key: Key) -> Outcome:
        if self._common.keeps_back(key):
            return Done()
        marks = self._meter.marks_of(key.name)
        if not marks.stored:
            marks.began = time.monotonic()
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


def noting(meter: Meter) -> Callable[[Hub, JSONObject], None]:
    """`Hub.item_seen` that puts down when."""
    item_seen = Hub.item_seen

    def noted(self: Hub, obj: JSONObject) -> None:
        marks = meter.marks_of(obj["metadata"]["name"])
        if not marks.stored:
            marks.seen = time.monotonic()
        item_seen(self, obj)

    return noted
