"""What a sender may cost before it has proved who it is: each limit with its unit, and the one reader that keeps it."""

from __future__ import annotations

import asyncio
from typing import Protocol

from aiohttp import web

from conveyor_ingress.answers import MALFORMED, TOO_LARGE, UNAVAILABLE, Refusal

HEADER_SECONDS = 10.0
"""From the connection, or the last answer on it, to the end of the next request's headers."""
BODY_SECONDS = 10.0
"""From the headers to the end of the body. Gitea itself gives up after 5 s, Plane after 30 s."""
STORE_SECONDS = 4.5
"""For all calls to the API server about one delivery: the answer must leave before Gitea's 5 s are over."""
LINGER_SECONDS = 1.0
"""A refused body is read and thrown away for so long, so that the sender gets to see the answer."""
DRAIN_SECONDS = 10.0
"""Deliveries under way when the process is asked to end get so long."""

MAX_CONNECTIONS = 512
"""Open connections; one more is closed without a word."""
MAX_HELD_BYTES = 16 * 1024 * 1024
"""Bodies held at once over all connections, in bytes; a body that does not fit is answered 503."""
MAX_HEADERS = 100
MAX_HEADER_BYTES = 8190
"""One header line, and the request line."""
READ_BYTES = 64 * 1024
"""Read ahead of us per connection."""


class Request(Protocol):
    """What the reader needs of a request."""

    @property
    def content_length(self) -> int | None: ...

    @property
    def content(self) -> Content: ...


class Content(Protocol):
    async def readany(self) -> bytes: ...


class Held:
    """How many bytes of bodies are in memory, over all connections."""

    def __init__(self, maximum: int = MAX_HELD_BYTES) -> None:
        self._maximum = maximum
        self.bytes = 0

    def take(self, count: int) -> None:
        if self.bytes + count > self._maximum:
            raise Refusal(UNAVAILABLE)
        self.bytes += count

    def give(self, count: int) -> None:
        self.bytes -= count


def check_declared_size(request: Request, maximum: int) -> None:
    """Raises Refusal if the headers alone say that the body is too large."""
    _check_size(request.content_length or 0, maximum)


def _check_size(size: int, maximum: int) -> None:
    if size > maximum:
        raise Refusal(TOO_LARGE)


async def read_body(request: Request, *, maximum: int, held: Held) -> bytes:
    """The raw body, at most `maximum` bytes whatever its headers say; the caller gives its length back to `held`.

    Raises Refusal: 413 too large, 400 broken off or too slow, 503 when too much is held already.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while chunk := await request.content.readany():
                _check_size(len(body) + len(chunk), maximum)
                held.take(len(chunk))
                body += chunk
    except (TimeoutError, web.RequestPayloadError, OSError) as error:
        held.give(len(body))
        raise Refusal(MALFORMED) from error
    except BaseException:
        held.give(len(body))
        raise
    return bytes(body)
