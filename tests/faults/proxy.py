"""A reverse proxy on 127.0.0.1 between one operator and one server, that does to writes what the desk says.

The operator reaches it without TLS and without credentials that matter: both are made anew towards the server.
"""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web
from yarl import URL

from tests.faults.calls import Call, counts
from tests.faults.desk import Desk, Write
from tests.faults.faults import LATE, Fault
from tests.faults.stale import BrokenOffError, Watches

_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host", "date", "server"})
_REASONS = {409: "Conflict", 429: "TooManyRequests", 500: "InternalError"}
HANG_SECONDS = 60.0


@dataclass(frozen=True)
class Upstream:
    """The server behind; `token` replaces the operator's own where it is given."""

    url: str
    tls: ssl.SSLContext | None = None
    token: str = ""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Proxy:
    """`async with`; `url` is where the operator finds it. `watches` is told of lists and watches, if it is given."""

    def __init__(self, upstream: Upstream, desk: Desk, watches: Watches | None = None) -> None:
        self._upstream, self._desk, self._watches = upstream, desk, watches or Watches()
        self._stack = contextlib.AsyncExitStack()
        self._writing: set[asyncio.Task[web.StreamResponse]] = set()
        self.url = ""
        self.wrote: Callable[[], Awaitable[None]] | None = None
        """Called whenever a write has been answered by the server."""

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            connector = aiohttp.TCPConnector(ssl=self._upstream.tls or False, limit=0)
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
            self._session = await stack.enter_async_context(
                aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False)
            )
            server = web.Server(self._handle, access_log=None, handler_cancellation=True)
            runner = web.ServerRunner(server, shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            stack.push_async_callback(self._end_writing)
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _end_writing(self) -> None:
        for task in self._writing:
            task.cancel()
        await asyncio.gather(*self._writing, return_exceptions=True)

    # --- one request

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        call = Call(request.method, request.path, dict(request.query), await request.read())
        self._desk.saw(call)
        try:
            if call.is_watch:
                return await self._watch(request, call)
            if not counts(call):
                answer = await self._send(request, call)
                return _response(self._watches.listed(call, answer.body), answer)
            task = asyncio.create_task(self._write(request, call, self._desk.next(call)))
            self._writing.add(task)
            task.add_done_callback(self._written)
            return await asyncio.shield(task)  # a write outlives whoever has sent it
        except (BrokenOffError, aiohttp.ClientError, ConnectionError):
            return _abort(request)

    def _written(self, task: asyncio.Task[web.StreamResponse]) -> None:
        self._writing.discard(task)
        if not task.cancelled():
            task.exception()  # heard here, for whoever has sent it may be dead

    async def _send(self, request: web.BaseRequest, call: Call) -> Answer:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        if self._upstream.token:
            headers["Authorization"] = f"Bearer {self._upstream.token}"
        headers["Accept-Encoding"] = (
            "identity"  # the API server compresses what is longer than 128 KiB; it is read here
        )
        url = URL(self._upstream.url + request.raw_path, encoded=True)
        async with self._session.request(call.method, url, data=call.body or None, headers=headers) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
            return Answer(answer.status, kept, await answer.read())

    async def _write(self, request: web.BaseRequest, call: Call, write: Write) -> web.StreamResponse:
        async def send() -> Answer:
            answer = await self._send(request, call)
            write.answers.append(answer.status)
            if self.wrote is not None:
                await self.wrote()
            return answer

        await self._desk.before(write)
        response = await self._misbehave(request, write, send)
        await self._desk.after(write)
        return response

    async def _misbehave(
        self, request: web.BaseRequest, write: Write, send: Callable[[], Awaitable[Answer]]
    ) -> web.StreamResponse:
        match write.fault:
            case None:
                return _response(None, await send())
            case Fault.CONFLICT | Fault.BUSY | Fault.ERROR_NOT_APPLIED | Fault.ERROR_APPLIED as fault:
                if fault is Fault.ERROR_APPLIED:
                    await send()
                return _refusal({Fault.CONFLICT: 409, Fault.BUSY: 429}.get(fault, 500))
            case Fault.REPEAT | Fault.REPEAT_SECOND as fault:
                first, second = await send(), await send()
                return _response(None, first if fault is Fault.REPEAT else second)
            case Fault.KILL_AFTER | Fault.DROP_ANSWER:
                await send()
            case Fault.HANG:
                await _until_given_up(request)
            case fault if fault in LATE:
                self._desk.hold(write, send)
            case Fault.KILL_BEFORE | Fault.DROP_REQUEST:
                pass
            case _:
                raise NotImplementedError(write.fault)
        if write.fault not in (Fault.DROP_ANSWER, Fault.DROP_REQUEST, Fault.HANG):
            self._desk.crash()
        return _abort(request)

    # --- watches

    async def _watch(self, request: web.BaseRequest, call: Call) -> web.StreamResponse:
        url = URL(self._upstream.url + request.raw_path, encoded=True)
        headers = {"Accept": request.headers.get("Accept", "application/json")}
        if self._upstream.token:
            headers["Authorization"] = f"Bearer {self._upstream.token}"
        async with self._session.get(url, headers=headers) as answer:
            response = web.StreamResponse(status=answer.status, headers={"Content-Type": "application/json"})
            await response.prepare(request)
            spoiled = self._watches.spoiled(call.resource, _lines(answer), crash=self._desk.crash)
            async with contextlib.aclosing(spoiled) as lines:
                async for line in lines:
                    await response.write(line)
            await response.write_eof()
            return response


async def _lines(answer: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
    pending = b""
    async for chunk in answer.content.iter_any():
        *whole, pending = (pending + chunk).split(b"\n")
        for line in filter(None, whole):
            yield line + b"\n"


def _response(body: bytes | None, answer: Answer) -> web.Response:
    return web.Response(status=answer.status, headers=answer.headers, body=answer.body if body is None else body)


def _refusal(code: int) -> web.Response:
    """An answer that API server and forge could have given: a Status, whose message is where Gitea has its own."""
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": _REASONS[code]}
    headers = {"Retry-After": "1"} if code == 429 else {}
    text = json.dumps(status | {"message": "made by a test"})
    return web.Response(status=code, text=text, content_type="application/json", headers=headers)


def _abort(request: web.BaseRequest) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=502)


async def _until_given_up(request: web.BaseRequest) -> None:
    async with asyncio.timeout(HANG_SECONDS):
        while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110 - tells nobody
            await asyncio.sleep(0.05)
