"""The probes against a server of the test's own, on real sockets.

| the server | the probe |
|---|---|
| answers 200, 204, 299 | healthy |
| answers 199 or more than 299, a redirect, nothing in time, half an answer, or not at all | not healthy, and says why |
| has a body without end | asked for its status only; of a Prometheus too much is refused |
| is not allowed | not asked |
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import pytest

from conveyor.api.repository import Probe
from conveyor.pipeline.facts import ProbeFact
from conveyor.probes.client import MAX_ANSWER_BYTES, HttpProbes
from conveyor.web.hosts import AllowedHosts
from tests.cluster.processes import free_ports

ALLOWED = AllowedHosts(("127.0.0.1",))
SECONDS = 2.0
ENDLESS, SILENT, HALF = "endless", "silent", "half"


@dataclass
class Server:
    """Answers what the first part of the path says; keeps what it was asked."""

    url: str = ""
    targets: list[str] = field(default_factory=list)
    answers: dict[str, bytes] = field(default_factory=dict)
    """By path."""
    written: int = 0
    """Bytes of bodies."""

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
            method, target, _ = request[0].split()
            assert method == "GET"
            self.targets.append(target)
            await self._answer(urlsplit(target).path, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, path: str, writer: asyncio.StreamWriter) -> None:
        kind = path.strip("/").split("/")[0]
        if kind == SILENT:
            await asyncio.sleep(60)
        elif kind == HALF:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")
        elif kind == ENDLESS:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
            await self._endless(writer)
        elif path in self.answers:
            writer.write(self.answers[path])
        else:
            writer.write(f"HTTP/1.1 {kind} Said\r\nLocation: /200\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()

    async def _endless(self, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()
            self.written += 65536

    def says(self, path: str, value: object, *, status: str = "200 OK") -> None:
        body = json.dumps(value).encode()
        self.answers[path] = b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    found = Server()
    listening = await asyncio.start_server(found.talk, "127.0.0.1", 0)
    try:
        found.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield found
    finally:
        listening.close()


async def ask(probe: dict[str, str], *, allowed: AllowedHosts = ALLOWED) -> ProbeFact:
    return await HttpProbes(allowed=allowed, seconds=SECONDS).ask(Probe.model_validate(probe))


@pytest.mark.parametrize("status", [200, 204, 299])
async def test_page_that_answers_2xx_is_healthy(server: Server, status: int) -> None:
    found = await ask({"url": f"{server.url}/{status}"})
    assert found == ProbeFact(name=f"{server.url}/{status}", healthy=True)


@pytest.mark.parametrize("status", [300, 301, 302, 307, 308, 304, 404, 429, 500, 503])
async def test_page_that_answers_otherwise_is_not_and_no_redirect_is_followed(server: Server, status: int) -> None:
    found = await ask({"url": f"{server.url}/{status}"})
    assert (found.healthy, found.reason) == (False, f"it answered {status}, wanted 2xx")
    assert server.targets == [f"/{status}"]


async def test_query_of_an_address_is_sent_and_never_shown(server: Server) -> None:
    found = await ask({"url": f"{server.url}/200/deep%20er?token=s3cret&full"})
    assert server.targets == ["/200/deep%20er?token=s3cret&full"]
    assert found == ProbeFact(name=f"{server.url}/200/deep%20er", healthy=True)
    server.targets.clear()
    assert "s3cret" not in str(await ask({"url": f"{server.url}/500?token=s3cret"}))


async def test_address_without_a_path_is_asked_for_its_root(server: Server) -> None:
    server.answers["/"] = b"HTTP/1.1 204 None\r\n\r\n"
    assert (await ask({"url": server.url})).healthy
    assert server.targets == ["/"]


async def test_page_without_end_is_healthy_and_is_not_read(server: Server) -> None:
    assert (await ask({"url": f"{server.url}/{ENDLESS}"})).healthy


@pytest.mark.parametrize(("kind", "reason"), [(SILENT, "TimeoutError"), (HALF, "RemoteProtocolError")])
async def test_page_without_a_whole_answer_in_time_is_not_healthy(server: Server, kind: str, reason: str) -> None:
    began = time.monotonic()
    found = await ask({"url": f"{server.url}/{kind}"})
    assert (found.healthy, found.reason) == (False, f"GET /{kind} got no whole answer: {reason}")
    assert time.monotonic() - began < SECONDS + 20


@pytest.mark.parametrize("kind", ["url", "prometheus"])
async def test_server_that_refuses_connections_is_not_healthy(kind: str) -> None:
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    probe = {"url": url} if kind == "url" else {"prometheus": url, "query": "up"}
    found = await ask(probe)
    assert not found.healthy
    assert found.reason.endswith("was not sent: ConnectError")


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://localhost:1/", id="a host that the settings do not name"),
        pytest.param("http://169.254.169.254/latest/meta-data", id="a metadata address"),
        pytest.param("ftp://127.0.0.1/", id="another protocol"),
        pytest.param("http://me:s3cret@127.0.0.1/", id="an address with a password"),
    ],
)
async def test_address_that_is_not_allowed_is_not_asked(url: str) -> None:
    for probe in ({"url": url}, {"prometheus": url, "query": "up"}):
        found = await ask(probe, allowed=AllowedHosts(("127.0.0.1", "169.254.169.254")))
        assert not found.healthy
        assert "s3cret" not in f"{found}"


# --- Prometheus


def result(*numbers: str) -> dict[str, object]:
    samples = [{"metric": {}, "value": [1772452800.1, number]} for number in numbers]
    return {"status": "success", "data": {"resultType": "vector", "result": samples}}


QUERY = 'min(up{job="shop"}) and 1 < 2'
PATH = "/prefix/api/v1/query"


async def ask_prometheus(server: Server) -> ProbeFact:
    return await ask({"prometheus": f"{server.url}/prefix/", "query": QUERY})


async def test_prometheus_is_asked_the_query_as_it_is_written(server: Server) -> None:
    server.says(PATH, result("1"))
    assert await ask_prometheus(server) == ProbeFact(name=f"query {QUERY}", healthy=True)
    (target,) = server.targets
    assert urlsplit(target).path == PATH
    assert parse_qs(urlsplit(target).query) == {"query": [QUERY]}


@pytest.mark.parametrize(("numbers", "reason"), [(["0"], "1 of 1 results: the result is 0"), ([], "gave no result")])
async def test_result_that_is_zero_or_empty_is_not_healthy(server: Server, numbers: list[str], reason: str) -> None:
    server.says(PATH, result(*numbers))
    found = await ask_prometheus(server)
    assert not found.healthy
    assert found.reason.endswith(reason)


async def test_query_that_prometheus_refuses_is_not_healthy_and_says_its_words(server: Server) -> None:
    body = {"status": "error", "errorType": "bad_data", "error": 'invalid parameter "query": 1:4: parse error'}
    server.says(PATH, body, status="400 Bad Request")
    found = await ask_prometheus(server)
    assert (found.healthy, len(server.targets)) == (False, 1)
    assert 'answered 400: invalid parameter "query": 1:4: parse error' in found.reason


@pytest.mark.parametrize("status", ["302 Found", "503 Service Unavailable"])
async def test_prometheus_that_answers_otherwise_is_asked_once_and_not_healthy(server: Server, status: str) -> None:
    server.says(PATH, result("1"), status=status)
    assert not (await ask_prometheus(server)).healthy
    assert len(server.targets) == 1


@pytest.mark.parametrize("value", [[], {"status": "success"}, "up"])
async def test_answer_of_another_shape_is_not_healthy(server: Server, value: object) -> None:
    server.says(PATH, value)
    assert (await ask_prometheus(server)).reason == f"GET {PATH} answered something unreadable"


async def test_answer_without_end_is_cut_and_not_healthy(server: Server) -> None:
    found = await ask({"prometheus": f"{server.url}/{ENDLESS}", "query": "up"})
    assert found.reason.endswith(f"answered more than {MAX_ANSWER_BYTES} bytes")
    assert server.written < 2**24
