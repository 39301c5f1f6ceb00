"""Faults on demand for the fake Plane's REST API."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FaultKind(StrEnum):
    STATUS = "status"
    DROP = "drop"
    """The connection is cut without an answer."""
    HANG = "hang"
    """No answer until `Faults.clear` or the server's end."""
    TRUNCATE = "truncate"
    """The true answer's first half; the request is always applied."""
    THROTTLE = "throttle"
    """429 with `Retry-After: retry_after`, as another user of the same key would cause it."""


@dataclass(frozen=True)
class Fault:
    """What happens to the next `times` requests whose method and path (both globs) match.

    `applied` says whether the request takes effect all the same.
    """

    kind: FaultKind
    method: str = "*"
    path: str = "*"
    times: int = 1
    status: int = 502
    applied: bool = False
    retry_after: int = 60


class Faults:
    def __init__(self) -> None:
        self._waiting: list[tuple[Fault, int]] = []
        self._released = asyncio.Event()
        self.struck: list[tuple[Fault, str, str]] = []
        """Each fault that happened, with the request's method and path."""

    def add(self, fault: Fault) -> None:
        self._waiting.append((fault, fault.times))

    def clear(self) -> None:
        """Forget what has not happened yet and let hanging requests end."""
        self._waiting.clear()
        self._released.set()
        self._released = asyncio.Event()

    def take(self, method: str, path: str) -> Fault | None:
        for index, (fault, left) in enumerate(self._waiting):
            if fnmatchcase(method, fault.method) and fnmatchcase(path, fault.path):
                self._waiting[index : index + 1] = [(fault, left - 1)] if left > 1 else []
                self.struck.append((fault, method, path))
                return fault
        return None

    async def strike(self, fault: Fault, request: web.Request, handler: Handler) -> web.StreamResponse:
        answer: web.StreamResponse | None = None
        if fault.applied or fault.kind is FaultKind.TRUNCATE:
            answer = await handler(request)
        match fault.kind:
            case FaultKind.STATUS:
                return web.json_response({"error": "Something went wrong please try again later"}, status=fault.status)
            case FaultKind.THROTTLE:
                return throttled(fault.retry_after)
            case FaultKind.TRUNCATE:
                return _first_half(answer)
            case FaultKind.HANG:
                await self._released.wait()
            case FaultKind.DROP:
                pass
        if request.transport is not None:
            request.transport.abort()
        return web.Response()


def throttled(seconds: int) -> web.Response:
    text = f"Request was throttled. Expected available in {seconds} seconds."
    return web.json_response({"detail": text}, status=429, headers={"Retry-After": str(seconds)})


def _first_half(answer: web.StreamResponse | None) -> web.Response:
    body = answer.body if isinstance(answer, web.Response) and isinstance(answer.body, bytes) else b"{}"
    return web.Response(body=body[: len(body) // 2], content_type="application/json")
