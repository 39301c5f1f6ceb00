"""Transports that make a server differ from the fake Plane, or change its data between two requests."""

import json
from collections.abc import Callable
from typing import Any

import httpx


class OldNames(httpx.AsyncBaseTransport):
    """A server from before `work-items`: it knows `issues` only, and no relations."""

    def __init__(self) -> None:
        self._inner = httpx.AsyncHTTPTransport()
        self.missed = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if "/work-items/" in path or path.endswith("/relations/"):
            self.missed += 1
            return httpx.Response(404, json={"error": "Page not found."})
        request.url = request.url.copy_with(path=path.replace("/issues/", "/work-items/"))
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


class After(httpx.AsyncBaseTransport):
    """Calls `act` once, after the first answer."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._inner = httpx.AsyncHTTPTransport()
        self._act: Callable[[], None] | None = act

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._inner.handle_async_request(request)
        if self._act:
            act, self._act = self._act, None
            act()
        return answer

    async def aclose(self) -> None:
        await self._inner.aclose()


def answers(table: dict[str, Any]) -> httpx.MockTransport:
    """A server that answers a path's end with this JSON or these bytes, and 404 to all else."""

    def handle(request: httpx.Request) -> httpx.Response:
        for end, body in table.items():
            if request.url.path.endswith(end):
                return httpx.Response(200, content=body if isinstance(body, bytes) else json.dumps(body).encode())
        return httpx.Response(404, json={"error": "Page not found."})

    return httpx.MockTransport(handle)


def pages(*bodies: dict[str, Any]) -> httpx.MockTransport:
    """A server with one list, whose pages these are whatever is asked for."""
    left = list(bodies)
    return httpx.MockTransport(lambda _: httpx.Response(200, json=left.pop(0)))


def page(*rows: Any, more: bool = False) -> dict[str, Any]:
    return {"results": list(rows), "next_cursor": "100:1:0", "next_page_results": more}
