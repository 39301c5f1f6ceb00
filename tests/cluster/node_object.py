"""The Node object behind a process node: without it the garbage collector of pods takes them away after a minute."""

import asyncio
from datetime import UTC, datetime

import aiohttp

from tests.cluster.api import STRATEGIC, ApiError
from tests.cluster.pod_api import PodApi
from tests.cluster.pod_inputs import ADDRESS, Object
from tests.cluster.pod_status import timestamp

HEARTBEAT_SECONDS = 10  # the node controller waits for 50 before it calls a node unreachable and evicts its pods


class NodeObject:
    def __init__(self, api: PodApi, name: str) -> None:
        self._api, self._name, self._path = api, name, f"/api/v1/nodes/{name}"

    async def register(self) -> None:
        labels = {"kubernetes.io/hostname": self._name, "kubernetes.io/os": "linux"}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self._name, "labels": labels}}
        try:
            await self._api.call("POST", "/api/v1/nodes", node)
        except ApiError as error:
            if error.code != 409:
                raise
        await self._beat()

    async def keep_alive(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            await self._beat()

    async def unregister(self) -> None:
        """Tried for a moment only: the server may be gone already."""
        try:
            async with asyncio.timeout(2):
                await self._api.call("DELETE", self._path)
        except (TimeoutError, ApiError, aiohttp.ClientError):
            return

    async def _beat(self) -> None:
        await self._api.call("PATCH", f"{self._path}/status", {"status": _status()}, content_type=STRATEGIC)


def _status() -> Object:
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "the process node is running"}
    resources = {"cpu": "64", "memory": "64Gi", "pods": "1000"}
    return {
        "conditions": [ready | {"lastHeartbeatTime": timestamp(datetime.now(UTC))}],
        "addresses": [{"type": "InternalIP", "address": ADDRESS}],
        "capacity": resources,
        "allocatable": resources,
    }
