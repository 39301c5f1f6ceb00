"""What each answer of the API server means to the ingress, and what it never does with its token."""

import asyncio
import ssl
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from conveyor.api.annotations import HintClass
from conveyor_ingress import api_server
from conveyor_ingress.api_server import ApiServer
from conveyor_ingress.cluster_access import Access
from conveyor_ingress.resolve import CreateItem, PatchHint
from conveyor_ingress.store import StoreUnavailable

HINT = PatchHint("WorkItem", "shop-et-1", HintClass.PUSH, "main 0123")
ITEM = CreateItem("shop-et-1", "shop", {"tracker": "Plane"}, HintClass.TICKET, "ET-1 0123")


class Scripted:
    """An API server that says one thing to everybody, and remembers what it was asked."""

    def __init__(self) -> None:
        self.status, self.body, self.headers = 200, "{}", dict[str, str]()
        self.hangs = False
        self.connections = set[object]()
        self.asked: list[tuple[str, str, str, str]] = []
        self.queries: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        authorization = request.headers.get("Authorization", "")
        self.connections.add(request.transport)
        self.queries.append(request.query_string)
        self.asked.append((request.method, request.path, authorization, await request.text()))
        if self.hangs:
            await asyncio.Event().wait()
        return web.Response(status=self.status, text=self.body, headers=self.headers)


@pytest.fixture
def scripted() -> Scripted:
    return Scripted()


@pytest.fixture
async def store(anyio_backend: str, scripted: Scripted) -> AsyncIterator[ApiServer]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", scripted.answer)
    server = TestServer(app, handler_cancellation=True)
    await server.start_server()
    access = Access(str(server.make_url("")).rstrip("/"), ssl.create_default_context(), lambda: "the-token")
    async with ApiServer(access) as client:
        yield client
    await server.close()


@pytest.mark.parametrize("status", [301, 400, 401, 403, 409, 410, 422, 429, 500, 503, 504])
async def test_read_that_is_neither_yes_nor_no_is_unavailable(
    store: ApiServer, scripted: Scripted, status: int
) -> None:
    scripted.status = status
    with pytest.raises(StoreUnavailable):
        await store.repository("team-a", "shop")


@pytest.mark.parametrize("status", [301, 400, 401, 403, 409, 422, 429, 500, 503])
async def test_patch_that_is_neither_yes_nor_no_is_unavailable(
    store: ApiServer, scripted: Scripted, status: int
) -> None:
    scripted.status = status
    with pytest.raises(StoreUnavailable):
        await store.put_hint("team-a", HINT)


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 422, 429, 500, 503])
async def test_create_that_is_neither_yes_nor_no_is_unavailable(
    store: ApiServer, scripted: Scripted, status: int
) -> None:
    scripted.status = status
    with pytest.raises(StoreUnavailable):
        await store.create_item("team-a", ITEM)


async def test_absent_object_is_none(store: ApiServer, scripted: Scripted) -> None:
    scripted.status = 404
    assert await store.item("team-a", "shop-et-1") is None


async def test_newest_is_read_from_etcd_and_a_glance_is_not(store: ApiServer, scripted: Scripted) -> None:
    scripted.status = 404
    await store.repository("team-a", "shop")
    await store.item("team-a", "shop-et-1")
    await store.item("team-a", "shop-et-1", newest=False)
    assert scripted.queries == ["", "", "resourceVersion=0"]


async def test_patch_of_an_absent_object_is_not_stored(store: ApiServer, scripted: Scripted) -> None:
    scripted.status = 404
    assert not await store.put_hint("team-a", HINT)


async def test_create_of_a_name_that_exists_is_not_stored(store: ApiServer, scripted: Scripted) -> None:
    scripted.status = 409
    assert not await store.create_item("team-a", ITEM)


async def test_patch_carries_one_annotation_and_nothing_else(store: ApiServer, scripted: Scripted) -> None:
    assert await store.put_hint("team-a", HINT)
    ((method, path, _, body),) = scripted.asked
    assert (method, path) == ("PATCH", "/apis/conveyor.dev/v1alpha1/namespaces/team-a/workitems/shop-et-1")
    assert body == '{"metadata": {"annotations": {"hint.conveyor.dev/push": "main 0123"}}}'


@pytest.mark.parametrize("status", [200, 404])
async def test_connection_is_used_again_however_long_the_answer(
    store: ApiServer, scripted: Scripted, status: int
) -> None:
    scripted.status, scripted.body = status, "x" * 500_000
    for _ in range(3):
        await store.put_hint("team-a", HINT)
    assert len(scripted.connections) == 1


@pytest.mark.parametrize("body", ["", "[]", "null", '{"metadata": {}}', "<html>"])
async def test_answer_that_is_no_object_is_unavailable(store: ApiServer, scripted: Scripted, body: str) -> None:
    scripted.body = body
    with pytest.raises(StoreUnavailable):
        await store.repository("team-a", "shop")


async def test_server_that_hangs_is_unavailable(
    store: ApiServer, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store._session, "_timeout", aiohttp.ClientTimeout(total=0.1))
    scripted.hangs = True
    with pytest.raises(StoreUnavailable):
        await store.put_hint("team-a", HINT)


async def test_server_that_is_away_is_unavailable() -> None:
    access = Access("http://127.0.0.1:9", ssl.create_default_context(), lambda: None)
    async with ApiServer(access) as client:
        with pytest.raises(StoreUnavailable):
            await client.reach()


async def test_token_that_cannot_be_read_is_unavailable(store: ApiServer) -> None:
    def unreadable() -> str:
        raise FileNotFoundError

    async with ApiServer(Access(store._access.server, store._access.tls, unreadable)) as client:
        with pytest.raises(StoreUnavailable):
            await client.reach()


async def test_redirect_is_not_followed_with_the_token(store: ApiServer, scripted: Scripted) -> None:
    scripted.status, scripted.headers = 307, {"Location": "/elsewhere"}
    with pytest.raises(StoreUnavailable):
        await store.put_hint("team-a", HINT)
    assert [(path, token) for _, path, token, _ in scripted.asked] == [
        ("/apis/conveyor.dev/v1alpha1/namespaces/team-a/workitems/shop-et-1", "Bearer the-token")
    ]


async def test_error_shows_no_token(store: ApiServer, scripted: Scripted) -> None:
    scripted.status, scripted.body = 500, "the-token"
    with pytest.raises(StoreUnavailable) as error:
        await store.reach()
    assert "the-token" not in str(error.value)


def test_calls_of_one_delivery_end_before_gitea_gives_up() -> None:
    assert api_server.CONNECT_SECONDS < api_server.CALL_SECONDS < 5
