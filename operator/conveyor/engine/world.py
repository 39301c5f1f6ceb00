"""What every part of the engine is given: the outside, the cache, settings and a clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from conveyor.api.repository import Agent
from conveyor.api.stages import Role
from conveyor.cluster.protocol import Cluster
from conveyor.engine.cache import Cache
from conveyor.engine.connections import Connections
from conveyor.engine.leases import Leases
from conveyor.engine.records import ALL_SOURCES
from conveyor.engine.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """The settings that the engine reads; seconds where a number has no unit in its name."""

    holder: str
    """Who we are: pod uid, container, process nonce."""
    tools_image: str
    max_concurrent_runs: int = 20
    reconcile_interval_seconds: float = 30.0
    serial_gate: bool = True
    serial_gate_repositories: frozenset[str] = frozenset()
    """Where the serial gate applies; empty: everywhere."""
    freeze: bool = True
    premerge_rebase: bool = True
    """Whether a branch behind its base is rebased before the merge; False overrides every Repository."""
    dependencies: bool = True
    dependencies_source: str = "both"
    transition_lease: bool = True
    """Whether new intents take a Lease."""
    transition_lease_repositories: frozenset[str] = frozenset()
    """Where they do; empty: everywhere."""
    transition_lease_seconds: float = 60.0
    reaper_max_running_seconds: float = 7200.0
    retention_days: int = 30
    """How long an ended item is kept; 0: for ever."""
    events: bool = True
    ingress_secret: str = "conveyor-ingress-secrets"  # noqa: S105 - a name
    default_agents: Mapping[Role, Agent] = field(default_factory=dict)

    @property
    def dependencies_from(self) -> frozenset[str]:
        """Whose dependencies count, as `status.dependencies` names them; nobody's where an item waits for no other."""
        if not self.dependencies:
            return frozenset()
        one = {"spec": frozenset({"Spec"}), "tracker": frozenset({"Tracker"})}
        return one.get(self.dependencies_source, ALL_SOURCES)


@dataclass(frozen=True, slots=True)
class World:
    cluster: Cluster
    connections: Connections
    cache: Cache
    leases: Leases
    settings: EngineSettings
    telemetry: Telemetry
    now: Callable[[], datetime]
    nonce: Callable[[], str]
    """Fresh random hexadecimal digits."""
