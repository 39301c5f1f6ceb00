"""The operator as one process: parts made, tasks started, all ended together."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from datetime import UTC, datetime
from typing import Any, TypeVar

from conveyor.app import watching
from conveyor.app.health import Health
from conveyor.app.heartbeat import Heartbeat
from conveyor.app.http import serve
from conveyor.app.metrics import Metrics
from conveyor.app.settings import Settings, engine_settings
from conveyor.cluster.client import KubernetesCluster
from conveyor.cluster.connection import Connection
from conveyor.cluster.leases import LeaseRecord
from conveyor.cluster.protocol import Key, Kind
from conveyor.engine.cache import Cache, Change
from conveyor.engine.connections import Connections
from conveyor.engine.events import EventRecorder
from conveyor.engine.hub import Hub, Work
from conveyor.engine.identity import Holder, Liveness, liveness, this_process
from conveyor.engine.indicate import Indicator
from conveyor.engine.items import ItemReconciler
from conveyor.engine.lag import watch_lag
from conveyor.engine.leases import Leases, Terms
from conveyor.engine.mirror import SecretMirror
from conveyor.engine.outcomes import Outcome
from conveyor.engine.poll import TrackerPoll
from conveyor.engine.probing import Prober
from conveyor.engine.queue_view import frozen_repositories, queue_view
from conveyor.engine.records import ALL_SOURCES, ItemRecord
from conveyor.engine.renewing import keep_leases
from conveyor.engine.repositories import RepositoryReconciler
from conveyor.engine.resync import Resync
from conveyor.engine.slots import Slots
from conveyor.engine.workers import place, run_workers
from conveyor.engine.workqueue import WorkQueue
from conveyor.engine.world import World
from conveyor.probes.client import HttpProbes

logger = logging.getLogger(__name__)

HEARTBEAT_LEASE = "conveyor-operator-heartbeat"
WORKERS = 8
"""More writes in flight bring no throughput, only latency (kubernetes-measured.md 5)."""
INDICATORS = 2
PROBERS = 16
"""Watches that may wait for an answer at once: each waits, and costs nothing else."""

K = TypeVar("K", bound=Hashable)


class Operator:
    """Made once per process; `run` returns when `stop` is set and everything has wound up."""

    def __init__(self, settings: Settings, connection: Connection) -> None:
        self._settings, self._connection = settings, connection
        self._cluster = KubernetesCluster(connection, namespaces=settings.namespaces)
        self._health, self._metrics = Health(), Metrics()
        self._synced = asyncio.Event()
        self._queue: WorkQueue[Work] = WorkQueue()
        self._tickets: WorkQueue[Key] = WorkQueue()
        self._watches: WorkQueue[Key] = WorkQueue()
        cache = Cache(dependencies_from=_dependencies_from(settings))
        self._me = identity(settings)
        engine = engine_settings(settings, holder=str(self._me))
        self._world = World(
            cluster=self._cluster,
            connections=Connections(
                self._cluster,
                allowed=settings.allowed_hosts_value(),
                clock=time.monotonic,
                requests_per_minute=settings.tracker_requests_per_minute,
                states_ttl=settings.tracker_states_ttl_seconds,
            ),
            cache=cache,
            leases=Leases(
                self._cluster,
                engine.holder,
                judge=self._judge,
                telemetry=self._metrics,
                clock=time.monotonic,
                now=lambda: datetime.now(UTC),
                terms=Terms(seconds=engine.transition_lease_seconds, ceiling=engine.reaper_max_running_seconds),
            ),
            settings=engine,
            telemetry=self._metrics,
            now=lambda: datetime.now(UTC),
            nonce=lambda: secrets.token_hex(16),
        )
        slots = Slots(cache, limit=engine.max_concurrent_runs)
        self._hub = Hub(cache, self._queue.add, slots=slots, telemetry=self._metrics)
        self._hub.also_tell(self._ticket_may_lag)
        self._hub.also_tell(self._metrics.item_changed)
        self._metrics.read_from(
            queue_depth=lambda: len(self._queue),
            watch_age=self._health.watch_age,
            freezes=lambda: frozen_repositories(cache),
            leases=lambda: len(self._world.leases.all_held()),
        )
        mirror = SecretMirror(
            self._cluster,
            Key(settings.own_namespace(), engine.ingress_secret),
            exists=lambda key: cache.repositories.get(key) is not None,
        )
        self._events = events = EventRecorder(self._world)
        probes = HttpProbes(allowed=settings.allowed_hosts_value())
        self._prober = Prober(self._world, probes, ask=self._watches.add, wake=self._queue.add)
        self._items = ItemReconciler(self._world, self._hub, slots, events, prober=self._prober)
        self._repositories = RepositoryReconciler(self._world, self._hub, mirror, events)
        self._indicator = Indicator(self._world, self._hub)
        lease = Key(settings.own_namespace(), HEARTBEAT_LEASE)
        self._heartbeat = Heartbeat(self._cluster, lease, self._health, failed=self._part_failed)

    def _ticket_may_lag(self, change: Change[ItemRecord]) -> None:
        record = change.new if change.new is not None else change.old
        if record is not None and record.issue_id:
            self._tickets.add(record.key)

    async def run(self, stop: asyncio.Event, *, listen_to_signals: Callable[[], None] = lambda: None) -> None:
        """Start everything; a part that ends by itself is a failure, and ends the process.

        `listen_to_signals` is called again after somebody else took the process's signals.
        """
        async with (
            self._connection,
            serve(self._settings.http_address, health=self._health, metrics=self._metrics, queue=self._queue_view),
            asyncio.TaskGroup() as group,
        ):
            parts = self._parts()
            tasks = [group.create_task(part, name=name) for name, part in parts.items()]
            kopf_task = group.create_task(self._watch(stop, listen_to_signals), name="kopf")
            await stop.wait()
            logger.info("stopping")
            self._queue.shutdown()
            self._tickets.shutdown()
            self._watches.shutdown()
            await tasks[0]
            await self._world.leases.release_all()
            await kopf_task
            for task in tasks:
                task.cancel()

    async def _watch(self, stop: asyncio.Event, listen_to_signals: Callable[[], None]) -> None:
        """Not before everything was listed once: kopf never looks again for kinds that were not served at its start."""
        await _first(self._synced, stop)
        if stop.is_set():
            return
        await watching.watch(
            watching.registry(self._hub, self._connection, heartbeat=self._heartbeat.seen),
            namespaces=self._settings.namespaces,
            lease=HEARTBEAT_LEASE,
            stop=stop,
            listen_to_signals=listen_to_signals,
        )

    def _parts(self) -> dict[str, Coroutine[Any, Any, None]]:
        resync = Resync(self._cluster, self._world.cache, self._hub, listed=self._listed, failed=self._part_failed)
        parts = {
            "workers": self._work(self._queue, self._reconcile, count=WORKERS),
            "indicators": self._work(self._tickets, self._indicator.reconcile, count=INDICATORS),
            "probers": self._work(self._watches, self._prober.reconcile, count=PROBERS, timed=False),
            "resync": resync.run(),
            "heartbeat": self._once_synced(self._heartbeat.run()),
            "lag": watch_lag(self._lagged),
            "leases": self._once_synced(keep_leases(self._world, self._events, failed=self._part_failed)),
        }
        if self._settings.reconcile_tracker_enabled:
            poll = TrackerPoll(self._world, self._hub, failed=self._part_failed)
            parts["poll"] = self._once_synced(poll.run())
        return parts

    async def _once_synced(self, part: Coroutine[Any, Any, None]) -> None:
        try:
            await self._synced.wait()
            await part
        finally:
            part.close()

    async def _work(
        self, queue: WorkQueue[K], reconcile: Callable[[K], Awaitable[Outcome]], *, count: int, timed: bool = True
    ) -> None:
        """Not before everything was listed once: an item whose Repository is merely unseen is no orphan.

        `timed`: whether a pass counts as one, or mostly waits for somebody's product.
        """
        await self._synced.wait()
        told = self._finished if timed else lambda *_: None
        await run_workers(queue, reconcile, on_error=self._failed, on_outcome=told, count=count)

    async def _reconcile(self, work: Work) -> Outcome:
        kind, key = work
        match kind:
            case Kind.WORKITEM:
                return await self._items.reconcile(key)
            case Kind.REPOSITORY:
                return await self._repositories.reconcile(key)

    def _listed(self, kind: Kind) -> None:
        """Repositories are listed first, so that after the items everything is known."""
        self._health.listed(kind)
        if kind is Kind.WORKITEM:
            self._synced.set()

    def _lagged(self, seconds: float) -> None:
        self._health.loop_lag(seconds)
        self._metrics.loop_lag(seconds)

    async def _judge(self, lease: LeaseRecord) -> Liveness:
        return await liveness(self._cluster, lease.spec.holder, me=self._me, acquired=lease.spec.acquire_time)

    def _part_failed(self, error: BaseException) -> None:
        """A part that goes on for ever has met what must not happen, and goes on."""
        name = type(error).__name__
        logger.error("a part of the operator failed", extra={"error_type": name, "where": place(error)})
        self._metrics.pass_failed(name)

    def _failed(self, _: object, error: BaseException) -> None:
        self._metrics.pass_failed(type(error).__name__)

    def _finished(self, _: object, outcome: Outcome, seconds: float) -> None:
        self._metrics.pass_finished(type(outcome).__name__, seconds=seconds)

    def _queue_view(self, repository: str | None) -> dict[str, Any]:
        return queue_view(
            self._world.cache,
            repository=repository,
            settings=self._world.settings,
            leases=self._world.leases.all_held(),
        )


async def _first(*events: asyncio.Event) -> None:
    """Until one of them is set."""
    tasks = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def _dependencies_from(settings: Settings) -> frozenset[str]:
    if not settings.dependencies_enabled:
        return frozenset()
    return {"spec": frozenset({"Spec"}), "tracker": frozenset({"Tracker"})}.get(
        settings.dependencies_source, ALL_SOURCES
    )


def identity(settings: Settings) -> Holder:
    """Ours, unique per process: a container that restarts in its pod is another owner."""
    pod = Key(settings.own_namespace(), settings.pod_name) if settings.pod_name else None
    return this_process(nonce=secrets.token_hex(8), pod=pod, pod_uid=settings.pod_uid)
