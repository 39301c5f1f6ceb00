"""The processes of the demo: the product's own two, and CI."""

import os
import secrets
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from examples.demo.forge import EXAMPLES
from examples.demo.objects import SYSTEM
from examples.demo.tickets import OWNER, PROJECTS
from tests.cluster.node import ImageSpec
from tests.cluster.processes import Server, free_ports

COMMANDS = Path(sys.executable).parent
ROOT = EXAMPLES.parent
CI_TOKEN, CI_SECRET = "ci-token", "ci-secret"  # names of files
TOOLS_IMAGE, AGENT_IMAGE, BUILD_IMAGE, DEPLOY_IMAGE = "conveyor:demo", "demo/agent:1", "demo/build:1", "demo/deploy:1"
TRACKER_REQUESTS_PER_MINUTE = 600
"""Ten times what Plane allows unless it is told otherwise: nobody wants to watch a demo wait for its tracker."""


@dataclass(frozen=True)
class Program:
    """A process, and the address that people and others reach it at."""

    server: Server
    url: str


def images(places: Path) -> Mapping[str, ImageSpec]:
    """What the process node runs for each image. `places` has a directory for staging and one for production."""
    own = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return {
        TOOLS_IMAGE: ImageSpec(path=(COMMANDS,)),
        AGENT_IMAGE: ImageSpec(argv=(sys.executable, "-P", "-m", "examples.agents"), env=own),
        BUILD_IMAGE: ImageSpec(argv=(sys.executable, "-P", "-m", "examples.demo.build"), env=own),
        DEPLOY_IMAGE: ImageSpec(
            argv=(sys.executable, "-P", "-m", "examples.demo.deploy"), env={**own, "DEMO_PLACES": str(places)}
        ),
    }


def operator(logs: Path, kubeconfig: Path) -> Program:
    (port,) = free_ports(1)
    settings = {
        "KUBECONFIG": kubeconfig,
        "POD_NAMESPACE": SYSTEM,
        "HTTP_ADDRESS": f"127.0.0.1:{port}",
        "ALLOWED_HOSTS": "127.0.0.1",
        "AGENT_TOOLS_IMAGE": TOOLS_IMAGE,
        "RECONCILE_INTERVAL_SECONDS": 3,
        "GRACE_DEFAULT_SECONDS": 3,
        "TRACKER_REQUESTS_PER_MINUTE": TRACKER_REQUESTS_PER_MINUTE,
    }
    return started_as("operator", [COMMANDS / "conveyor-operator"], logs, settings=settings, ports=(port, port))


def ingress(logs: Path, kubeconfig: Path, *, mounted: Path) -> Program:
    port, ops_port = free_ports(2)
    settings = {
        "KUBECONFIG": kubeconfig,
        "INGRESS_ADDRESS": f"127.0.0.1:{port}",
        "INGRESS_OPS_ADDRESS": f"127.0.0.1:{ops_port}",
        "INGRESS_SECRETS_DIR": mounted,
    }
    return started_as("ingress", [COMMANDS / "conveyor-ingress"], logs, settings=settings, ports=(port, ops_port))


def ci(directory: Path, logs: Path, gitea_url: str) -> Program:
    """To be started after `give_ci`."""
    (port,) = free_ports(1)
    command: list[str | Path] = [sys.executable, "-P", "-m", "examples.ci", "--gitea", gitea_url, "--port", str(port)]
    command += ["--token-file", directory / CI_TOKEN, "--secret-file", directory / CI_SECRET]
    for project in PROJECTS:
        command += ["--repository", f"{OWNER}/{project.repository}"]
    return started_as("ci", command, logs, settings={}, ports=(port, port))


def give_ci(directory: Path, *, token: str) -> str:
    """Its token, and a secret of its own for the webhooks, which is returned."""
    secret = secrets.token_urlsafe(24)
    for name, text in {CI_TOKEN: token, CI_SECRET: secret}.items():
        (directory / name).touch(mode=0o600)
        (directory / name).write_text(text)
    return secret


def started_as(
    name: str, command: Sequence[str | Path], logs: Path, *, settings: Mapping[str, object], ports: tuple[int, int]
) -> Program:
    """`ports` are that of the work and that of `/healthz`."""
    env = {"PATH": os.environ["PATH"], "HOME": str(logs), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    env |= {f"CONVEYOR_{key}": str(value) for key, value in settings.items()}
    health = f"http://127.0.0.1:{ports[1]}/healthz"
    server = Server(name, command, log=logs / f"{name}.log", env=env, ready=lambda: _answers(health))
    return Program(server, f"http://127.0.0.1:{ports[0]}")


def status(url: str) -> int:
    """The HTTP status of an empty POST. Raises OSError where nobody answers."""
    request = urllib.request.Request(url, data=b"{}", headers={"Content-Type": "application/json"})  # noqa: S310 - ours
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - our own address
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except urllib.error.HTTPError:
        return False
