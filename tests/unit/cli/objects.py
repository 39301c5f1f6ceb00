"""WorkItems and Repositories as the API server gives them; a test states only what matters to it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from conveyor.api.fields import rfc3339
from conveyor.cli.api import JSONObject

NOW = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)
NAMESPACE = "team"
HEAD = "f00dfeed" * 5
BASE = "0ddba11c" * 5


def ago(**span: float) -> str:
    return rfc3339(NOW - timedelta(**span))


def item(
    name: str = "shop-et-17",
    *,
    status: Mapping[str, Any] | None = None,
    spec: Mapping[str, Any] | None = None,
    created: str = "",
    namespace: str = NAMESPACE,
    repository: str = "shop",
) -> JSONObject:
    """From a ticket whose key is the name's end."""
    key = "-".join(name.upper().split("-")[-2:])
    source = {
        "tracker": "Plane",
        "projectID": "p",
        "issueID": f"i-{key}",
        "key": key,
        "url": f"https://plane.test/{key}",
    }
    return {
        "apiVersion": "conveyor.dev/v1alpha1",
        "kind": "WorkItem",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{name}",
            "resourceVersion": "7",
            "generation": 1,
            "creationTimestamp": created or ago(hours=5),
        },
        "spec": {"repositoryRef": {"name": repository}, "source": source, **(spec or {})},
        "status": dict(status or {}),
    }


def at(stage: str, **fields: Any) -> dict[str, Any]:
    """A status in a stage; fields as the API spells them."""
    return {"stage": stage, "stageEnteredTime": ago(minutes=30), **fields}


def waiting(reason: str, message: str = "", *, on: tuple[str, str] | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"reason": reason, "message": message or f"because of {reason}"}
    return found | ({"on": {"kind": on[0], "name": on[1]}} if on is not None else {})


def condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": ago(minutes=12),
    }


def stalled(reason: str, message: str = "") -> dict[str, Any]:
    """The fields of a status that is Stalled."""
    text = message or f"because of {reason}"
    return {"conditions": [condition("Stalled", "True", reason, text)], "waiting": waiting("Person", text)}


def active_run(role: str = "developer", stage: str = "development", **fields: Any) -> dict[str, Any]:
    return {
        "name": f"shop-et-17-{role}-4-abcd1234",
        "role": role,
        "stage": stage,
        "attempt": 2,
        "token": "run-token",
        "startedTime": ago(minutes=3),
        **fields,
    }


def last_run(role: str = "analyst", stage: str = "analysis", **fields: Any) -> dict[str, Any]:
    return {
        "name": f"shop-et-17-{role}-3-abcd1234",
        "role": role,
        "stage": stage,
        "verdict": "pass",
        "sha": HEAD,
        "summary": "wrote it down",
        "startedTime": ago(minutes=25),
        "finishedTime": ago(minutes=20),
        **fields,
    }


def repository(
    name: str = "shop",
    *,
    ready: tuple[str, str, str] | None = ("True", "Ready", ""),
    spec: Mapping[str, Any] | None = None,
    status: Mapping[str, Any] | None = None,
    annotations: Mapping[str, str] | None = None,
    namespace: str = NAMESPACE,
) -> JSONObject:
    """`ready`: status, reason and message of its condition."""
    conditions = [condition("Ready", *ready)] if ready is not None else []
    forge = {"url": "https://git.test", "owner": "acme", "name": name, "credentialsSecretRef": {"name": "forge"}}
    return {
        "apiVersion": "conveyor.dev/v1alpha1",
        "kind": "Repository",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{name}",
            "resourceVersion": "3",
            "creationTimestamp": ago(days=40),
            "annotations": dict(annotations or {}),
        },
        "spec": {"forge": forge, **(spec or {})},
        "status": {"conditions": conditions, **(status or {})},
    }
