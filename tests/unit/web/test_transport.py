"""Covers: the real transport on real sockets of this machine."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from conveyor.web import transport
from conveyor.web.client import WebClient
from conveyor.web.errors import Ambiguous, HostNotAllowed, Unavailable
from conveyor.web.hosts import AllowedHosts

EVERYWHERE = AllowedHosts(("*",))


class Peer:
    """A server that counts connections and bytes and answers with fixed bytes."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.received = b""
        self.connections = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.received += await reader.read(65536)
        writer.write(self.answer)
        await writer.drain()
        writer.close()


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    peer = Peer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]")
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    peer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield peer


async def test_answer_comes_over_a_real_connection(peer: Peer) -> None:
    client = WebClient(peer.url, None, allowed=EVERYWHERE)
    try:
        assert (await client.read("GET", "/x")).json() == []
    finally:
        await client.aclose()


async def test_name_that_leads_to_a_forbidden_address_gets_no_byte(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    # 127.0.0.1 stands in for a metadata address, which a test machine may really have.
    monkeypatch.setattr(transport, "is_forbidden", lambda address: address == "127.0.0.1")
    client = WebClient(peer.url.replace("127.0.0.1", "localhost"), None, allowed=EVERYWHERE)
    try:
        with pytest.raises(HostNotAllowed, match="localhost leads to"):
            await client.write("POST", "/x")
    finally:
        await client.aclose()
    await asyncio.sleep(0)
    assert peer.received == b""


async def test_closed_port_is_unavailable_even_for_a_write() -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    client = WebClient(f"http://127.0.0.1:{port}", None, allowed=EVERYWHERE)
    try:
        with pytest.raises(Unavailable):
            await client.write("POST", "/x")
    finally:
        await client.aclose()


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n[]", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nContent-Le"],
)
async def test_write_whose_answer_breaks_off_is_ambiguous(peer: Peer, answer: bytes) -> None:
    peer.answer = answer
    client = WebClient(peer.url, None, allowed=EVERYWHERE)
    try:
        with pytest.raises(Ambiguous):
            await client.write("POST", "/x")
    finally:
        await client.aclose()
    assert peer.connections == 1


async def test_proxy_of_the_environment_is_not_used(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    client = WebClient(peer.url, None, allowed=EVERYWHERE)
    try:
        assert (await client.read("GET", "/x")).status == 200
    finally:
        await client.aclose()


async def test_server_without_trusted_certificate_gets_no_request(peer: Peer) -> None:
    client = WebClient(peer.url.replace("http:", "https:"), None, allowed=EVERYWHERE)
    try:
        with pytest.raises(Unavailable, match="was not sent"):
            await client.write("POST", "/x")
    finally:
        await client.aclose()
    assert b"POST" not in peer.received


def test_transport_keeps_the_pool_that_httpx_uses() -> None:
    """`_pool` is httpx's own name: a release that renames it must fail here and not open the door."""
    fresh = httpx.AsyncHTTPTransport()
    assert type(fresh._pool) is type(transport.GuardedTransport(connections=1)._pool)
