"""The watch on a real API server: what it tells, and that nothing falls between its beginning and a listing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from conveyor.cluster.client import KubernetesCluster, sources
from conveyor.cluster.connection import Connection, from_kubeconfig
from conveyor.cluster.protocol import JSONObject, Key, Kind, Won
from conveyor.cluster.watch import Told, Watch
from tests.integration.crd_objects import HAND_MADE, listed


@pytest.fixture
async def connection(kubeconfig: Path) -> AsyncIterator[Connection]:
    async with await from_kubeconfig(kubeconfig) as connection:
        yield connection


def item(namespace: str, name: str) -> JSONObject:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "conveyor.dev/v1alpha1", "kind": "WorkItem", "metadata": metadata, "spec": HAND_MADE}


class Ears:
    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.failed: list[BaseException] = []
        self._changed = asyncio.Event()

    def told(self) -> Told:
        def hear(what: str) -> Callable[[JSONObject], None]:
            def take(obj: JSONObject) -> None:
                self._put(what, str(obj["metadata"]["name"]))

            return take

        return Told(hear("seen"), hear("gone"), lambda: self._put("begins", ""), self.failed.append)

    def _put(self, what: str, name: str) -> None:
        self.heard.append((what, name))
        self._changed.set()

    async def until(self, what: str, name: str = "", *, times: int = 1) -> None:
        async with asyncio.timeout(30):
            while self.heard.count((what, name)) < times:
                self._changed.clear()
                await self._changed.wait()


@pytest.mark.usefixtures("crds")
async def test_watch_of_items_tells_what_happens_after_its_beginning(connection: Connection, namespace: str) -> None:
    cluster, ears = KubernetesCluster(connection, namespaces=(namespace,)), Ears()
    await cluster.create(Kind.WORKITEM, item(namespace, "before"))
    (source,) = sources((namespace,), heartbeat=Key(namespace, "beat"))[Kind.WORKITEM]
    running = asyncio.create_task(Watch(connection, source, ears.told()).run())
    await ears.until("begins")
    assert [obj["metadata"]["name"] for obj in await listed(cluster, Kind.WORKITEM)] == ["before"]
    created = await cluster.create(Kind.WORKITEM, item(namespace, "after"))
    assert isinstance(created, Won)
    await ears.until("seen", "after")
    await cluster.delete(Kind.WORKITEM, Key(namespace, "after"), uid=created.object["metadata"]["uid"])
    await ears.until("gone", "after")
    running.cancel()
    assert ("seen", "before") not in ears.heard
    assert ears.failed == []


async def test_watch_of_the_heartbeat_tells_first_what_is_there(connection: Connection, namespace: str) -> None:
    cluster, ears, beat = KubernetesCluster(connection), Ears(), Key(namespace, "beat")
    await cluster.touch_heartbeat(Key(namespace, "another"), value="1")
    await cluster.touch_heartbeat(beat, value="1")
    (source,) = sources((), heartbeat=beat)["leases"]
    running = asyncio.create_task(Watch(connection, source, ears.told()).run())
    await ears.until("seen", "beat")
    await cluster.touch_heartbeat(beat, value="2")
    await ears.until("seen", "beat", times=2)
    running.cancel()
    assert ("seen", "another") not in ears.heard


async def test_watches_of_a_whole_cluster_and_of_namespaces_are_served(connection: Connection, namespace: str) -> None:
    for namespaces in ((), (namespace, "default")):
        found = sources(namespaces, heartbeat=Key(namespace, "beat"))["jobs"]
        assert len(found) == max(len(namespaces), 1)
        for source in found:
            params = {**source.selector, "watch": "true", "timeoutSeconds": "1"}
            async with connection.stream(source.path, params=params) as lines:
                told = [line async for line in lines]
            assert all(line.startswith(b'{"type":') for line in told if line)
