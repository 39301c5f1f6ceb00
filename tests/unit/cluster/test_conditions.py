"""A write that was decided upon an older version, or another's object, is refused: the API server is told of both.

The server here does what a real one does with a version and a uid: it refuses what names others than its own, and
stores what names none.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client.configuration import Configuration

from conveyor.cluster.client import KubernetesCluster
from conveyor.cluster.connection import Connection
from conveyor.cluster.leases import LeaseSpec
from conveyor.cluster.protocol import JSONObject, Key, Kind, Lost

KEY = Key("team", "shop-et-1")
THERE = {"uid": "u-2", "resourceVersion": "2"}
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
LEASE = LeaseSpec("process-1/u-1", duration_seconds=60, acquire_time=NOW, renew_time=NOW, transitions=0)


class Server:
    """One object, whatever is asked for."""

    def __init__(self) -> None:
        self.stored: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        body: JSONObject = await request.json()
        wanted = body.get("preconditions") or body.get("metadata") or {}
        if any(THERE[name] != value for name, value in wanted.items() if name in THERE):
            status = {"kind": "Status", "reason": "Conflict", "details": {"name": KEY.name}}
            return web.json_response(status, status=409)
        self.stored.append(request.method)
        return web.json_response({"metadata": THERE})


@pytest.fixture
async def server() -> Server:
    return Server()


@pytest.fixture
async def cluster(server: Server) -> AsyncIterator[KubernetesCluster]:
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", server.answer)
    async with (
        TestServer(application) as running,
        Connection(Configuration(host=str(running.make_url("")))) as connection,
    ):
        yield KubernetesCluster(connection)


Write = Callable[[KubernetesCluster, str, str], Awaitable[object]]
WRITES: dict[str, Write] = {
    "a status": lambda it, _, version: it.patch_status(Kind.WORKITEM, KEY, resource_version=version, status={}),
    "the finalizers": lambda it, _, version: it.set_finalizers(
        Kind.WORKITEM, KEY, resource_version=version, finalizers=()
    ),
    "a Lease": lambda it, _, version: it.update_lease(KEY, LEASE, resource_version=version),
    "a Lease's end": lambda it, uid, version: it.delete_lease(KEY, uid=uid, resource_version=version),
}
ENDS: dict[str, Write] = {
    "an item's end": lambda it, uid, _: it.delete(Kind.WORKITEM, KEY, uid=uid),
    "a Job's end": lambda it, uid, _: it.delete_job(KEY, uid=uid),
}


@pytest.mark.parametrize("what", WRITES)
async def test_write_decided_upon_an_older_version_is_lost(
    cluster: KubernetesCluster, server: Server, what: str
) -> None:
    assert isinstance(await WRITES[what](cluster, "u-2", "1"), Lost)
    assert server.stored == []


@pytest.mark.parametrize("what", ["a Lease's end", *ENDS])
async def test_end_of_a_namesake_is_not_stored(cluster: KubernetesCluster, server: Server, what: str) -> None:
    await (WRITES | ENDS)[what](cluster, "u-1", "2")
    assert server.stored == []


@pytest.mark.parametrize("what", [*WRITES, *ENDS])
async def test_write_decided_upon_what_is_there_is_stored_once(
    cluster: KubernetesCluster, server: Server, what: str
) -> None:
    await (WRITES | ENDS)[what](cluster, "u-2", "2")
    assert len(server.stored) == 1
