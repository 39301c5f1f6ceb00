"""`conveyor-operator` as a process of the test's own, and what it is told to work on."""

import base64
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from conveyor.api.stages import Role
from tests.cluster.api import ApiError, Kube
from tests.cluster.gitea import Gitea, Repository
from tests.cluster.processes import free_ports, guard_group, release_group

Object = dict[str, Any]
CALL = "from conveyor.app.main import main; main()"
RESYNC = "import conveyor.engine.resync as r; r.RESYNC_SECONDS = {seconds}; "
"""A resync is due every five minutes; no test waits so long."""


def environment(**settings: object) -> dict[str, str]:
    own = {key: value for key, value in os.environ.items() if not key.startswith(("CONVEYOR_", "KUBERNETES_", "POD_"))}
    path = os.pathsep.join([*filter(None, [own.get("PYTHONPATH")]), *(entry for entry in sys.path if entry)])
    return own | {"PYTHONPATH": path} | {f"CONVEYOR_{key}": str(value) for key, value in settings.items()}


def call(code: str = CALL, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run it to its end, which must come soon."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment(**settings), capture_output=True, text=True, timeout=60, check=False)


class OperatorProcess:
    """`with OperatorProcess(…) as operator`: started, and ended whatever happens."""

    def __init__(
        self,
        kubeconfig: Path,
        namespace: str,
        log: Path,
        *,
        resync: float | None = None,
        before: str = "",
        **settings: object,
    ) -> None:
        """`resync` in seconds; `before` is code that runs in the process before its own."""
        (port,) = free_ports(1)
        self.url, self.log = f"http://127.0.0.1:{port}", log
        self._code = before + (RESYNC.format(seconds=resync) if resync is not None else "") + CALL
        self._environment = environment(
            KUBECONFIG=kubeconfig,
            NAMESPACES=namespace,
            HTTP_ADDRESS=f"127.0.0.1:{port}",
            ALLOWED_HOSTS="127.0.0.1",
            **settings,
        )
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.restart()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()

    def restart(self) -> None:
        """A new process; the old one is killed."""
        self.kill()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", self._code],
                env=self._environment,
                stderr=log,
                stdout=log,
                start_new_session=True,
            )
        guard_group(self._process.pid)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            release_group(self._process.pid)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def answer(self, path: str) -> tuple[int, str]:
        """Status and text; 0 where it does not answer."""
        try:
            reply = httpx.get(self.url + path, timeout=5, trust_env=False)
        except httpx.TransportError:
            return 0, ""
        return reply.status_code, reply.text

    def metric(self, name: str) -> str:
        """The value of a metric without labels; nan where it is not there."""
        lines = self.answer("/metrics")[1].splitlines()
        return next((line.removeprefix(f"{name} ") for line in lines if line.startswith(f"{name} ")), "nan")

    def is_ready(self) -> bool:
        return self.answer("/readyz")[0] == 200

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def ended(self, *, within: float) -> int:
        """Its exit code."""
        assert self._process is not None
        return self._process.wait(timeout=within)


def until(
    condition: Callable[[], object], *, within: float = 30, what: Callable[[], object] = lambda: "it did not come"
) -> None:
    """Ask until it holds; what cannot be asked just now does not hold."""
    end = time.monotonic() + within
    while True:
        try:
            if condition():
                return
        except (ApiError, httpx.TransportError):
            pass
        assert time.monotonic() < end, what()
        time.sleep(0.1)


class Store:
    """What a test puts into one namespace and reads there."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self.kube, self.namespace = kube, namespace
        self._ours = f"/apis/conveyor.dev/v1alpha1/namespaces/{namespace}"

    def path(self, plural: str, name: str = "") -> str:
        return f"{self._ours}/{plural}" + (f"/{name}" if name else "")

    def secret(self, name: str, **values: str) -> None:
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}
        self.kube.post(f"/api/v1/namespaces/{self.namespace}/secrets", secret)

    def repository(self, name: str, forge: Mapping[str, Any], **spec: Any) -> None:
        whole = {"forge": forge, "agents": [{"role": role.value, "image": "agent:1"} for role in Role]} | spec
        self._create("Repository", "repositories", name, whole)

    def item(self, name: str, *, repository: str = "shop", **spec: Any) -> None:
        self._create("WorkItem", "workitems", name, {"repositoryRef": {"name": repository}, "title": name} | spec)

    def _create(self, kind: str, plural: str, name: str, spec: Mapping[str, Any]) -> None:
        manifest = {"apiVersion": "conveyor.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
        self.kube.post(self.path(plural), manifest)

    def status(self, name: str, plural: str = "workitems") -> Object:
        found: Object = self.kube.get(self.path(plural, name)).get("status", {})
        return found

    def stage(self, name: str) -> str:
        return str(self.status(name).get("stage", ""))

    def waiting(self, name: str) -> tuple[str, str]:
        waiting = self.status(name).get("waiting", {})
        return waiting.get("reason", ""), waiting.get("message", "")

    def ready(self, name: str) -> tuple[str, str, str]:
        """Condition Ready of a Repository: status, reason, message."""
        conditions = self.status(name, "repositories").get("conditions", [])
        found: Object = next((it for it in conditions if it["type"] == "Ready"), {})
        return found.get("status", ""), found.get("reason", ""), found.get("message", "")

    def notes(self, name: str) -> list[tuple[str, str]]:
        """Reason and text of the Events about an object."""
        events = self.kube.get(f"/apis/events.k8s.io/v1/namespaces/{self.namespace}/events")["items"]
        return [(event["reason"], event["note"]) for event in events if event["regarding"]["name"] == name]


def forge(gitea: Gitea, repository: Repository, *, secret: str = "forge") -> Object:  # noqa: S107 - a name
    """A Repository's `forge`."""
    return {
        "url": gitea.url,
        "owner": repository.owner,
        "name": repository.name,
        "credentialsSecretRef": {"name": secret},
    }
