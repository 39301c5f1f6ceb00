"""Who this process is, and the engine's world made from settings."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime

from conveyor.app.settings import Settings, engine_settings
from conveyor.cluster.leases import LeaseRecord
from conveyor.cluster.protocol import Cluster, Key
from conveyor.engine.cache import Cache
from conveyor.engine.connections import Connections
from conveyor.engine.identity import Holder, Liveness, liveness, this_process
from conveyor.engine.leases import Leases, Terms
from conveyor.engine.telemetry import Telemetry
from conveyor.engine.world import EngineSettings, World


def identity(settings: Settings) -> Holder:
    """Ours, unique per process: a container that restarts in its pod is another owner."""
    pod = Key(settings.own_namespace(), settings.pod_name) if settings.pod_name else None
    return this_process(nonce=secrets.token_hex(8), pod=pod, pod_uid=settings.pod_uid)


def make_world(settings: Settings, cluster: Cluster, *, me: Holder, telemetry: Telemetry) -> World:
    engine = engine_settings(settings, holder=str(me))
    return World(
        cluster=cluster,
        connections=Connections(
            cluster,
            allowed=settings.allowed_hosts_value(),
            clock=time.monotonic,
            requests_per_minute=settings.tracker_requests_per_minute,
            states_ttl=settings.tracker_states_ttl_seconds,
        ),
        cache=Cache(dependencies_from=engine.dependencies_from),
        leases=_leases(engine, cluster, me=me, telemetry=telemetry),
        settings=engine,
        telemetry=telemetry,
        now=_now,
        nonce=lambda: secrets.token_hex(16),
    )


def _leases(engine: EngineSettings, cluster: Cluster, *, me: Holder, telemetry: Telemetry) -> Leases:
    async def judge(lease: LeaseRecord) -> Liveness:
        return await liveness(cluster, lease.spec.holder, me=me, acquired=lease.spec.acquire_time)

    terms = Terms(seconds=engine.transition_lease_seconds, ceiling=engine.reaper_max_running_seconds)
    return Leases(cluster, engine.holder, judge=judge, telemetry=telemetry, clock=time.monotonic, now=_now, terms=terms)


def _now() -> datetime:
    return datetime.now(UTC)
