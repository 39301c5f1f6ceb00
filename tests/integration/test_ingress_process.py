"""`conveyor-ingress` as a process: its start, one delivery on a real API server, and its end."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.cluster.api import Kube
from tests.unit.ingress import deliveries
from tests.unit.ingress.deliveries import Delivery

MEBIBYTE = 1024 * 1024
MEMORY_BYTES = 80 * MEBIBYTE


@dataclass
class Process:
    process: asyncio.subprocess.Process
    port: int
    ops_port: int
    session: aiohttp.ClientSession

    async def send(self, delivery: Delivery) -> tuple[int, Any]:
        url = f"http://127.0.0.1:{self.port}{delivery.path}"
        async with self.session.post(url, data=delivery.body, headers=delivery.headers) as reply:
            return reply.status, await reply.json()

    async def get(self, path: str) -> tuple[int, str]:
        async with self.session.get(f"http://127.0.0.1:{self.ops_port}{path}") as reply:
            return reply.status, await reply.text()

    def resident_bytes(self) -> int:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(**settings: object) -> dict[str, str]:
    own = {key: value for key, value in os.environ.items() if not key.startswith(("CONVEYOR_", "KUBERNETES_"))}
    path = os.pathsep.join([*filter(None, [own.get("PYTHONPATH")]), *(entry for entry in sys.path if entry)])
    return own | {"PYTHONPATH": path} | {f"CONVEYOR_{key}": str(value) for key, value in settings.items()}


async def spawn(**settings: object) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "conveyor_ingress.main",
        env=environment(**settings),
        stderr=asyncio.subprocess.PIPE,
    )


@contextlib.asynccontextmanager
async def running(kubeconfig: Path, directory: Path) -> AsyncIterator[Process]:
    port, ops_port = free_port(), free_port()
    process = await spawn(
        KUBECONFIG=kubeconfig,
        INGRESS_ADDRESS=f"127.0.0.1:{port}",
        INGRESS_OPS_ADDRESS=f"127.0.0.1:{ops_port}",
        INGRESS_SECRETS_DIR=directory,
    )
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        found = Process(process, port, ops_port, session)
        try:
            await _until_listening(found)
            yield found
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def _until_listening(found: Process) -> None:
    async with asyncio.timeout(20):
        while True:
            for port in (found.port, found.ops_port):
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    if found.process.returncode is not None:
                        pytest.fail(f"the ingress ended with {found.process.returncode} before it listened")
                    await asyncio.sleep(0.05)
                    break
                await close(writer)
            else:
                return


async def _until_ready(found: Process) -> None:
    async with asyncio.timeout(20):
        while True:
            if (await found.get("/readyz"))[0] == 200:
                return
            await asyncio.sleep(0.05)


@pytest.fixture
def directory(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The secret of `shop`, in the test's namespace where it has one."""
    directory = tmp_path / "secrets"
    directory.mkdir()
    namespace = request.getfixturevalue("namespace") if "namespace" in request.fixturenames else deliveries.NAMESPACE
    content = {"current": deliveries.SECRETS["gitea-1.26"]}
    (directory / f"gitea.{namespace}.shop").write_text(json.dumps(content))
    return directory


@pytest.fixture
def nobody(tmp_path: Path) -> Path:
    """A kubeconfig of an API server that is not there."""
    path = tmp_path / "kubeconfig"
    content = {
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "clusters": [{"name": "x", "cluster": {"server": f"https://127.0.0.1:{free_port()}"}}],
        "users": [{"name": "x", "user": {"token": "x"}}],
    }
    path.write_text(yaml.safe_dump(content))
    return path


def in_namespace(delivery: Delivery, namespace: str) -> Delivery:
    return Delivery(
        delivery.path.replace(deliveries.NAMESPACE, namespace), delivery.headers, delivery.body, delivery.secret
    )


async def test_delivery_is_stored_in_the_api_server(
    kubeconfig: Path, kube: Kube, crds: None, namespace: str, directory: Path
) -> None:
    forge = {"url": "https://git.test", "owner": "bot", "name": "shop", "credentialsSecretRef": {"name": "gitea"}}
    repositories = f"/apis/conveyor.dev/v1alpha1/namespaces/{namespace}/repositories"
    body = {"apiVersion": "conveyor.dev/v1alpha1", "kind": "Repository", "metadata": {"name": "shop"}}
    kube.post(repositories, body | {"spec": {"forge": forge}})
    delivery = in_namespace(deliveries.push(), namespace)
    async with running(kubeconfig, directory) as ingress:
        await _until_ready(ingress)
        assert await ingress.send(delivery) == (202, {"status": "accepted"})
        assert await ingress.send(delivery) == (200, {"status": "duplicate"})
        assert ingress.resident_bytes() < MEMORY_BYTES
    stored = kube.get(f"{repositories}/shop")["metadata"]["annotations"]
    assert stored["hint.conveyor.dev/push"].startswith("feature/PROJ-1 ")


async def test_ingress_without_an_api_server_is_alive_not_ready_and_answers_503(nobody: Path, directory: Path) -> None:
    async with running(nobody, directory) as ingress:
        assert (await ingress.get("/healthz"))[0] == 200
        assert (await ingress.get("/readyz"))[0] == 503
        assert await ingress.send(deliveries.push()) == (503, {"error": "unavailable"})
        assert ingress.process.returncode is None


async def test_delivery_under_way_is_answered_before_the_process_ends(nobody: Path, directory: Path) -> None:
    delivery = deliveries.push()
    head = "".join(f"{name}: {value}\r\n" for name, value in delivery.headers.items())
    async with contextlib.AsyncExitStack() as stack:
        ingress = await stack.enter_async_context(running(nobody, directory))
        reader, writer = await asyncio.open_connection("127.0.0.1", ingress.port)
        stack.push_async_callback(close, writer)
        writer.write(f"POST {delivery.path} HTTP/1.1\r\nHost: x\r\n{head}".encode())
        writer.write(f"Content-Length: {len(delivery.body)}\r\n\r\n".encode() + delivery.body[:100])
        await writer.drain()
        await _until_reading(ingress)
        ingress.process.send_signal(signal.SIGTERM)
        await _until_draining(ingress)
        writer.write(delivery.body[100:])
        async with asyncio.timeout(10):
            assert b" 503 " in await reader.readline()  # answered in full: it could not be stored
            assert await ingress.process.wait() == 0


async def _until_reading(ingress: Process) -> None:
    """Every request before this one was taken in: the loop has come round after both were received."""
    for _ in range(3):
        await ingress.get("/healthz")


async def _until_draining(ingress: Process) -> None:
    async with asyncio.timeout(5):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", ingress.port)
            except ConnectionError:  # reset where it was waiting to be accepted just then
                return
            await close(writer)
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("name", "value"), [("INGRESS_ADDRESS", "nowhere"), ("INGRESS_MAX_BODY_BYTES", "1e9"), ("NAMESPACES", "A B")]
)
async def test_setting_that_cannot_be_read_stops_the_start_and_is_named(nobody: Path, name: str, value: str) -> None:
    process = await spawn(**{"KUBECONFIG": nobody, name: value})
    _, said = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 2
    assert said.decode().startswith(f"conveyor-ingress cannot start: CONVEYOR_{name}: ")


async def test_neither_pod_nor_kubeconfig_stops_the_start() -> None:
    process = await spawn()
    _, said = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 2
    assert b"CONVEYOR_KUBECONFIG" in said
