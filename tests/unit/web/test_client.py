"""Covers: what is repeated and what is not, how the library's failures are told, limits, hosts."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest

from conveyor.web.client import CONCURRENCY, Credentials, WebClient, path
from conveyor.web.errors import (
    Ambiguous,
    BadCredentials,
    HostNotAllowed,
    NotFound,
    OutsideError,
    RateLimited,
    Refused,
    Unavailable,
)
from conveyor.web.hosts import AllowedHosts

NEVER_LEFT = {"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol", "InvalidURL"}


def library_errors() -> Iterator[type[Exception]]:
    """Every exception type that httpx exports, so that a new one is covered by itself."""
    for name in sorted(dir(httpx)):
        kind = getattr(httpx, name)
        if isinstance(kind, type) and issubclass(kind, (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL)):
            yield kind


def make(kind: type[Exception], request: httpx.Request) -> Exception:
    if kind is httpx.HTTPStatusError:
        return httpx.HTTPStatusError("x", request=request, response=httpx.Response(500))
    if issubclass(kind, httpx.RequestError):
        return kind("x", request=request)
    return (
        kind()
        if kind in (httpx.StreamClosed, httpx.StreamConsumed, httpx.ResponseNotRead, httpx.RequestNotRead)
        else kind("x")
    )


def raising(kind: type[Exception]) -> Callable[[httpx.Request], httpx.Response]:
    def handler(request: httpx.Request) -> httpx.Response:
        raise make(kind, request)

    return handler


def answering(*statuses: int, **kwargs: Any) -> Callable[[httpx.Request], httpx.Response]:
    left = list(statuses)
    return lambda _: httpx.Response(left.pop(0) if len(left) > 1 else left[0], **kwargs)


@pytest.mark.parametrize("kind", tuple(library_errors()))
async def test_any_failure_of_the_library_in_a_read_is_unavailable(serve: Any, kind: type[Exception]) -> None:
    server = serve(raising(kind))
    with pytest.raises(Unavailable) as caught:
        await server.client().read("GET", "/x")
    assert type(caught.value).__module__.startswith("conveyor.")
    assert len(server.requests) == 3


@pytest.mark.parametrize("kind", tuple(library_errors()))
async def test_failure_of_the_library_in_a_write_is_ambiguous_unless_it_never_left(
    serve: Any, kind: type[Exception]
) -> None:
    server = serve(raising(kind))
    with pytest.raises(OutsideError) as caught:
        await server.client().write("POST", "/x")
    assert type(caught.value) is (Unavailable if kind.__name__ in NEVER_LEFT else Ambiguous)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [204, 302, 404, 503])
async def test_status_is_told_whatever_it_is_and_asked_for_once(serve: Any, status: int) -> None:
    server = serve(answering(status, headers={"content-encoding": "gzip"}))
    assert await server.client().status("/x?full=1") == status
    assert [str(request.url) for request in server.requests] == ["https://git.example/api/x?full=1"]


async def test_read_in_one_try_is_not_repeated(serve: Any) -> None:
    server = serve(answering(503))
    with pytest.raises(Unavailable):
        await server.client().read("GET", "/x", tries=1)
    assert len(server.requests) == 1


@pytest.mark.parametrize("kind", [OSError, ConnectionResetError, TimeoutError])
async def test_bare_socket_error_does_not_escape(serve: Any, kind: type[Exception]) -> None:
    with pytest.raises(Ambiguous):
        await serve(raising(kind)).client().write("POST", "/x")


async def test_read_that_fails_twice_succeeds_on_the_third_try(serve: Any) -> None:
    server = serve(answering(500, 503, 200, content=b"[]"))
    assert (await server.client().read("GET", "/x")).status == 200
    assert [0.125 <= server.slept[0] <= 0.375, 0.25 <= server.slept[1] <= 0.75] == [True, True]


async def test_read_gives_up_after_three_tries(serve: Any) -> None:
    server = serve(answering(502))
    with pytest.raises(Unavailable):
        await server.client().read("GET", "/x")
    assert (len(server.requests), len(server.slept)) == (3, 2)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 429])
async def test_read_that_was_answered_is_not_repeated(serve: Any, status: int) -> None:
    server = serve(answering(status))
    with pytest.raises(OutsideError):
        await server.client().read("GET", "/x")
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_write_is_never_repeated(serve: Any, status: int) -> None:
    server = serve(answering(status))
    with pytest.raises(Ambiguous):
        await server.client().write("POST", "/x")
    assert len(server.requests) == 1


async def test_write_that_was_limited_did_not_happen(serve: Any) -> None:
    with pytest.raises(RateLimited) as caught:
        await serve(answering(429, headers={"Retry-After": "9"})).client().write("POST", "/x")
    assert caught.value.until_seconds == 9


async def test_accepted_status_is_returned(serve: Any) -> None:
    server = serve(answering(500, json={"message": "moved"}))
    answer = await server.client().write("POST", "/x", ok=(200, 500))
    assert (answer.status, answer.reason()) == (500, "moved")


async def test_redirect_is_not_followed(serve: Any) -> None:
    server = serve(answering(302, headers={"Location": "https://evil.test/"}))
    with pytest.raises(Refused):
        await server.client().read("GET", "/x")
    assert [str(request.url) for request in server.requests] == ["https://git.example/api/x"]


async def test_request_carries_token_parameters_and_body(serve: Any) -> None:
    server = serve(answering(201))
    await server.client().write("POST", path("a/b", "ü", 7), params={"q": "1&2"}, json={"k": "v"})
    request = server.requests[0]
    assert request.url.raw_path == b"/api/a%2Fb/%C3%BC/7?q=1%262"
    assert request.headers["authorization"] == "token t0psecret"
    assert json.loads(request.content) == {"k": "v"}


@pytest.mark.parametrize("segment", ["", ".", ".."])
def test_segment_that_climbs_is_refused(segment: str) -> None:
    with pytest.raises(Refused):
        path("repos", segment)


async def test_cookie_is_not_kept(serve: Any) -> None:
    server = serve(answering(200, headers={"Set-Cookie": "session=1; Path=/"}))
    client = server.client()
    await client.read("GET", "/x")
    await client.read("GET", "/x")
    assert "cookie" not in server.requests[1].headers


class Endless(httpx.AsyncByteStream):
    def __init__(self) -> None:
        self.sent = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self.sent += 1000
            yield b"x" * 1000


@pytest.mark.parametrize(("call", "kind"), [("read", Unavailable), ("write", Ambiguous)])
async def test_endless_body_is_cut_off_and_not_asked_for_again(serve: Any, call: str, kind: type[OutsideError]) -> None:
    stream = Endless()
    server = serve(answering(200, stream=stream))
    with pytest.raises(kind, match="more than 5000 bytes"):
        await getattr(server.client(), call)("GET", "/x", max_bytes=5000)
    assert (stream.sent, len(server.requests)) == (6000, 1)


class Breaking(httpx.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b'{"merged":'
        raise httpx.RemoteProtocolError("peer closed connection")


@pytest.mark.parametrize(("call", "kind"), [("read", Unavailable), ("write", Ambiguous)])
async def test_truncated_answer_is_no_answer(serve: Any, call: str, kind: type[OutsideError]) -> None:
    with pytest.raises(kind):
        await getattr(serve(lambda _: httpx.Response(200, stream=Breaking())).client(), call)("GET", "/x")


async def test_compressed_answer_is_not_unpacked(serve: Any) -> None:
    with pytest.raises(Unavailable, match="content encoding"):
        await (
            serve(lambda _: httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=Packed()))
            .client()
            .read("GET", "/x")
        )


class Packed(httpx.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"\x1f\x8b"


class Stuck(httpx.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"["
        await asyncio.Event().wait()


@pytest.mark.parametrize(("call", "kind"), [("read", Unavailable), ("write", Ambiguous)])
async def test_answer_that_never_ends_is_given_up(serve: Any, call: str, kind: type[OutsideError]) -> None:
    client = serve(lambda _: httpx.Response(200, stream=Stuck())).client(total_seconds=0.01)
    with pytest.raises(kind, match="TimeoutError"):
        await getattr(client, call)("GET", "/x")


async def test_cancellation_passes_through(serve: Any) -> None:
    client = serve(lambda _: httpx.Response(200, stream=Stuck())).client()
    task = asyncio.create_task(client.read("GET", "/x"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_no_more_than_the_limit_are_under_way_at_once(serve: Any) -> None:
    under_way: list[int] = []
    release = asyncio.Event()

    class Held(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            under_way.append(1)
            await release.wait()
            yield b"[]"

    client = serve(lambda _: httpx.Response(200, stream=Held())).client()
    tasks = [asyncio.create_task(client.read("GET", "/x")) for _ in range(CONCURRENCY * 2)]
    for _ in range(500):
        await asyncio.sleep(0)
    assert len(under_way) == CONCURRENCY
    release.set()
    await asyncio.gather(*tasks)
    assert len(under_way) == CONCURRENCY * 2


def test_host_that_is_not_allowed_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(HostNotAllowed):
        WebClient("https://other.example", None, allowed=AllowedHosts(("git.example",)))


@pytest.mark.parametrize("secret_url", ["https://other.example", "http://git.example", "https://git.example:8443", ""])
def test_token_of_another_server_is_refused(secret_url: str) -> None:
    with pytest.raises(HostNotAllowed):
        WebClient("https://git.example", Credentials("A", "token x", secret_url), allowed=AllowedHosts(("*",)))


@pytest.mark.parametrize("value", ["", " ", "token a\nb", "token ключ", "token \x00"])
def test_token_that_no_header_can_carry_is_bad(value: str) -> None:
    with pytest.raises(BadCredentials) as caught:
        Credentials("Authorization", value, "https://git.example")
    assert value.strip() == "" or value not in str(caught.value)


async def test_missing_thing_is_not_found(serve: Any) -> None:
    with pytest.raises(NotFound, match="GET /api/x answered 404"):
        await serve(answering(404)).client().read("GET", "/x")


async def test_address_that_cannot_be_built_is_refused(serve: Any) -> None:
    with pytest.raises(Refused):
        await serve(answering(200)).client().read("GET", "/" + "x" * 70_000)
