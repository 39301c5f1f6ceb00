"""The listener: HTTP connections under the limits, and their orderly end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from conveyor_ingress import limits
from conveyor_ingress.answers import MALFORMED, METHOD_NOT_ALLOWED, Answer


def response(answer: Answer) -> web.Response:
    headers = {"Server": "conveyor"}  # aiohttp would tell its version and Python's
    if answer is METHOD_NOT_ALLOWED:
        headers["Allow"] = "POST"
    return web.Response(status=answer.code, text=answer.body, content_type="application/json", headers=headers)


class _Connection(web.RequestHandler):
    """One connection. What is not HTTP gets the table's answer instead of a page that quotes it."""

    __slots__ = ("_on_malformed",)

    def __init__(self, server: web.Server, on_malformed: Callable[[], None]) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=limits.HEADER_SECONDS,
            lingering_time=limits.LINGER_SECONDS,
            read_bufsize=limits.READ_BYTES,
            max_headers=limits.MAX_HEADERS,
            max_line_size=limits.MAX_HEADER_BYTES,
            max_field_size=limits.MAX_HEADER_BYTES,
            auto_decompress=False,  # a compressed body is refused, never unpacked
            access_log=None,  # type: ignore[arg-type]  # None is what its own runner passes for no log
        )
        self._on_malformed = on_malformed

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("a part of another answer is sent already")
        self._on_malformed()
        answer = response(MALFORMED)
        answer.force_close()
        return answer


class _Refused(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


class Listener:
    """Serves one handler on one address until it is drained."""

    def __init__(
        self,
        handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        *,
        on_malformed: Callable[[], None],
        on_refused: Callable[[], None],
        max_connections: int = limits.MAX_CONNECTIONS,
    ) -> None:
        self._handler = handler
        self._server = web.Server(self._handle)
        self._on_malformed = on_malformed
        self._on_refused = on_refused
        self._max_connections = max_connections
        self._sockets: asyncio.Server | None = None
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self, host: str, port: int) -> int:
        """Listens, and returns the port (useful when 0 was asked for). Raises OSError."""
        self._sockets = await asyncio.get_running_loop().create_server(self._accept, host or None, port, backlog=256)
        return int(self._sockets.sockets[0].getsockname()[1])

    async def drain(self) -> None:
        """Takes no new connection, lets what is under way end (at most DRAIN_SECONDS), then closes the rest."""
        if self._sockets:
            self._sockets.close()
        try:
            async with asyncio.timeout(limits.DRAIN_SECONDS):
                await self._idle.wait()
        except TimeoutError:
            pass  # what is still open is closed below
        self._server.pre_shutdown()
        await self._server.shutdown(1)

    def _accept(self) -> asyncio.Protocol:
        if len(self._server.connections) >= self._max_connections:
            self._on_refused()
            return _Refused()
        return _Connection(self._server, self._on_malformed)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self._under_way += 1
        self._idle.clear()
        try:
            return await self._handler(request)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()
