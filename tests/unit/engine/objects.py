"""Objects as the API server gives them, each with the next version."""

from itertools import count
from typing import Any

from conveyor.cluster.protocol import JSONObject

_VERSIONS = count(100)


def obj(name: str, *, namespace: str = "team", uid: str = "", version: int = 0, **parts: Any) -> JSONObject:
    metadata = parts.pop("metadata", {})
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": uid or f"uid-{name}",
            "resourceVersion": str(version or next(_VERSIONS)),
            "creationTimestamp": "2026-01-01T00:00:00Z",
            **metadata,
        },
        **parts,
    }


def item(name: str, stage: str | None = "created", *, repository: str = "shop", **rest: Any) -> JSONObject:
    """`spec`, `metadata`, `uid` and `version` as such, the rest is status."""
    spec = {"repositoryRef": {"name": repository}, "title": name} | rest.pop("spec", {})
    named = {key: rest.pop(key) for key in ("uid", "version", "metadata", "namespace") if key in rest}
    status = ({"stage": stage} if stage is not None else {}) | rest
    return obj(name, spec=spec, status=status, **named)


def run(role: str = "developer", *, name: str = "") -> JSONObject:
    return {"activeRun": {"name": name or f"run-{role}", "role": role}}


def repository(name: str = "shop", **rest: Any) -> JSONObject:
    forge = {"url": "https://git.test", "owner": "acme", "name": name}
    spec = {"forge": forge} | rest.pop("spec", {})
    return obj(name, spec=spec, status=rest.pop("status", {}), **rest)


def job(
    name: str,
    of: str,
    *,
    ended: bool = False,
    deleted: bool = False,
    ttl: bool = False,
    finalizer: bool = False,
    effect: str = "",
    **rest: Any,
) -> JSONObject:
    labels = {"conveyor.dev/workitem": of, "conveyor.dev/workitem-uid": f"uid-{of}"}
    labels |= {"conveyor.dev/effect": effect} if effect else {}
    finalizers = ["conveyor.dev/result"] if finalizer else []
    conditions = [{"type": "Complete", "status": "True"}] if ended else []
    said = rest.pop("status", {})
    spec = {"ttlSecondsAfterFinished": 60} if ttl else {}
    spec |= rest.pop("spec", {})
    metadata = {"labels": labels, "finalizers": finalizers}
    metadata |= {"deletionTimestamp": "2026-01-02T00:00:00Z"} if deleted else {}
    return obj(name, metadata=metadata, spec=spec, status={"conditions": conditions} | said, **rest)
