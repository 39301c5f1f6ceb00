"""What operations see of an ingress: readiness, metrics from the first second, and logs without content."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from conveyor_ingress import ops
from conveyor_ingress.logs import _JsonLines
from conveyor_ingress.metrics import Metrics
from conveyor_ingress.secrets import Secrets
from tests.unit.ingress import deliveries
from tests.unit.ingress.conftest import Ingress


@dataclass
class Ops:
    readiness: ops.Readiness
    url: str
    session: aiohttp.ClientSession

    async def get(self, path: str) -> tuple[int, str]:
        async with self.session.get(f"{self.url}{path}") as reply:
            return reply.status, await reply.text()


@pytest.fixture
async def operations(anyio_backend: str, world: Ingress) -> AsyncIterator[Ops]:
    readiness = ops.Readiness(Secrets(world.directory, monotonic=lambda: world.now))
    server = TestServer(ops.application(readiness, world.metrics))
    await server.start_server()
    async with aiohttp.ClientSession() as session:
        yield Ops(readiness, str(server.make_url("")).rstrip("/"), session)
    await server.close()


async def test_ingress_is_not_ready_before_the_api_server_answered(operations: Ops, world: Ingress) -> None:
    world.store.down = True
    task = asyncio.create_task(ops.reach(world.store, operations.readiness))
    await asyncio.sleep(0)
    assert await operations.get("/readyz") == (503, "the API server has not answered yet\n")
    task.cancel()


async def test_ingress_is_ready_once_the_api_server_answered(operations: Ops, world: Ingress) -> None:
    await ops.reach(world.store, operations.readiness)
    assert await operations.get("/readyz") == (200, "ok\n")


async def test_unreadable_secrets_make_it_not_ready(operations: Ops, world: Ingress) -> None:
    operations.readiness.reached = True
    world.directory.rename(world.directory.with_name("away"))
    world.now += 1
    assert (await operations.get("/readyz"))[0] == 503
    assert (await operations.get("/healthz"))[0] == 200


async def test_draining_makes_it_not_ready(operations: Ops) -> None:
    operations.readiness.reached = operations.readiness.draining = True
    assert await operations.get("/readyz") == (503, "draining\n")


async def test_metrics_begin_at_zero(operations: Ops) -> None:
    _, text = await operations.get("/metrics")
    assert 'conveyor_webhooks_total{answer="accepted",event="push",source="gitea"} 0.0' in text
    assert 'conveyor_webhooks_total{answer="unauthorized",event="unverified",source="plane"} 0.0' in text
    assert 'conveyor_webhook_duration_seconds_count{source="gitea"} 0.0' in text


async def test_deliveries_are_counted_by_answer(ingress: Ingress) -> None:
    await ingress.send(deliveries.push())
    await ingress.send(deliveries.push())
    text = ingress.metrics.exposition().decode()
    assert 'conveyor_webhooks_total{answer="accepted",event="push",source="gitea"} 1.0' in text
    assert 'conveyor_webhooks_total{answer="duplicate",event="push",source="gitea"} 1.0' in text


async def test_labels_stay_those_of_the_start_whatever_is_sent(ingress: Ingress) -> None:
    before = _series(Metrics())
    for name in deliveries.names():
        delivery = deliveries.load(*name)
        for sent in (
            delivery,
            delivery.with_body(b"{}"),
            delivery.changed(X_Gitea_Event_Type="hunter2", X_Gitea_Signature="", X_Hub_Signature_256=""),
            delivery.changed(X_Gitea_Event_Type="hunter2", X_Plane_Event="hunter2"),
        ):
            await ingress.send(sent)
    assert _series(ingress.metrics) == before


def _series(metrics: Metrics) -> set[str]:
    lines = metrics.exposition().decode().splitlines()
    return {line.rsplit(" ", 1)[0] for line in lines if line.startswith("conveyor_")}


async def test_logs_hold_neither_payload_nor_header_nor_secret(
    ingress: Ingress, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    delivery = deliveries.push()
    marked = delivery.edited(compare_url="hunter2", ref="refs/heads/hunter2")
    for sent in (marked, marked.changed(X_Gitea_Event="hunter2"), marked.changed(X_Gitea_Signature="hunter2")):
        await ingress.send(sent)
    ingress.store.down = True
    await ingress.send(marked.edited(after="f" * 40))
    lines = [_JsonLines().format(record) for record in caplog.records if record.name.startswith("conveyor_ingress")]
    assert len(lines) >= 2
    for secret in ("hunter2", delivery.secret, delivery.headers["X-Gitea-Signature"]):
        assert secret not in "".join(lines)


def test_log_line_is_json_with_fields_and_without_the_text_of_an_error() -> None:
    error = (ValueError, ValueError("hunter2"), None)
    record = logging.makeLogRecord({"msg": "what happened", "exc_info": error, "count": 3})
    line = json.loads(_JsonLines().format(record))
    assert (line["message"], line["count"], line["error"]) == ("what happened", "3", "ValueError")
    assert "hunter2" not in str(line)
