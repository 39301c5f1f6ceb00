"""Readers of one page, at once, in a process of their own: how long each answer took, and how long it was.

They do next to nothing: an answer's bytes are counted, and neither kept nor read, so that the time is the server's.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from dataclasses import dataclass, field

BUFFER = 1 << 18
HEADERS_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"^content-length: *(\d+)", re.IGNORECASE | re.MULTILINE)


class BadAnswerError(Exception):
    """Something else than a page of a stated length."""


@dataclass
class Count:
    """Of one answer: what is still to come."""

    head: bytearray = field(default_factory=bytearray)
    length: int | None = None
    left: int = 0

    def take(self, data: memoryview) -> bool:
        """Whether the answer has ended with these bytes. BadAnswerError for another status than 200."""
        if self.length is not None:
            self.left -= len(data)
            return self.left == 0
        self.head += data
        end = self.head.find(HEADERS_END)
        if end < 0:
            return False
        found = _LENGTH.search(self.head[:end])
        if not self.head.startswith(b"HTTP/1.1 200 ") or found is None:
            raise BadAnswerError(self.head[:end].decode(errors="replace"))
        self.length = int(found[1])
        self.left = self.length - (len(self.head) - end - len(HEADERS_END))
        return self.left == 0


class Reader(asyncio.BufferedProtocol):
    """One connection, kept; one request at a time."""

    def __init__(self, path: str, host: str) -> None:
        self._request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        self._buffer = bytearray(BUFFER)
        self._view = memoryview(self._buffer)
        self._transport: asyncio.Transport | None = None
        self._count = Count()
        self._ended: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        try:
            ended = self._count.take(self._view[:nbytes])
        except BadAnswerError as error:
            self._fail(error)
        else:
            if ended and self._ended is not None:
                self._ended.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or ConnectionResetError("the server has closed the connection"))

    def _fail(self, error: Exception) -> None:
        """Whoever waits for an answer; between two nobody does."""
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(error)

    async def read(self) -> tuple[float, int]:
        """Seconds from the request to the last byte, and the bytes of the page."""
        assert self._transport is not None
        self._count, self._ended = Count(), asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        self._transport.write(self._request)
        await self._ended
        self._ended = None
        return time.perf_counter() - began, self._count.length or 0

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


async def read_for(address: str, path: str, *, seconds: float, readers: int, every: float) -> list[tuple[float, int]]:
    """Each reader asks again as soon as it has its answer, or `every` so many seconds where that is later."""
    host, port = address.rsplit(":", 1)
    found: list[tuple[float, int]] = []

    async def one(number: int) -> None:
        loop = asyncio.get_running_loop()
        _, reader = await loop.create_connection(lambda: Reader(path, address), host, int(port))
        await asyncio.sleep(every * number / readers)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            took, length = await reader.read()
            found.append((took, length))
            await asyncio.sleep(max(0.0, every - took))
        reader.close()

    async with asyncio.TaskGroup() as group:
        for number in range(readers):
            group.create_task(one(number))
    return found


def main() -> None:
    """Arguments: address, path, seconds, readers, seconds between two requests of one."""
    address, path, seconds, readers, every = sys.argv[1:]
    found = asyncio.run(read_for(address, path, seconds=float(seconds), readers=int(readers), every=float(every)))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
