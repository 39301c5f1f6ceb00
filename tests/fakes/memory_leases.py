"""Leases as the API server keeps them: what it stores of one, and what it refuses (measured on Kubernetes 1.34)."""

from collections.abc import Mapping
from typing import Any

from conveyor.cluster.leases import API_VERSION, LeaseSpec, spec_of
from conveyor.cluster.protocol import JSONObject, Key


def new_lease(key: Key, lease: LeaseSpec, labels: Mapping[str, str], owner: JSONObject | None) -> JSONObject:
    metadata: JSONObject = {"namespace": key.namespace, "name": key.name, "labels": dict(labels)}
    if owner is not None:
        metadata["ownerReferences"] = [dict(owner)]
    return {"apiVersion": API_VERSION, "kind": "Lease", "metadata": metadata, "spec": stored_spec(lease)}


def stored_spec(lease: LeaseSpec) -> dict[str, Any]:
    return {name: value for name, value in spec_of(lease).items() if value is not None}


def refusal(lease: LeaseSpec) -> str:
    """Why it is refused, "" where it is not. A transition count that goes down is taken."""
    if lease.duration_seconds < 1:
        return "spec.leaseDurationSeconds: must be greater than 0"
    return "spec.leaseTransitions: must be greater than or equal to 0" if lease.transitions < 0 else ""
