"""What a Pod tells of whether the processes in it live: pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class ContainerFact:
    """As the kubelet wrote it; the times are its node's clock, in whole seconds."""

    name: str
    restart_count: int
    started: datetime | None
    """Since when it runs; None: it does not run now, as far as the kubelet knows."""
    ended: datetime | None
    """When it last ended, whether or not it runs again; None: never, or the node lost it and cannot tell."""


@dataclass(frozen=True, slots=True)
class PodFact:
    uid: str
    phase: str
    """Pending, Running, Succeeded, Failed or Unknown. The control plane can set it while the processes run on."""
    deleting: bool
    containers: tuple[ContainerFact, ...] = ()


def pod_fact(pod: Mapping[str, Any]) -> PodFact:
    metadata, status = pod["metadata"], pod.get("status") or {}
    return PodFact(
        uid=metadata["uid"],
        phase=status.get("phase") or "Unknown",
        deleting=bool(metadata.get("deletionTimestamp")),
        containers=tuple(_container(entry) for entry in status.get("containerStatuses") or ()),
    )


def _container(entry: Mapping[str, Any]) -> ContainerFact:
    state = entry.get("state") or {}
    terminated = state.get("terminated") or (entry.get("lastState") or {}).get("terminated") or {}
    lost = terminated.get("reason") == "ContainerStatusUnknown"  # the node does not know: nothing is proved
    return ContainerFact(
        name=entry["name"],
        restart_count=entry.get("restartCount") or 0,
        started=_time((state.get("running") or {}).get("startedAt")),
        ended=None if lost else _time(terminated.get("finishedAt")),
    )


def _time(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None
