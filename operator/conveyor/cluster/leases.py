"""A coordination.k8s.io/v1 Lease, to our values and back. The API server enforces no locking: the version does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

API_VERSION = "coordination.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class LeaseSpec:
    """Whose it is and since when; the empty holder is nobody. Times are the holder's own clock: never compare them."""

    holder: str
    duration_seconds: int
    """At least 1."""
    acquire_time: datetime | None
    renew_time: datetime | None
    transitions: int
    """How often it went to another holder."""


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """A stored Lease. One that was deleted and made anew has another uid."""

    uid: str
    resource_version: str
    spec: LeaseSpec
    labels: Mapping[str, str] = field(default_factory=dict)


def lease_record(lease: Mapping[str, Any]) -> LeaseRecord:
    """Whoever may write Leases may leave fields out: those read as nobody, 0 and no time."""
    metadata, spec = lease["metadata"], lease.get("spec") or {}
    return LeaseRecord(
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        spec=LeaseSpec(
            holder=spec.get("holderIdentity") or "",
            duration_seconds=spec.get("leaseDurationSeconds") or 0,
            acquire_time=_time(spec.get("acquireTime")),
            renew_time=_time(spec.get("renewTime")),
            transitions=spec.get("leaseTransitions") or 0,
        ),
        labels=metadata.get("labels") or {},
    )


def spec_of(lease: LeaseSpec) -> dict[str, Any]:
    return {
        "holderIdentity": lease.holder,
        "leaseDurationSeconds": lease.duration_seconds,
        "acquireTime": _micro_time(lease.acquire_time),
        "renewTime": _micro_time(lease.renew_time),
        "leaseTransitions": lease.transitions,
    }


def _micro_time(time: datetime | None) -> str | None:
    """A MicroTime has exactly six digits of a second and a zone (measured: else 400)."""
    return None if time is None else time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _time(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None
