"""What the operator tells over HTTP: `/queue`, `/metrics`, `/healthz` and `/readyz`. Nothing can be done here."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from conveyor.app.health import Health
from conveyor.app.metrics import CONTENT_TYPE, Metrics
from conveyor.app.settings import Address

View = Callable[[str | None], bytes]
"""The answer of `/queue` for the repositories of a name, or for all, as JSON."""

QUEUE_FRESH_SECONDS = 0.5
"""How old an answer of `/queue` may be: with thousands of items many readers would else hold the event loop."""
QUEUE_ANSWERS_KEPT = 64
MAX_REPOSITORY = 253
KEEPALIVE_SECONDS = 75.0
SHUTDOWN_SECONDS = 2.0

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Server": "conveyor",
    "X-Content-Type-Options": "nosniff",
}


@contextlib.asynccontextmanager
async def serve(address: Address, *, health: Health, metrics: Metrics, queue: View) -> AsyncIterator[Address]:
    """Serve while the context lasts; gives the address that was bound. OSError where it cannot listen."""
    app = application(health=health, metrics=metrics, queue=queue)
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=KEEPALIVE_SECONDS, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, address.host or None, address.port).start()
        host, port = runner.addresses[0][:2]
        yield Address(host, port)
    finally:
        await runner.cleanup()


def application(
    *, health: Health, metrics: Metrics, queue: View, clock: Callable[[], float] = time.monotonic
) -> web.Application:
    answers = _QueueAnswers(queue, clock)

    async def queue_page(request: web.Request) -> web.Response:
        repository = request.query.get("repository") or None
        if repository is not None and len(repository) > MAX_REPOSITORY:
            raise web.HTTPBadRequest(text="repository: wanted a name of 253 characters at most\n")
        return web.Response(body=answers.get(repository), content_type="application/json", charset="utf-8")

    async def metrics_page(_: web.Request) -> web.Response:
        return web.Response(body=metrics.expose(), headers={"Content-Type": CONTENT_TYPE})

    app = web.Application()
    app.on_response_prepare.append(_add_headers)
    app.add_routes(
        [
            web.get("/queue", queue_page),
            web.get("/metrics", metrics_page),
            web.get("/healthz", _probe(health.live)),
            web.get("/readyz", _probe(health.ready)),
        ]
    )
    return app


class _QueueAnswers:
    """Answers by the repository asked for, made anew when they are too old."""

    def __init__(self, view: View, clock: Callable[[], float]) -> None:
        self._view, self._clock = view, clock
        self._made: dict[str | None, tuple[float, bytes]] = {}

    def get(self, repository: str | None) -> bytes:
        now = self._clock()
        made = self._made.get(repository)
        if made is not None and now - made[0] < QUEUE_FRESH_SECONDS:
            return made[1]
        if len(self._made) >= QUEUE_ANSWERS_KEPT:
            self._made.clear()
        answer = self._view(repository) + b"\n"
        self._made[repository] = (now, answer)
        return answer


def _probe(ask: Callable[[], tuple[bool, str]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        good, reason = ask()
        return web.Response(status=200 if good else 503, text=f"{reason}\n")

    return answer


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
