"""The watch after a deploy by `conveyor-operator` as a process: real probes, a real API server, the process killed.

The item was done before the process began; it is given its watch by hand, as a deploy would leave it.
"""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from conveyor.api.fields import rfc3339
from tests.cluster.api import Kube
from tests.cluster.crds import install
from tests.integration.engine_process import OperatorProcess, Store, until

WAY = ("created", "analysis", "architecture", "development", "done")
NOWHERE = {
    "url": "http://127.0.0.1:1",
    "owner": "acme",
    "name": "shop",
    "credentialsSecretRef": {"name": "none"},
}


class Product(ThreadingHTTPServer):
    """What was deployed: answers `status` to every GET."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Page)
        self.status, self.asked = 200, 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/healthz"


class _Page(BaseHTTPRequestHandler):
    server: Product

    def do_GET(self) -> None:
        self.server.asked += 1
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def product() -> Iterator[Product]:
    with Product() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def store(kube: Kube, namespace: str) -> Store:
    install(kube)
    return Store(kube, namespace)


@pytest.fixture
def operator(kubeconfig: Path, store: Store, tmp_path: Path) -> Iterator[OperatorProcess]:
    with OperatorProcess(kubeconfig, store.namespace, tmp_path / "log") as process:
        yield process


def deployed(store: Store, product: Product, *, seconds: float) -> None:
    """A Repository with one item that is done, and watched for so long."""
    monitor = {"windowSeconds": 600, "intervalSeconds": 1, "failureThreshold": 3, "probes": [{"url": product.url}]}
    store.repository("shop", NOWHERE, monitor=monitor)
    store.item("cart")
    path, now = f"{store.path('workitems', 'cart')}/status", datetime.now(UTC)
    for stage in WAY:
        store.kube.patch(path, {"status": {"stage": stage, "stageEnteredTime": rfc3339(now)}})
    until = rfc3339(now + timedelta(seconds=seconds))
    deploy = {"from": "deploy", "to": "done", "time": rfc3339(now), "actor": "a", "cause": "deployed"}
    watch = {"untilTime": until, "verdict": "Watching", "failures": 0, "freezeID": "", "message": ""}
    store.kube.patch(path, {"status": {"monitor": watch, "history": [deploy | {"transitionID": "d3p10y"}]}})


@pytest.mark.long
def test_product_that_stays_well_is_healthy(store: Store, product: Product, operator: OperatorProcess) -> None:
    deployed(store, product, seconds=3)
    until(lambda: store.status("cart")["monitor"]["verdict"] == "Healthy")
    assert product.asked >= 1
    until(lambda: 'conveyor_monitor_verdicts_total{verdict="Healthy"} 1.0' in operator.answer("/metrics")[1])


def test_product_that_fails_freezes_its_repository_though_the_operator_is_killed_on_the_way(
    store: Store, product: Product, operator: OperatorProcess
) -> None:
    deployed(store, product, seconds=600)
    until(lambda: '"watched":[{"name":"cart"' in operator.answer("/queue?repository=shop")[1])
    product.status = 500
    until(lambda: store.status("cart")["monitor"]["failures"] >= 1)
    operator.restart()
    until(lambda: store.status("cart")["monitor"]["verdict"] == "Degraded")
    (freeze,) = store.status("shop", "repositories")["freezes"]
    assert (freeze["id"], freeze["item"], freeze["scope"]) == ("d3p10y", "cart", "merge")
    monitor = store.status("cart")["monitor"]
    assert (monitor["freezeID"], monitor["failures"]) == ("d3p10y", 3)
    assert monitor["message"] == f"{product.url}: it answered 500, wanted 2xx"
    until(lambda: "Degraded" in dict(store.notes("cart")))
    until(lambda: operator.metric("conveyor_freezes") == "1.0")
    assert '"watched":[]' in operator.answer("/queue?repository=shop")[1]
