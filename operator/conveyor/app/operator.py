"""The operator as one process: parts made, tasks started, all ended together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Any, TypeVar

from conveyor.app.health import Health
from conveyor.app.heartbeat import Heartbeat
from conveyor.app.http import serve
from conveyor.app.leader import Elector, LeadershipLostError
from conveyor.app.metrics import Metrics
from conveyor.app.settings import Settings
from conveyor.app.watching import Watching
from conveyor.app.world import identity, make_world
from conveyor.cluster.client import KubernetesCluster
from conveyor.cluster.connection import Connection
from conveyor.cluster.protocol import Key, Kind
from conveyor.engine.cache import Change
from conveyor.engine.events import EventRecorder
from conveyor.engine.hub import Hub, Work
from conveyor.engine.indicate import Indicator
from conveyor.engine.items import ItemReconciler
from conveyor.engine.lag import watch_lag
from conveyor.engine.mirror import SecretMirror
from conveyor.engine.outcomes import Again, Outcome
from conveyor.engine.poll import TrackerPoll
from conveyor.engine.probing import Prober
from conveyor.engine.queue_view import QueueView, frozen_repositories
from conveyor.engine.reaper import Reaper
from conveyor.engine.records import ItemRecord
from conveyor.engine.renewing import keep_leases
from conveyor.engine.repositories import RepositoryReconciler
from conveyor.engine.resync import Resync
from conveyor.engine.slots import Slots
from conveyor.engine.workers import place, run_workers
from conveyor.engine.workqueue import WorkQueue
from conveyor.probes.client import HttpProbes

logger = logging.getLogger(__name__)

LEADER_LEASE = "conveyor-operator"
HEARTBEAT_LEASE = "conveyor-operator-heartbeat"
"""All replicas touch this one, each often enough: a touch is unconditional, and any of them proves the watch alive."""
WORKERS = 8
"""More writes in flight bring no throughput, only latency (measured)."""
INDICATORS = 2
PROBERS = 16
"""Watches that may wait for an answer at once: each waits, and costs nothing else."""
WIND_UP_SECONDS = 1.5
"""For passes under way at the end. One that is cut off leaves what a crash leaves: the next leader reads, and knows."""
RELEASE_SECONDS = 2.0
SLACK_SECONDS = 1.0
"""What is asked again after tens of seconds may wait so long for others that are due then, too."""
TICKETS_PER_SECOND = 500
"""How many tickets are looked at after a start, for what they do not show yet: items that move go first."""
LAPSE_SECONDS = 10.0
"""How long a key rests whose turn comes while we do not lead. Leading again wakes most of them at once."""

K = TypeVar("K", bound=Hashable)


class Operator:
    """Made once per process; `run` returns when `stop` is set and everything has wound up."""

    def __init__(self, settings: Settings, connection: Connection) -> None:
        self._settings, self._connection = settings, connection
        self._cluster = KubernetesCluster(connection, namespaces=settings.namespaces)
        self._health, self._metrics = Health(), Metrics()
        self._synced = asyncio.Event()
        self._lost: LeadershipLostError | None = None
        self._begun = asyncio.Event()
        self._to_look_at: list[Work] = []
        self._queue: WorkQueue[Work] = WorkQueue(slack=SLACK_SECONDS)
        self._tickets: WorkQueue[Key] = WorkQueue()
        self._watches: WorkQueue[Key] = WorkQueue()
        me = identity(settings)
        self._world = make_world(settings, self._cluster, me=me, telemetry=self._metrics)
        cache, engine = self._world.cache, self._world.settings
        slots = Slots(cache, limit=engine.max_concurrent_runs)
        self._hub = Hub(cache, self._queue.add, slots=slots, telemetry=self._metrics)
        self._hub.also_tell(self._ticket_may_lag)
        self._hub.also_tell(self._metrics.item_changed)
        self._hub.stand_by()
        self._elector = Elector(
            self._cluster,
            Key(settings.own_namespace(), LEADER_LEASE),
            me,
            on_lead=self._begin,
            on_lapse=self._hub.stand_by,
        )
        self._metrics.read_from(
            leads=self._elector.leads,
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
        self._poll = TrackerPoll(self._world, self._hub, failed=self._part_failed)
        self._indicator = Indicator(self._world, self._hub)
        self._queue_view = QueueView(cache, engine)
        lease = Key(settings.own_namespace(), HEARTBEAT_LEASE)
        self._heartbeat = Heartbeat(self._cluster, lease, self._health, failed=self._part_failed)

    def _ticket_may_lag(self, change: Change[ItemRecord]) -> None:
        record = change.new if change.new is not None else change.old
        if record is not None and record.issue_id and self._elector.leads():
            self._tickets.add(record.key)

    def _begin(self) -> None:
        """We lead: everything is looked at, as after a start."""
        self._to_look_at = self._hub.begin()
        self._begun.set()

    async def _look_at_everything(self) -> None:
        while True:
            await self._begun.wait()
            self._begun.clear()
            for number, (kind, key) in enumerate(self._to_look_at):
                self._queue.add((kind, key))
                record = self._world.cache.items.get(key) if kind is Kind.WORKITEM else None
                if record is not None and record.issue_id:
                    self._tickets.add_after(key, number / TICKETS_PER_SECOND)
                if number % 200 == 199:
                    await asyncio.sleep(0)  # thousands of objects must not hold the loop

    async def run(self, stop: asyncio.Event) -> None:
        """Start everything; a part that ends by itself is a failure, and ends the process.

        Raises LeadershipLostError, after an end in order, where another leads in our place.
        """
        async with (
            self._connection,
            serve(self._settings.http_address, health=self._health, metrics=self._metrics, queue=self._queue_page),
            asyncio.TaskGroup() as group,
        ):
            tasks = {name: group.create_task(part, name=name) for name, part in self._parts(stop).items()}
            await stop.wait()
            logger.info("stopping")
            await self._wind_up(tasks)
        if self._lost is not None:
            raise self._lost

    async def _wind_up(self, tasks: dict[str, asyncio.Task[None]]) -> None:
        """What is under way may end, within limits; then others are let in at once."""
        self._queue.shutdown()
        self._tickets.shutdown()
        self._watches.shutdown()
        await asyncio.wait([tasks["workers"], tasks["indicators"]], timeout=WIND_UP_SECONDS)
        for task in tasks.values():
            task.cancel()
        await asyncio.wait(tasks.values())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._world.leases.release_all()
        await self._elector.release()

    async def _lead_until_lost(self, stop: asyncio.Event) -> None:
        """A candidate is one who knows what there is: a replica that still lists would hold everything up."""
        await self._synced.wait()
        try:
            await self._elector.run()
        except LeadershipLostError as lost:
            logger.error("leadership lost", extra={"error": str(lost)})  # noqa: TRY400 the message says it all
            self._lost = lost
            stop.set()

    def _parts(self, stop: asyncio.Event) -> dict[str, Coroutine[Any, Any, None]]:
        resync = Resync(self._cluster, self._world.cache, self._hub, listed=self._listed, failed=self._part_failed)
        lease = Key(self._settings.own_namespace(), HEARTBEAT_LEASE)
        watching = Watching(
            self._hub,
            self._connection,
            namespaces=self._settings.namespaces,
            heartbeat=(lease, self._heartbeat.seen),
            resync=resync,
            failed=self._part_failed,
        )
        parts = {name: watch.run() for name, watch in watching.parts.items()} | {
            "elector": self._lead_until_lost(stop),
            "beginning": self._look_at_everything(),
            "workers": self._work(self._queue, self._reconcile, count=WORKERS),
            "indicators": self._work(self._tickets, self._indicator.reconcile, count=INDICATORS),
            "probers": self._work(self._watches, self._prober.reconcile, count=PROBERS, timed=False),
            "resync": _after(watching.begun, resync.run()),
            "heartbeat": _after(self._synced.wait, self._heartbeat.run()),
            "lag": watch_lag(self._lagged),
            "leases": _after(
                self._elector.until_leading, keep_leases(self._world, self._events, failed=self._part_failed)
            ),
        }
        reaper = Reaper(self._world, self._hub, failed=self._part_failed)
        parts["reaper"] = _after(self._elector.until_leading, reaper.run(sleep=self._rest))
        if self._settings.reconcile_tracker_enabled:
            parts["poll"] = _after(self._elector.until_leading, self._poll.run(sleep=self._rest))
        return parts

    async def _rest(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._elector.until_leading()

    async def _work(
        self, queue: WorkQueue[K], reconcile: Callable[[K], Awaitable[Outcome]], *, count: int, timed: bool = True
    ) -> None:
        """There is none before we lead, and so know everything: an item whose Repository is merely unseen is no orphan.

        `timed`: whether a pass counts as one, or mostly waits for somebody's product.
        """

        async def while_leading(key: K) -> Outcome:
            return await reconcile(key) if self._elector.leads() else Again(LAPSE_SECONDS)

        told = self._finished if timed else lambda *_: None
        await run_workers(queue, while_leading, on_error=self._failed, on_outcome=told, count=count)

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

    def _part_failed(self, error: BaseException) -> None:
        """A part that goes on for ever has met what must not happen, and goes on."""
        name = type(error).__name__
        logger.error("a part of the operator failed", extra={"error_type": name, "where": place(error)})
        self._metrics.pass_failed(name)

    def _failed(self, _: object, error: BaseException) -> None:
        self._metrics.pass_failed(type(error).__name__)

    def _finished(self, _: object, outcome: Outcome, seconds: float) -> None:
        self._metrics.pass_finished(type(outcome).__name__, seconds=seconds)

    def _queue_page(self, repository: str | None) -> bytes:
        return self._queue_view.answer(
            repository=repository,
            sweep=self._poll.found if self._settings.reconcile_tracker_enabled else None,
            leases=self._world.leases.all_held(),
        )


async def _after(ready: Callable[[], Awaitable[object]], part: Coroutine[Any, Any, None]) -> None:
    """A part that never began is cleared away as well."""
    try:
        await ready()
        await part
    finally:
        part.close()
