"""A sender's connections: kept while they stand, and a replica that is away is passed over."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from benchmarks.ingress_wire import Gone, Service
from tests.cluster.processes import free_ports

ANSWER = b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 2\r\nServer: conveyor\r\n\r\n{}"


class Replica:
    """Answers each request, in two pieces; or breaks off instead while `dying`."""

    def __init__(self) -> None:
        self.connections = self.requests = 0
        self.dying = False
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self.requests += 1
                if self.dying:
                    break
                writer.write(ANSWER[:20])
                await writer.drain()
                writer.write(ANSWER[20:])
        writer.close()


@pytest.fixture
async def replica(anyio_backend: str) -> AsyncIterator[Replica]:
    found = Replica()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    yield found
    server.close()
    await server.wait_closed()


@pytest.fixture
async def service(replica: Replica) -> AsyncIterator[Callable[[list[int]], Service]]:
    made: list[Service] = []

    def make(ports: list[int]) -> Service:
        made.append(Service(ports))
        return made[-1]

    yield make
    for one in made:
        one.close()
    await asyncio.sleep(0)


REQUEST = b"POST / HTTP/1.1\r\n\r\n"


async def test_kept_connection_is_used_again(replica: Replica, service: Callable[[list[int]], Service]) -> None:
    sender = service([replica.port])
    assert [await sender.send(REQUEST, keep=True) for _ in range(3)] == [(202, b"{}")] * 3
    assert (replica.connections, replica.requests) == (1, 3)


async def test_connection_that_is_not_kept_is_made_each_time(
    replica: Replica, service: Callable[[list[int]], Service]
) -> None:
    sender = service([replica.port])
    for _ in range(3):
        await sender.send(REQUEST, keep=False)
    assert replica.connections == 3


async def test_replica_that_is_away_is_passed_over(replica: Replica, service: Callable[[list[int]], Service]) -> None:
    (nobody,) = free_ports(1)
    sender = service([nobody, replica.port])
    for _ in range(4):
        assert await sender.send(REQUEST, keep=False) == (202, b"{}")
    assert sender.refused == 3


async def test_nobody_there_is_told(service: Callable[[list[int]], Service]) -> None:
    sender = service(free_ports(2))
    with pytest.raises(ConnectionRefusedError):
        await sender.send(REQUEST, keep=True)


async def test_death_during_a_request_leaves_the_sender_without_an_answer(
    replica: Replica, service: Callable[[list[int]], Service]
) -> None:
    sender = service([replica.port])
    replica.dying = True
    with pytest.raises(Gone):
        await sender.send(REQUEST, keep=True)
    replica.dying = False
    assert await sender.send(REQUEST, keep=True) == (202, b"{}")
    assert replica.connections == 2
