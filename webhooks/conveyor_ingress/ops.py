"""Health, readiness and metrics, on an address of their own that no sender reaches."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from aiohttp import web

from conveyor_ingress.metrics import Metrics
from conveyor_ingress.secrets import Secrets
from conveyor_ingress.store import Store, StoreUnavailable

log = logging.getLogger(__name__)

REACH_SECONDS = 2.0
"""Pause between two tries to reach the API server at start."""


@dataclass
class Readiness:
    """Ready once the API server has answered, while the secrets can be read, until draining begins."""

    secrets: Secrets
    reached: bool = False
    draining: bool = False

    def missing(self) -> str | None:
        self.secrets.refresh()
        if self.draining:
            return "draining"
        if not self.secrets.readable:
            return "the directory of webhook secrets cannot be read"
        return None if self.reached else "the API server has not answered yet"


async def reach(store: Store, readiness: Readiness) -> None:
    """Tries until the API server has answered once."""
    while not readiness.reached:
        try:
            await store.reach()
            readiness.reached = True
        except StoreUnavailable as error:
            log.warning("the API server does not answer yet", extra={"error": str(error)})
            await asyncio.sleep(REACH_SECONDS)


def application(readiness: Readiness, metrics: Metrics) -> web.Application:
    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        missing = readiness.missing()
        return web.Response(status=503 if missing else 200, text=f"{missing or 'ok'}\n")

    async def exposition(_: web.Request) -> web.Response:
        return web.Response(body=metrics.exposition(), headers={"Content-Type": "text/plain; version=0.0.4"})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", exposition)])
    return app
