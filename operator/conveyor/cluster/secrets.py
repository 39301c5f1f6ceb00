"""Secrets: read, and brought to given values. Nothing of their content gets into an error."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from conveyor.cluster.connection import MANAGER, MERGE_PATCH, Connection, Reply
from conveyor.cluster.merge_patch import merge_patch
from conveyor.cluster.paths import path
from conveyor.cluster.protocol import JSONObject, Key
from conveyor.cluster.replies import failure, is_ok
from conveyor.web.errors import NotFound, Refused

LABELS = {"app.kubernetes.io/managed-by": "conveyor"}


async def read(connection: Connection, key: Key) -> Mapping[str, str]:
    """Values that are no UTF-8 text are left out. Raises NotFound where there is no such Secret."""
    return _decoded(await _get(connection, key))


async def apply(connection: Connection, key: Key, values: Mapping[str, str]) -> None:
    """Make it hold exactly these values; one that does already is not written.

    Raises Conflict where somebody else wrote meanwhile and Refused where it is of another type than Opaque.
    """
    data = {name: base64.b64encode(text.encode()).decode() for name, text in values.items()}
    try:
        stored = await _get(connection, key)
    except NotFound:
        metadata: JSONObject = {"namespace": key.namespace, "name": key.name, "labels": LABELS}
        secret = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata, "data": data}
        reply = await connection.request("POST", _secrets(key.namespace), params=MANAGER, body=secret)
        return _check(reply, f"create Secret {key}")
    if stored.get("type") != "Opaque":
        raise Refused(f"Secret {key} is of type {stored.get('type')}, not Opaque: give it another name")
    labels = stored["metadata"].get("labels") or {}
    patch = merge_patch(
        {"data": stored.get("data") or {}, "metadata": {"labels": labels}},
        {"data": data, "metadata": {"labels": labels | LABELS}},
    )
    if patch is None:
        return None
    patch["metadata"] = patch.get("metadata", {}) | {"resourceVersion": stored["metadata"]["resourceVersion"]}
    target = _secrets(key.namespace) + path(key.name)
    reply = await connection.request("PATCH", target, params=MANAGER, body=patch, content_type=MERGE_PATCH)
    return _check(reply, f"change Secret {key}")


async def _get(connection: Connection, key: Key) -> JSONObject:
    reply = await connection.request("GET", _secrets(key.namespace) + path(key.name))
    if not is_ok(reply):
        raise failure(reply, f"read Secret {key}", reading=True, secret=True)
    return reply.body


def _check(reply: Reply, wanted: str) -> None:
    if not is_ok(reply):
        raise failure(reply, wanted, secret=True)


def _secrets(namespace: str) -> str:
    return f"/api/v1{path('namespaces', namespace, 'secrets')}"


def _decoded(secret: JSONObject) -> dict[str, str]:
    found = {}
    for name, value in (secret.get("data") or {}).items():
        try:
            found[name] = base64.b64decode(value).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
    return found
