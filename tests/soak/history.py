"""The audit, fed from etcd itself: it misses no state of any object, whatever happens to the API server.

An API server that has just started knows nothing of what was before, and ends a watch from there with 410.
The API server has to store everything as JSON (`JSON`).
"""

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import aiohttp

from tests.faults.audit import Audit

Object = dict[str, Any]
JSON = "--storage-media-type=application/json"
"""An argument of kube-apiserver: its own kinds are Protobuf otherwise."""
PREFIXES = {
    "workitems": "/registry/conveyor.dev/workitems/{}/",
    "repositories": "/registry/conveyor.dev/repositories/{}/",
    "jobs": "/registry/jobs/{}/",
    "leases": "/registry/leases/{}/",
}
AGAIN_SECONDS = 0.2


class History(Audit):
    """`async with`. Every status there ever was of an item or a Repository becomes a line of JSON in `record`."""

    def __init__(self, kubeconfig: Path, namespace: str, *, etcd: str, record: Path) -> None:
        super().__init__(kubeconfig, namespace)
        self._etcd, self._record = etcd, record

    async def _version(self, path: str) -> str:
        """From the beginning: the namespace is new."""
        return "1"

    async def _watch(self, resource: str, path: str, version: str) -> None:
        prefix, revision = PREFIXES[resource].format(self._namespace), int(version)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        async with aiohttp.ClientSession(self._etcd, timeout=timeout, read_bufsize=2**22) as session:
            while True:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async for event in _events(session, prefix, revision):
                        revision = int(event["kv"]["mod_revision"]) + 1
                        self._stored(resource, event)
                await asyncio.sleep(AGAIN_SECONDS)

    def _stored(self, resource: str, event: Object) -> None:
        deleted = event.get("type") == "DELETE"
        found = json.loads(base64.b64decode((event["prev_kv"] if deleted else event["kv"])["value"]))
        self._changed(resource, found, deleted=deleted)
        if resource in ("workitems", "repositories"):
            entry = {"time": time.time(), "name": found["metadata"]["name"], "deleted": deleted}
            with self._record.open("a") as file:
                file.write(json.dumps(entry | {"status": found.get("status")}) + "\n")


async def _events(session: aiohttp.ClientSession, prefix: str, revision: int) -> AsyncGenerator[Object]:
    """Of all keys with this prefix, through etcd's gateway from gRPC to JSON (etcd, api/etcdserverpb/rpc.proto)."""
    end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    asked = {"key": _base64(prefix), "range_end": _base64(end), "start_revision": str(revision), "prev_kv": True}
    async with session.post("/v3/watch", json={"create_request": asked}) as answer:
        answer.raise_for_status()
        pending = b""
        async for chunk in answer.content.iter_any():
            *lines, pending = (pending + chunk).split(b"\n")
            for line in filter(None, lines):
                result = json.loads(line)["result"]
                if result.get("canceled"):
                    raise RuntimeError(f"etcd ended the watch of {prefix}: {result.get('cancel_reason')}")
                for event in result.get("events", []):
                    yield event


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
