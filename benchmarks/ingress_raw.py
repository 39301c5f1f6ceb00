"""The API server's own rate for what the ingress writes: a client that does nothing but put hints on items."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp

from benchmarks.ingress_audit import value_of
from benchmarks.ingress_events import Event
from benchmarks.raw import IN_FLIGHT
from conveyor.api.annotations import GROUP, VERSION
from conveyor_ingress import cluster_access
from conveyor_ingress.api_server import METADATA_ONLY
from conveyor_ingress.views import hint_key
from tests.cluster.api import MERGE


async def annotate(kubeconfig: Path, namespace: str, events: Sequence[Event]) -> float:
    """Hints per second, as the ingress's account. The events' places are items."""
    access = cluster_access.from_kubeconfig(kubeconfig)
    left = iter([_request(event, namespace) for event in events])
    headers = {"Authorization": f"Bearer {access.token()}", "Content-Type": MERGE, "Accept": METADATA_ONLY}
    connector = aiohttp.TCPConnector(ssl=access.tls, limit=IN_FLIGHT)
    async with aiohttp.ClientSession(access.server, connector=connector, headers=headers) as session:

        async def work() -> None:
            for path, body in left:
                async with session.patch(path, data=body) as answer:
                    if answer.status != 200:
                        raise RuntimeError(f"PATCH {path}: {answer.status} {(await answer.text())[:500]}")
                    await answer.read()

        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(work())
        return len(events) / (time.monotonic() - began)


def _request(event: Event, namespace: str) -> tuple[str, bytes]:
    place = event.place
    assert place is not None
    patch = {"metadata": {"annotations": {hint_key(place.hint): value_of(event, namespace)}}}
    path = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{place.kind}/{place.name}"
    return path, json.dumps(patch).encode()
