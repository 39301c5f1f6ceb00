"""The operator's metrics. Label values are bounded, no item's name is one, and what can be counted begins at zero."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import product

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from conveyor.api.answers import Verdict
from conveyor.api.stages import EDGES, ROLE_OF_STAGE, TERMINAL, Role, Stage
from conveyor.api.workitem import Cause, Effect, WaitingReason
from conveyor.engine.cache import Change
from conveyor.engine.records import ItemRecord
from conveyor.pipeline.actions import Moved
from conveyor.pipeline.intents import STARTED_OVER

CONTENT_TYPE = CONTENT_TYPE_LATEST
OTHER = "other"
NEW = "none"
"""The stage that an item comes from when it is first seen."""
UNREADABLE = "unreadable"
"""The stage of an item that this operator cannot read."""


@dataclass(frozen=True, slots=True)
class _Spec:
    name: str
    help: str
    labels: tuple[str, ...] = ()
    zeros: Iterable[tuple[str, ...]] = ()
    """The label values that are there from the start."""
    buckets: tuple[float, ...] = ()


CAUSES = frozenset(
    {"seen", "admitted", "gates", "merged", "deployed", "external merge", "cancelled", STARTED_OVER, *Cause}
)
RESULTS = ("applied", "refused", "conflict", "unavailable", "unknown")
VIOLATIONS = ("UnreadableWorkItem", "UnreadableRepository", "WriteRejected", OTHER)
OUTCOMES = ("Done", "Again", "Retry", "Person")
SOURCES, VIAS = ("Gitea", "Plane"), ("webhook", "poll")
VERDICTS = ("Healthy", "Degraded")
TAKEOVERS = ("Gone", "Expired", "Forced")
MINUTE, HOUR, DAY = 60, 3600, 86400


def _expected_moves() -> Iterator[tuple[str, str, str]]:
    yield NEW, Stage.CREATED, "seen"
    order = list(EDGES)
    for start, ends in EDGES.items():
        for end in sorted(ends, key=order.index):
            if end == Stage.CANCELLED:
                yield start, end, "cancelled"
            elif order.index(end) < order.index(start):
                yield from ((start, end, cause) for cause in Cause)
            else:
                yield start, end, "external merge" if end == Stage.DONE and start != Stage.DEPLOY else "gates"


TRANSITIONS = _Spec(
    "conveyor_transitions", "Moves from stage to stage, by cause.", ("from", "to", "cause"), tuple(_expected_moves())
)
STAGE_SECONDS = _Spec(
    "conveyor_stage_duration_seconds",
    "How long items were in a stage they left.",
    ("stage",),
    tuple((stage,) for stage in Stage if stage not in TERMINAL),
    (10, 30, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 4 * HOUR, 12 * HOUR, DAY, 3 * DAY, 7 * DAY),
)
EFFECTS = _Spec(
    "conveyor_effects",
    "Attempts at side effects, by the other side's answer.",
    ("effect", "result"),
    tuple(product(Effect, RESULTS)),
)
EFFECT_SECONDS = _Spec(
    "conveyor_effect_duration_seconds",
    "How long an attempt at a side effect took.",
    ("effect",),
    tuple((effect,) for effect in Effect),
    (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
CONFLICTS = _Spec("conveyor_conflicts", "Conditional writes that somebody else was ahead of; normal.")
LEADER = _Spec("conveyor_leader", "1 in the replica that works, 0 in those that stand by.")
LEASES = _Spec("conveyor_leases_held", "Leases of transitions that this process holds.")
TAKEN_OVER = _Spec(
    "conveyor_lease_takeovers",
    "Leases taken over from another owner.",
    ("reason",),
    tuple((reason,) for reason in TAKEOVERS),
)
RUN_SECONDS = _Spec(
    "conveyor_run_duration_seconds",
    "How long finished runs took from their claim, by verdict.",
    ("role", "verdict"),
    tuple(product(Role, Verdict)),
    (10, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR),
)
FACTS = _Spec(
    "conveyor_facts_learned",
    "News of forge and tracker; the share via poll is what webhooks missed.",
    ("source", "via"),
    tuple(product(SOURCES, VIAS)),
)
DEPTH = _Spec("conveyor_queue_depth", "Keys that are due and wait for a worker.")
PASSES = _Spec(
    "conveyor_reconcile_duration_seconds",
    "How long reconcile passes took, by outcome.",
    ("outcome",),
    tuple((outcome,) for outcome in OUTCOMES),
    (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120),
)
FAILED = _Spec("conveyor_reconcile_errors", "Passes that ended by an exception, by its type.", ("error",))
WATCH_AGE = _Spec("conveyor_watch_age_seconds", "Time since the watch last reported the heartbeat.")
LAG = _Spec(
    "conveyor_loop_lag_seconds",
    "How late the event loop woke, measured ten times a second.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
MONITORS = _Spec(
    "conveyor_monitor_verdicts",
    "Watches after a deploy that ended, by what they found.",
    ("verdict",),
    tuple((verdict,) for verdict in VERDICTS),
)
FREEZES = _Spec("conveyor_freezes", "Repositories that are frozen now.")
GATE_ERRORS = _Spec("conveyor_gate_errors", "Facts for gates that could not be read.")
VIOLATED = _Spec(
    "conveyor_invariant_violations",
    "What must never be and was found since the start; anything but 0 is a matter for a person.",
    ("what",),
    tuple((what,) for what in VIOLATIONS),
)


class Metrics:
    """Implements `conveyor.engine.telemetry.Telemetry`. Callers say what happened; the counters are nobody else's."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self._items = _Items()
        registry.register(self._items)
        ProcessCollector(registry=registry)
        self._transitions = _counter(registry, TRANSITIONS)
        self._stage_seconds = _histogram(registry, STAGE_SECONDS)
        self._effects = _counter(registry, EFFECTS)
        self._effect_seconds = _histogram(registry, EFFECT_SECONDS)
        self._conflicts = _counter(registry, CONFLICTS)
        self._leader = _gauge(registry, LEADER)
        self._leases = _gauge(registry, LEASES)
        self._taken_over = _counter(registry, TAKEN_OVER)
        self._run_seconds = _histogram(registry, RUN_SECONDS)
        self._facts = _counter(registry, FACTS)
        self._depth = _gauge(registry, DEPTH)
        self._passes = _histogram(registry, PASSES)
        self._failed = _counter(registry, FAILED)
        self._watch_age = _gauge(registry, WATCH_AGE)
        self._lag = _histogram(registry, LAG)
        self._monitors = _counter(registry, MONITORS)
        self._freezes = _gauge(registry, FREEZES)
        self._gate_errors = _counter(registry, GATE_ERRORS)
        self._violated = _gauge(registry, VIOLATED)

    def expose(self) -> bytes:
        """The text format of `CONTENT_TYPE`."""
        return generate_latest(self._registry)

    # --- what is asked for at each scrape

    def read_from(
        self,
        *,
        leads: Callable[[], float],
        queue_depth: Callable[[], float],
        watch_age: Callable[[], float],
        freezes: Callable[[], float],
        leases: Callable[[], float],
    ) -> None:
        """Where present values come from; they are called on the event loop and must be cheap."""
        self._leader.set_function(leads)
        self._depth.set_function(queue_depth)
        self._watch_age.set_function(watch_age)
        self._freezes.set_function(freezes)
        self._leases.set_function(leases)

    # --- what happened

    def item_changed(self, change: Change[ItemRecord]) -> None:
        """Of every change in the cache, so that a scrape walks over no items."""
        self._items.changed(change)

    def stage_moved(self, moved: Moved, *, seconds_in_stage: float | None) -> None:
        start = moved.from_stage.value if moved.from_stage is not None else NEW
        self._transitions.labels(start, moved.to_stage.value, _known(moved.cause, CAUSES)).inc()
        if moved.from_stage is not None and seconds_in_stage is not None:
            self._stage_seconds.labels(start).observe(max(0.0, seconds_in_stage))

    def effect_applied(self, effect: str, result: str, *, seconds: float) -> None:
        name = _known(effect, Effect)
        self._effects.labels(name, _known(result, RESULTS)).inc()
        self._effect_seconds.labels(name).observe(seconds)

    def run_finished(self, role: str, verdict: str, *, seconds: float) -> None:
        self._run_seconds.labels(_known(role, Role), _known(verdict, Verdict)).observe(max(0.0, seconds))

    def monitor_ended(self, verdict: str) -> None:
        self._monitors.labels(_known(verdict, VERDICTS)).inc()

    def conflict(self) -> None:
        self._conflicts.inc()

    def lease_taken_over(self, reason: str) -> None:
        self._taken_over.labels(_known(reason, TAKEOVERS)).inc()

    def fact_learned(self, source: str, via: str) -> None:
        self._facts.labels(_known(source, SOURCES), _known(via, VIAS)).inc()

    def gate_error(self) -> None:
        self._gate_errors.inc()

    def invariant_violated(self, what: str) -> None:
        self._violated.labels(_known(what, VIOLATIONS)).inc()

    def pass_finished(self, outcome: str, *, seconds: float) -> None:
        """`outcome`: the name of what the pass returned; one that raised is a Retry."""
        self._passes.labels(_known(outcome, OUTCOMES)).observe(seconds)

    def pass_failed(self, error: str) -> None:
        """`error`: the exception's type. There are as many as the code has classes."""
        self._failed.labels(error).inc()

    def loop_lag(self, seconds: float) -> None:
        self._lag.observe(seconds)


class _Items(Collector):
    """Items by repository and stage and runs by role and state, counted as they change."""

    def __init__(self) -> None:
        self._stages: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._runs: dict[tuple[str, str], int] = defaultdict(int)

    def changed(self, change: Change[ItemRecord]) -> None:
        for record, step in ((change.old, -1), (change.new, 1)):
            if record is not None:
                self._count(record, step)

    def _count(self, record: ItemRecord, step: int) -> None:
        stages = self._stages[record.repository]
        stages[UNREADABLE if record.invalid else (record.stage or Stage.CREATED).value] += step
        if not any(stages.values()):
            del self._stages[record.repository]
        if record.role:
            self._runs[_known(record.role, Role), "running"] += step
        elif record.waiting == WaitingReason.RUN_SLOT and record.stage in ROLE_OF_STAGE:
            self._runs[ROLE_OF_STAGE[record.stage].value, "waiting"] += step

    def collect(self) -> Iterator[GaugeMetricFamily]:
        items = GaugeMetricFamily(
            "conveyor_workitems", "Items in the store, by repository and stage.", labels=["repository", "stage"]
        )
        for repository, stages in sorted(self._stages.items()):
            for stage in (*(stage.value for stage in Stage), UNREADABLE):
                items.add_metric([repository, stage], stages.get(stage, 0))
        yield items
        runs = GaugeMetricFamily(
            "conveyor_runs", "Runs at work, and items that wait for a run slot.", labels=["role", "state"]
        )
        for role, state in product((*(role.value for role in Role), OTHER), ("running", "waiting")):
            runs.add_metric([role, state], self._runs.get((role, state), 0))
        yield runs


def _known(value: str, values: Iterable[str]) -> str:
    """The value if it is one of those: a label must not have more values than we know of."""
    return str(value) if value in set(values) else OTHER


def _counter(registry: CollectorRegistry, spec: _Spec) -> Counter:
    made = Counter(spec.name, spec.help, spec.labels, registry=registry)
    for values in spec.zeros:
        made.labels(*values)
    return made


def _gauge(registry: CollectorRegistry, spec: _Spec) -> Gauge:
    made = Gauge(spec.name, spec.help, spec.labels, registry=registry)
    for values in spec.zeros:
        made.labels(*values)
    return made


def _histogram(registry: CollectorRegistry, spec: _Spec) -> Histogram:
    made = Histogram(spec.name, spec.help, spec.labels, registry=registry, buckets=spec.buckets)
    for values in spec.zeros:
        made.labels(*values)
    return made
