"""The operator's pages over a real socket: what each answers, that nothing can be done, and how its text is escaped."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from conveyor.app import http
from conveyor.app.health import Health
from conveyor.app.metrics import Metrics
from conveyor.app.settings import Address
from conveyor.cluster.protocol import JSONObject, Kind


@dataclass
class Pages:
    """The pages with a view that the test fills and a clock that it moves."""

    health: Health = field(default_factory=Health)
    metrics: Metrics = field(default_factory=Metrics)
    view: JSONObject = field(default_factory=lambda: {"items": []})
    asked: list[str | None] = field(default_factory=list)
    now: float = 0.0
    client: TestClient[aiohttp.web.Request, aiohttp.web.Application] | None = None

    def queue(self, repository: str | None) -> bytes:
        self.asked.append(repository)
        return json.dumps(self.view).encode()

    async def call(self, path: str, method: str = "GET") -> aiohttp.ClientResponse:
        assert self.client is not None
        response = await self.client.request(method, path)
        await response.read()
        return response

    async def text(self, path: str) -> str:
        return await (await self.call(path)).text()


@pytest.fixture
async def pages(anyio_backend: str) -> AsyncIterator[Pages]:
    pages = Pages()
    app = http.application(health=pages.health, metrics=pages.metrics, queue=pages.queue, clock=lambda: pages.now)
    async with TestClient(TestServer(app)) as pages.client:
        yield pages


async def test_queue_is_json(pages: Pages) -> None:
    pages.view = {"items": [{"name": "shop-et-1"}]}
    response = await pages.call("/queue")
    assert (response.status, response.content_type, await response.json()) == (200, "application/json", pages.view)


@pytest.mark.parametrize(
    ("query", "repository"), [("", None), ("?repository=", None), ("?repository=shop", "shop"), ("?other=1", None)]
)
async def test_queue_is_asked_for_the_repository_given(pages: Pages, query: str, repository: str | None) -> None:
    await pages.call(f"/queue{query}")
    assert pages.asked == [repository]


async def test_queue_with_a_huge_name_is_refused(pages: Pages) -> None:
    assert (await pages.call(f"/queue?repository={'x' * 300}")).status == 400


async def test_queue_is_made_once_for_many_readers(pages: Pages) -> None:
    await asyncio.gather(*(pages.call("/queue") for _ in range(20)))
    assert pages.asked == [None]


async def test_queue_is_made_anew_after_a_moment(pages: Pages) -> None:
    await pages.call("/queue")
    pages.now += http.QUEUE_FRESH_SECONDS
    pages.view = {"items": ["new"]}
    assert json.loads(await pages.text("/queue")) == {"items": ["new"]}


async def test_one_repository_is_not_answered_for_another(pages: Pages) -> None:
    pages.view = {"items": ["shop"]}
    await pages.call("/queue?repository=shop")
    pages.view = {"items": ["bank"]}
    assert json.loads(await pages.text("/queue?repository=bank")) == {"items": ["bank"]}


async def test_answers_kept_are_bounded(pages: Pages) -> None:
    for number in range(http.QUEUE_ANSWERS_KEPT + 1):
        await pages.call(f"/queue?repository=r{number}")
    await pages.call("/queue?repository=r0")
    assert pages.asked.count("r0") == 2


async def test_metrics_are_in_the_text_format(pages: Pages) -> None:
    response = await pages.call("/metrics")
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    assert "conveyor_conflicts_total 0.0" in await response.text()


async def test_a_new_process_is_live_but_not_ready(pages: Pages) -> None:
    assert [(await pages.call(path)).status for path in ("/healthz", "/readyz")] == [200, 503]


async def test_a_process_that_has_listed_everything_is_ready(pages: Pages) -> None:
    for kind in Kind:
        pages.health.listed(kind)
    assert (await pages.call("/readyz")).status == 200


async def test_a_process_that_is_not_live_says_why(pages: Pages) -> None:
    pages.health.loop_lag(60.0)
    response = await pages.call("/healthz")
    assert (response.status, await response.text()) == (503, "the event loop was held for 60.0 s\n")


@pytest.mark.parametrize("path", ["/queue", "/metrics", "/healthz", "/readyz"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_nothing_but_reading_is_allowed(pages: Pages, path: str, method: str) -> None:
    assert (await pages.call(path, method)).status == 405


@pytest.mark.parametrize("path", ["/queue", "/metrics", "/healthz", "/readyz", "/elsewhere"])
async def test_every_answer_is_guarded_against_browsers(pages: Pages, path: str) -> None:
    headers = (await pages.call(path)).headers
    assert {name: headers[name] for name in http.HEADERS} == http.HEADERS


async def test_pages_are_served_at_the_address_until_the_end() -> None:
    health, metrics = Health(), Metrics()
    async with (
        http.serve(Address("127.0.0.1", 0), health=health, metrics=metrics, queue=lambda _: b"{}") as address,
        aiohttp.ClientSession() as session,
        session.get(f"http://{address}/healthz") as response,
    ):
        assert response.status == 200
    with pytest.raises(OSError, match=r"."):
        await asyncio.open_connection(*address)


async def test_an_address_in_use_is_an_error() -> None:
    health, metrics = Health(), Metrics()
    async with http.serve(Address("127.0.0.1", 0), health=health, metrics=metrics, queue=lambda _: b"{}") as address:
        second = http.serve(address, health=health, metrics=metrics, queue=lambda _: b"{}")
        with pytest.raises(OSError, match="in use"):
            await second.__aenter__()
