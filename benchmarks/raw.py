"""The API server's own rate: a client that does nothing but send conditional status patches that were recorded."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from benchmarks import machine
from conveyor.api.annotations import GROUP, VERSION
from conveyor.cluster.client import STRICT
from conveyor.cluster.protocol import JSONObject
from tests.cluster import kubeconfig as kubeconfigs
from tests.cluster.api import MERGE

IN_FLIGHT = 8

Patches = Sequence[tuple[str, JSONObject]]
"""Statuses by the name of the item they are for, in their order."""


@dataclass(frozen=True)
class RawRate:
    writes: int
    seconds: float
    client_cpu: float
    servers_cpu: dict[str, float]
    busy: float
    """Processor time of the whole machine."""
    patch_bytes: float
    object_bytes: float
    """Mean size of a request's and of an answer's body."""


async def replay(kubeconfig: Path, namespace: str, patches: Patches, *, servers: dict[str, int]) -> RawRate:
    """Send each item's patches one after the other, eight items at a time, on objects as they were when recorded."""
    left: dict[str, deque[JSONObject]] = {}
    for name, status in patches:
        left.setdefault(name, deque()).append(status)
    connection = kubeconfigs.read(kubeconfig)
    connector = aiohttp.TCPConnector(ssl=connection.tls, limit=IN_FLIGHT)
    headers = {"Authorization": f"Bearer {connection.token}"}
    async with aiohttp.ClientSession(connection.server, connector=connector, headers=headers) as session:
        sender = _Sender(session, f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/workitems", left)
        await sender.read_versions()
        cpu = {name: machine.cpu_seconds(pid) for name, pid in servers.items()}
        began, client, busy = time.monotonic(), time.process_time(), machine.busy_seconds()
        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(sender.work())
        seconds, client = time.monotonic() - began, time.process_time() - client
        busy = machine.busy_seconds() - busy
    return RawRate(
        writes=len(patches),
        seconds=seconds,
        client_cpu=client,
        servers_cpu={name: machine.cpu_seconds(pid) - cpu[name] for name, pid in servers.items()},
        busy=busy,
        patch_bytes=sender.sent / len(patches),
        object_bytes=sender.received / len(patches),
    )


class _Sender:
    def __init__(self, session: aiohttp.ClientSession, path: str, left: dict[str, deque[JSONObject]]) -> None:
        self._session, self._path, self._left = session, path, left
        self._turn = deque(left)
        self._versions: dict[str, str] = {}
        self.sent = self.received = 0

    async def read_versions(self) -> None:
        async with self._session.get(self._path) as answer:
            answer.raise_for_status()
            for item in (await answer.json())["items"]:
                self._versions[item["metadata"]["name"]] = item["metadata"]["resourceVersion"]

    async def work(self) -> None:
        """Items take turns, as in the operator's queue."""
        while self._turn:
            name = self._turn.popleft()
            await self._send(name, self._left[name].popleft())
            if self._left[name]:
                self._turn.append(name)

    async def _send(self, name: str, status: JSONObject) -> None:
        body = json.dumps({"metadata": {"resourceVersion": self._versions[name]}, "status": status})
        path, headers = f"{self._path}/{name}/status", {"Content-Type": MERGE}
        async with self._session.patch(path, params=STRICT, data=body, headers=headers) as answer:
            content = await answer.read()
            if answer.status != 200:
                raise RuntimeError(f"PATCH {path}: {answer.status} {content[:500].decode(errors='replace')}")
        self._versions[name] = json.loads(content)["metadata"]["resourceVersion"]
        self.sent += len(body)
        self.received += len(content)
