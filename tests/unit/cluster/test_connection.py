"""Which failures of the connection prove that nothing happened, and how the service account's token is kept fresh."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from kubernetes.aio.client.configuration import Configuration

from conveyor.cluster.client import KubernetesCluster
from conveyor.cluster.connection import (
    TOKEN_SECONDS,
    Connection,
    Reply,
    TokenFile,
    from_kubeconfig,
    in_cluster,
    options,
)
from conveyor.cluster.protocol import Key, Kind, Uncertain
from conveyor.web.errors import Ambiguous, BadCredentials, RateLimited, Unavailable

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
KEY = Key("team", "shop-et-1")


@asynccontextmanager
async def api_server(handler: Handler) -> AsyncIterator[Connection]:
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", handler)
    async with (
        TestServer(application) as server,
        Connection(Configuration(host=str(server.make_url("")))) as connection,
    ):
        yield connection


def answering(status: int, body: Any = None, **headers: str) -> Handler:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.json_response(body or {}, status=status, headers=headers)

    return handler


async def hang_up(request: web.Request) -> web.StreamResponse:
    await request.read()
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def test_refused_connection_proves_that_nothing_happened() -> None:
    async with Connection(Configuration(host=f"http://127.0.0.1:{unused_port()}")) as connection:
        with pytest.raises(Unavailable, match="no connection"):
            await connection.request("PATCH", "/x", body={})


@pytest.mark.parametrize("host", ["https://h:abc", "https://127.0.0.1:99999", "https://[::1", "", "127.0.0.1"])
async def test_address_that_is_none_is_an_api_server_that_cannot_be_reached(host: str) -> None:
    async with Connection(Configuration(host=host)) as connection:
        with pytest.raises(Unavailable, match="address"):
            await connection.request("PATCH", "/x", body={})


async def test_connection_cut_after_a_write_was_sent_leaves_it_uncertain() -> None:
    async with api_server(hang_up) as connection:
        cluster = KubernetesCluster(connection)
        written = await cluster.patch_status(Kind.WORKITEM, KEY, resource_version="1", status={})
    assert isinstance(written, Uncertain)


async def test_connection_cut_during_a_deletion_is_ambiguous() -> None:
    async with api_server(hang_up) as connection:
        with pytest.raises(Ambiguous):
            await KubernetesCluster(connection).delete(Kind.WORKITEM, KEY, uid="u-1")


async def test_connection_cut_during_a_read_is_unavailable() -> None:
    async with api_server(hang_up) as connection:
        with pytest.raises(Unavailable):
            await KubernetesCluster(connection).get(Kind.WORKITEM, KEY)


async def test_write_without_an_answer_in_time_is_ambiguous() -> None:
    over = asyncio.Event()

    async def hang(_: web.Request) -> web.StreamResponse:
        await over.wait()
        return web.Response()

    async with api_server(hang) as connection:
        with pytest.raises(Ambiguous):
            await connection.request("PATCH", "/x", body={}, timeout=0.05)
        over.set()


async def test_write_is_sent_once_whatever_the_answer() -> None:
    seen: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append(request.method)
        return await hang_up(request)

    async with api_server(handler) as connection:
        for method in ("PATCH", "POST"):
            with pytest.raises(Ambiguous):
                await connection.request(method, "/x", body={})
    assert seen == ["PATCH", "POST"]


async def test_write_that_is_redirected_does_not_count_as_stored() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.method == "PATCH":
            return web.Response(status=303, headers={"Location": "/elsewhere"})
        return web.json_response({"metadata": {"name": KEY.name, "resourceVersion": "1"}})

    async with api_server(handler) as connection:
        cluster = KubernetesCluster(connection)
        written = await cluster.patch_status(Kind.WORKITEM, KEY, resource_version="1", status={})
    assert isinstance(written, Uncertain)


async def test_busy_api_server_says_when_to_come_back() -> None:
    async with api_server(answering(429, **{"Retry-After": "7"})) as connection:
        with pytest.raises(RateLimited) as caught:
            await connection.request("PATCH", "/x", body={})
    assert caught.value.until_seconds == 7


async def test_refused_credentials_are_an_error_of_their_own() -> None:
    async with api_server(answering(401)) as connection:
        with pytest.raises(BadCredentials):
            await connection.request("GET", "/x")


async def test_answer_that_is_no_json_has_no_body() -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(text="404 page not found", status=404)

    async with api_server(handler) as connection:
        assert await connection.request("GET", "/x") == Reply(404, {})


async def test_listing_begins_anew_where_it_expired_half_way() -> None:
    pages = [
        web.json_response({"items": [{"metadata": {"name": "old"}}], "metadata": {"continue": "t-1"}}),
        web.json_response({"reason": "Expired"}, status=410),
        web.json_response({"items": [{"metadata": {"name": "a"}}], "metadata": {"continue": "t-2"}}),
        web.json_response({"items": [{"metadata": {"name": "b"}}], "metadata": {}}),
    ]
    asked: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append(request.query.get("continue", ""))
        return pages[len(asked) - 1]

    async with api_server(handler) as connection:
        found = [page async for page in KubernetesCluster(connection).pages(Kind.WORKITEM)]
    assert [item["metadata"]["name"] for page in found for item in page] == ["old", "a", "b"]
    assert asked == ["", "t-1", "", "t-2"]


async def test_listing_that_expires_again_and_again_is_given_up() -> None:
    async with api_server(answering(410)) as connection:
        with pytest.raises(Unavailable, match="expired"):
            [page async for page in KubernetesCluster(connection).pages(Kind.WORKITEM)]


# --- the token


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def token_in(configuration: Configuration) -> str:
    return str(configuration.api_key["BearerToken"])


def test_rotated_token_is_read_after_a_minute(tmp_path: Path) -> None:
    file, clock, configuration = tmp_path / "token", Clock(), Configuration()
    token = TokenFile(file, clock)
    file.write_text("first\n")
    token.refresh(configuration)
    file.write_text("second")
    clock.now += TOKEN_SECONDS - 1
    token.refresh(configuration)
    assert token_in(configuration) == "Bearer first"
    clock.now += 1
    token.refresh(configuration)
    assert token_in(configuration) == "Bearer second"


def test_refused_token_is_read_again_at_once(tmp_path: Path) -> None:
    file, configuration = tmp_path / "token", Configuration()
    token = TokenFile(file, Clock())
    file.write_text("first")
    token.refresh(configuration)
    file.write_text("second")
    token.forget()
    token.refresh(configuration)
    assert token_in(configuration) == "Bearer second"


@pytest.mark.parametrize("content", [None, "", "\n"], ids=["no file", "empty", "a line break"])
def test_missing_token_sends_nothing(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "token").write_text(content)
    with pytest.raises(Unavailable, match="token"):
        TokenFile(tmp_path / "token").refresh(Configuration())


def test_process_outside_a_pod_has_no_connection(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no pod"):
        in_cluster(directory=tmp_path, environ={})


@pytest.mark.parametrize("content", [None, "a: [", "{}"], ids=["no file", "no YAML", "nothing in it"])
async def test_unusable_kubeconfig_is_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "config").write_text(content)
    with pytest.raises(Unavailable, match="config cannot be used"):
        await from_kubeconfig(tmp_path / "config")


async def test_proxy_and_server_name_of_a_kubeconfig_go_with_every_request() -> None:
    configuration = Configuration(host="https://10.0.0.1:6443")
    assert options(configuration) == {"allow_redirects": False}
    configuration.proxy, configuration.proxy_headers = "http://proxy.test:3128", {"X-Of": "us"}
    configuration.tls_server_name = "kubernetes.default"
    assert options(configuration) == {
        "allow_redirects": False,
        "proxy": "http://proxy.test:3128",
        "proxy_headers": {"X-Of": "us"},
        "server_hostname": "kubernetes.default",
    }
