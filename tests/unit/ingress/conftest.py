"""An ingress on a real socket, with a store in memory and a directory of secrets."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from conveyor_ingress import answers, limits
from conveyor_ingress.connections import Listener
from conveyor_ingress.metrics import Metrics
from conveyor_ingress.remembered import Remembered
from conveyor_ingress.secrets import Secrets
from conveyor_ingress.server import Receiver
from tests.unit.ingress import deliveries
from tests.unit.ingress.deliveries import NAMESPACE, Delivery
from tests.unit.ingress.memory_store import MemoryStore

MAX_BODY_BYTES = 64 * 1024


@dataclass
class Said:
    """An answer as the sender sees it."""

    code: int
    body: Any

    @property
    def status(self) -> str:
        return str(self.body.get("status") or self.body.get("error"))


@dataclass
class Ingress:
    """What a test holds of a running ingress."""

    store: MemoryStore
    directory: Path
    metrics: Metrics
    now: float = 0.0
    port: int = 0
    namespaces: frozenset[str] = frozenset()
    session: aiohttp.ClientSession = field(init=False)

    def secret(self, name: str, content: object) -> None:
        """Writes one file of the secrets' directory, a second after the last one."""
        text = content if isinstance(content, str) else json.dumps(content)
        (self.directory / name).write_text(text)
        self.now += 1

    async def send(self, delivery: Delivery, *, method: str = "POST") -> Said:
        url = f"http://127.0.0.1:{self.port}{delivery.path}"
        async with self.session.request(method, url, data=delivery.body, headers=delivery.headers) as reply:
            text = await reply.text()
            return Said(reply.status, json.loads(text) if text else {})

    def hints(self, kind: str, name: str) -> dict[str, str]:
        objects = self.store.items if kind == "WorkItem" else self.store.repositories
        found: dict[str, str] = objects[NAMESPACE, name]["metadata"].get("annotations", {})
        return {key.removeprefix("hint.conveyor.dev/"): value for key, value in found.items()}


def repository(name: str, full_name: str, **tracker: Any) -> dict[str, Any]:
    """As the API has it."""
    owner, _, forge_name = full_name.partition("/")
    spec: dict[str, Any] = {"forge": {"owner": owner, "name": forge_name, "url": "https://git.example.test"}}
    return {"metadata": {"name": name}, "spec": spec | ({"tracker": tracker} if tracker else {}), "status": {}}


def item(name: str, *, of: str, branch: str | None = None, issue: str | None = None) -> dict[str, Any]:
    """As the API has it."""
    spec: dict[str, Any] = {"repositoryRef": {"name": of}}
    if issue:
        spec["source"] = {"tracker": "Plane", "projectID": deliveries.PROJECT, "issueID": issue, "key": "ET-42"}
    return {"metadata": {"name": name}, "spec": spec, "status": {"branch": branch} if branch else {}}


def planned(start_states: tuple[str, ...] = (deliveries.STARTING,)) -> dict[str, Any]:
    found = repository(
        "api",
        "acme/api",
        url="https://plane.example.test/",
        workspace="acme",
        projectID=deliveries.PROJECT,
        identifier="ET",
    )
    return found | {"status": {"tracker": {"startStateIDs": list(start_states)}}}


@pytest.fixture
def world(tmp_path: Path) -> Ingress:
    """Three Repositories with their secrets: `shop` and `sample` at Gitea, `api` with a project of Plane."""
    ingress = Ingress(MemoryStore(), tmp_path / "secrets", Metrics())
    ingress.directory.mkdir()
    ingress.store.repositories = {
        (NAMESPACE, "shop"): repository("shop", "bot/shop"),
        (NAMESPACE, "sample"): repository("sample", "acme/widgets"),
        (NAMESPACE, "api"): planned(),
    }
    ingress.secret(f"gitea.{NAMESPACE}.shop", {"current": deliveries.SECRETS["gitea-1.26"]})
    ingress.secret(f"gitea.{NAMESPACE}.sample", {"current": deliveries.SECRETS["gitea-crafted"]})
    ingress.secret(
        f"plane.{NAMESPACE}.{deliveries.PROJECT}", {"current": deliveries.SECRETS["plane"], "repository": "api"}
    )
    return ingress


@pytest.fixture
def receiver(world: Ingress) -> Receiver:
    return Receiver(
        store=world.store,
        secrets=Secrets(world.directory, monotonic=lambda: world.now),
        metrics=world.metrics,
        max_body_bytes=MAX_BODY_BYTES,
        namespaces=world.namespaces,
        held=limits.Held(),
        remembered=Remembered(lambda: world.now),
    )


@pytest.fixture
def quick_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same limits, in tenths of seconds."""
    monkeypatch.setattr(limits, "HEADER_SECONDS", 0.3)
    monkeypatch.setattr(limits, "BODY_SECONDS", 0.3)
    monkeypatch.setattr(limits, "LINGER_SECONDS", 0.1)
    monkeypatch.setattr(limits, "DRAIN_SECONDS", 0.3)


@pytest.fixture
async def ingress(anyio_backend: str, world: Ingress, receiver: Receiver) -> AsyncIterator[Ingress]:
    listener = Listener(
        receiver,
        on_malformed=lambda: world.metrics.not_http(answers.MALFORMED),
        on_refused=world.metrics.connection_refused,
        max_connections=16,
    )
    world.port = await listener.start("127.0.0.1", 0)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as world.session:
        yield world
    await listener.drain()
    assert receiver.held.bytes == 0
