"""The ingress as a process that may be away: what Gitea sends meanwhile is lost."""

import asyncio
import json
import secrets
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.processes import free_ports
from tests.faults.project import Project
from tests.integration.engine_process import environment

EVENTS = ("push", "create", "pull_request", "pull_request_review", "status")


class Ingress:
    """Made by `ingress`."""

    def __init__(self, kubeconfig: Path, namespace: str, directory: Path) -> None:
        self._port, ops = free_ports(2)
        self._namespace, self._directory, self._secret = namespace, directory / "hooks", secrets.token_hex(16)
        self._directory.mkdir()
        self._log = directory / "ingress.log"
        self._environment = environment(
            KUBECONFIG=kubeconfig,
            INGRESS_ADDRESS=f"127.0.0.1:{self._port}",
            INGRESS_OPS_ADDRESS=f"127.0.0.1:{ops}",
            INGRESS_SECRETS_DIR=self._directory,
        )
        self._process: subprocess.Popen[bytes] | None = None

    def hear_of(self, name: str, project: Project) -> None:
        """Of this Repository's project; before it is started."""
        (self._directory / f"gitea.{self._namespace}.{name}").write_text(json.dumps({"current": self._secret}))
        url = f"http://127.0.0.1:{self._port}/webhooks/gitea/{self._namespace}/{name}"
        project.gitea.create_hook(project.repository, url=url, secret=self._secret, events=EVENTS)

    def start(self) -> None:
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "conveyor_ingress.main"]
            self._process = subprocess.Popen(command, env=self._environment, stderr=log, stdout=log)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def be_away(self, seconds: float) -> None:
        self.stop()
        await asyncio.sleep(seconds)
        self.start()


@contextmanager
def ingress(
    kubeconfig: Path, namespace: str, directory: Path, *, projects: Iterable[tuple[str, Project]]
) -> Iterator[Ingress]:
    made = Ingress(kubeconfig, namespace, directory)
    for name, project in projects:
        made.hear_of(name, project)
    made.start()
    try:
        yield made
    finally:
        made.stop()
