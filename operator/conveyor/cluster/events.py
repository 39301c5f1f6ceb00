"""Events of events.k8s.io/v1: stored once under their name, counted up when they are said again."""

from __future__ import annotations

from conveyor.cluster.connection import MANAGER, MERGE_PATCH, Connection, Reply
from conveyor.cluster.paths import path
from conveyor.cluster.protocol import JSONObject
from conveyor.cluster.replies import failure, is_ok, reason


async def record(connection: Connection, event: JSONObject) -> None:
    """`eventTime` needs six digits of a second. One that expired between our requests is stored anew."""
    metadata = event["metadata"]
    target = f"/apis/events.k8s.io/v1{path('namespaces', metadata['namespace'], 'events')}"
    wanted = f"store Event {event.get('reason', '')} of {metadata['namespace']}/{metadata['name']}"
    reply = await connection.request("POST", target, params=MANAGER, body=event)
    if reason(reply.body) == "AlreadyExists":
        reply = await _count_up(connection, target + path(metadata["name"]), event)
        if reply.status == 404:
            reply = await connection.request("POST", target, params=MANAGER, body=event)
    if not is_ok(reply) and reply.status != 409:  # somebody else said or counted the same in this moment
        raise failure(reply, wanted)


async def _count_up(connection: Connection, target: str, event: JSONObject) -> Reply:
    stored = await connection.request("GET", target)
    if not is_ok(stored):
        return stored
    count = (stored.body.get("series") or {}).get("count", 1)
    patch = {
        "metadata": {"resourceVersion": stored.body["metadata"]["resourceVersion"]},
        "series": {"count": count + 1, "lastObservedTime": event["eventTime"]},
    }
    return await connection.request("PATCH", target, params=MANAGER, body=patch, content_type=MERGE_PATCH)
