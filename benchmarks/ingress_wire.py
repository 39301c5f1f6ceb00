"""A sender's end of HTTP, no more than it takes: a client library would cost more than what it sends to."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from typing import cast

_HEAD = re.compile(rb"HTTP/1\.1 (\d{3}) .*?\r\n(?:.*?\r\n)*?Content-Length: (\d+)\r\n(?:.*?\r\n)*?\r\n", re.IGNORECASE)
CONNECT_SECONDS = 1.0

Answer = tuple[int, bytes]
"""Code and body."""


class Gone(Exception):
    """The connection broke before the answer was there: nobody told the sender what became of it."""


class Wire(asyncio.Protocol):
    """One connection, and one request at a time on it."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._received = bytearray()
        self._answer: asyncio.Future[Answer] | None = None
        self.open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.open = True

    def data_received(self, data: bytes) -> None:
        self._received += data
        head = _HEAD.match(self._received)
        if head is None or len(self._received) < head.end() + int(head[2]):
            return
        # A match looks into what it was found in: read before it is cleared.
        answer, closes = (int(head[1]), bytes(self._received[head.end() :])), b"connection: close" in head[0].lower()
        self._received.clear()
        if closes:
            self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Gone())

    async def send(self, request: bytes) -> Answer:
        """Raises Gone."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        self.open = False
        self._transport.close()


async def connect(port: int) -> Wire:
    """Raises ConnectionRefusedError where nobody listens, TimeoutError."""
    async with asyncio.timeout(CONNECT_SECONDS):
        _, wire = await asyncio.get_running_loop().create_connection(Wire, "127.0.0.1", port)
    return wire


class Service:
    """Replicas behind one name. A new connection goes to them in turn, to the next where one is refused."""

    def __init__(self, ports: list[int]) -> None:
        self._ports = deque(ports)
        self._idle: list[Wire] = []
        self.refused = 0

    async def send(self, request: bytes, *, keep: bool) -> Answer:
        """On a kept connection if `keep` and there is one that still stands. Raises Gone, ConnectionRefusedError."""
        wire = self._kept() if keep else None
        wire = wire or await self._connected()
        try:
            answer = await wire.send(request)
        except BaseException:
            wire.close()
            raise
        if keep and wire.open:
            self._idle.append(wire)
        else:
            wire.close()
        return answer

    def close(self) -> None:
        for wire in self._idle:
            wire.close()

    def _kept(self) -> Wire | None:
        """The one that has been idle longest, so that the replicas get alike."""
        self._idle = [wire for wire in self._idle if wire.open]
        return self._idle.pop(0) if self._idle else None

    async def _connected(self) -> Wire:
        for left in reversed(range(len(self._ports))):
            self._ports.rotate(-1)
            try:
                return await connect(self._ports[0])
            except ConnectionRefusedError:
                self.refused += 1
                if not left:
                    raise
        raise AssertionError("unreachable")
