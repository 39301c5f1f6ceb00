"""Who changes things in the API server and watches what comes of it, with connections of its own."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from benchmarks import naming
from benchmarks.merged import MergedFile
from conveyor.api.annotations import GROUP, VERSION, HintClass
from conveyor.cluster.protocol import JSONObject
from conveyor_ingress.views import hint_key
from tests.cluster import kubeconfig as kubeconfigs
from tests.cluster.api import MERGE

PATIENCE_SECONDS = 40.0
"""For the last transitions: longer than the operator takes to ask for what nobody has told it."""
REQUEST_SECONDS = 30.0
WATCH_SECONDS = 600.0


@dataclass
class Change:
    """Monotonic times; of `stored` the first proof, an answer or the watch's word."""

    name: str
    sent: float
    stored: float = 0.0
    moved: float = 0.0
    """When the watch told of its new stage."""


class Changer:
    """Merges pull requests, so many in a second, and stores a hint of each as the ingress would."""

    def __init__(self, kubeconfig: Path, namespace: str, merged: MergedFile, *, per_second: float) -> None:
        self._kubeconfig, self._merged, self._interval = kubeconfig, merged, 1 / per_second
        self._path = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/workitems"
        self.changes: dict[str, Change] = {}
        """By the item's name."""
        self._left: set[str] = set()
        self._all_moved = asyncio.Event()

    async def run(self, numbers: Sequence[int]) -> list[Change]:
        """In the order in which they were made. TimeoutError where an item has not moved long after."""
        connection = kubeconfigs.read(self._kubeconfig)
        headers = {"Authorization": f"Bearer {connection.token}"}
        connector = aiohttp.TCPConnector(ssl=connection.tls)
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        self._left = {naming.item(number) for number in numbers}
        async with aiohttp.ClientSession(
            connection.server, connector=connector, headers=headers, timeout=timeout
        ) as session:
            version = await self._newest(session)
            watching = asyncio.create_task(self._watch(session, version))
            try:
                await self._change_all(session, numbers)
                moved = asyncio.create_task(self._all_moved.wait())
                await asyncio.wait({moved, watching}, timeout=PATIENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                moved.cancel()
                if self._left:
                    if watching.done():
                        watching.result()
                    raise TimeoutError(f"{len(self._left)} items have not moved, {sorted(self._left)[:3]} among them")
            finally:
                watching.cancel()
        return list(self.changes.values())

    async def _newest(self, session: aiohttp.ClientSession) -> str:
        async with session.get(self._path, params={"limit": "1"}) as answer:
            answer.raise_for_status()
            return str((await answer.json())["metadata"]["resourceVersion"])

    async def _change_all(self, session: aiohttp.ClientSession, numbers: Sequence[int]) -> None:
        """By the clock, whether those before were answered or not."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for place, number in enumerate(numbers):
                await asyncio.sleep(began + place * self._interval - time.monotonic())
                group.create_task(self._change(session, number))

    async def _change(self, session: aiohttp.ClientSession, number: int) -> None:
        name = naming.item(number)
        body = {"metadata": {"annotations": {hint_key(HintClass.PULL_REQUEST): f"{naming.head(number)}/closed"}}}
        self._merged.add(number)
        change = self.changes[name] = Change(name, sent=time.monotonic())
        async with session.patch(f"{self._path}/{name}", json=body, headers={"Content-Type": MERGE}) as answer:
            content = await answer.read()
            change.stored = change.stored or time.monotonic()
            if answer.status != 200:
                raise RuntimeError(f"PATCH {name}: {answer.status} {content[:500].decode(errors='replace')}")

    async def _watch(self, session: aiohttp.ClientSession, version: str) -> None:
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": f"{WATCH_SECONDS:.0f}"}
        limit = aiohttp.ClientTimeout(total=WATCH_SECONDS)
        async with session.get(self._path, params=query, timeout=limit) as answer:
            answer.raise_for_status()
            async for line in answer.content:
                self.saw(json.loads(line)["object"], time.monotonic())
        raise RuntimeError("the watch has ended")

    def saw(self, obj: Mapping[str, JSONObject], now: float) -> None:
        change = self.changes.get(obj["metadata"]["name"])
        if change is None:
            return
        change.stored = change.stored or now
        if obj["status"]["stage"] == "done" and not change.moved:
            change.moved = now
            self._left.discard(change.name)
            if not self._left:
                self._all_moved.set()
