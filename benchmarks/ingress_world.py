"""Replicas of the ingress as users run them, and the senders, each a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from benchmarks import ingress_strangers, machine
from benchmarks.ingress_events import GITEA_SECRET, LANES, PLANE_SECRET
from benchmarks.ingress_sender import Plan, Sent
from benchmarks.naming import lane
from benchmarks.operator_process import PROFILES
from examples.demo.mounted_secret import swap
from tests.cluster.processes import Server, free_ports, guard_group, kill_group, release_group

ROOT = Path(__file__).parents[1]
REPLICAS = 2
SENDER_SECONDS = 600.0


class SenderFailedError(Exception):
    """A sender ended without a result; what went wrong is on standard error."""


class Replica:
    """`name` is also that of its log and of its profile."""

    def __init__(self, name: str, kubeconfig: Path, secrets: Path) -> None:
        self.port, ops_port = free_ports(2)
        settings = {
            "KUBECONFIG": kubeconfig,
            "INGRESS_ADDRESS": f"127.0.0.1:{self.port}",
            "INGRESS_OPS_ADDRESS": f"127.0.0.1:{ops_port}",
            "INGRESS_SECRETS_DIR": secrets,
        }
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT / 'operator'}:{ROOT / 'webhooks'}"}
        env |= {f"CONVEYOR_{key}": str(value) for key, value in settings.items()}
        self.server = Server(
            name,
            [sys.executable, *_profiled(name), "-m", "conveyor_ingress.main"],
            log=kubeconfig.with_name(f"{name}.log"),
            env=env,
            ready=lambda: _answers(f"http://127.0.0.1:{ops_port}/readyz"),
        )

    def cpu_seconds(self) -> float:
        return machine.cpu_seconds(self.server.pid)

    def memory(self) -> float:
        """The highest since it was last started, in MB of a million bytes."""
        return machine.memory_mib(self.server.pid)[1] * 2**20 / 1e6


def _profiled(name: str) -> list[str | Path]:
    """What makes a process write its profile at its end, where a directory is named for that."""
    directory = os.environ.get(PROFILES)
    return ["-m", "cProfile", "-o", Path(directory) / f"{name}.prof"] if directory else []


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 our own address
            return bool(answer.status == 200)
    except urllib.error.HTTPError:
        return False


@contextlib.contextmanager
def replicas(kubeconfig: Path, namespace: str, label: str, *, count: int = REPLICAS) -> Iterator[Sequence[Replica]]:
    """Ready; with the secrets of all Repositories of the namespace, mounted as a kubelet does it."""
    secrets = kubeconfig.with_name(f"secrets-{label}")
    swap(secrets, _secrets(namespace), 0)
    found = [Replica(f"ingress-{label}-{number}", kubeconfig, secrets) for number in range(count)]
    with contextlib.ExitStack() as stack:
        for replica in found:
            stack.callback(replica.server.stop)
            replica.server.launch()
        for replica in found:
            replica.server.wait_ready()
        yield found


def _secrets(namespace: str) -> Mapping[str, bytes]:
    """Each Repository's at Gitea, and one webhook of the whole workspace at Plane."""
    found: dict[str, dict[str, str]] = {}
    for name in map(lane, range(LANES)):
        found[f"gitea.{namespace}.{name}"] = {"current": GITEA_SECRET}
        found[f"plane.{namespace}.project-{name}"] = {"current": PLANE_SECRET, "repository": name}
    return {name: json.dumps(content).encode() for name, content in found.items()}


T = TypeVar("T")


class Sending(Generic[T]):
    """A sender at work: one of the modules here that are processes of their own, with its plan."""

    def __init__(self, module: str, plan: object, read: Callable[..., T]) -> None:
        """`read` makes what it found of the fields of its result."""
        self._read = read
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.{module}", json.dumps(vars(plan))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        guard_group(self._process.pid)

    def wait_ready(self) -> None:
        """Until it has made ready what it is to send."""
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != b"ready":
            raise SenderFailedError(f"the sender ended with {self._process.wait(SENDER_SECONDS)}")

    def begin(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"begin\n")
        self._process.stdin.flush()

    def result(self) -> T:
        found = self.result_within(SENDER_SECONDS)
        if found is None:
            raise SenderFailedError(f"the sender is still at work after {SENDER_SECONDS:.0f} s")
        return found

    def result_within(self, seconds: float) -> T | None:
        """None where it is still at work then."""
        try:
            output, _ = self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None
        if self._process.returncode != 0:
            raise SenderFailedError(f"the sender ended with {self._process.returncode}")
        return self._read(**json.loads(output))

    def end(self) -> None:
        if self._process.poll() is None:
            kill_group(self._process.pid)
        with self._process:  # waits, and closes what was open between us
            release_group(self._process.pid)


def signed(plan: Plan) -> Sending[Sent]:
    return Sending("ingress_sender", plan, Sent)


def strangers(plan: ingress_strangers.Plan) -> Sending[ingress_strangers.Found]:
    return Sending("ingress_strangers", plan, ingress_strangers.Found)


@contextlib.contextmanager
def at_work(*senders: Sending[Any]) -> Iterator[None]:
    """All have begun at once; none outlives the block."""
    with contextlib.ExitStack() as stack:
        for one in senders:
            stack.callback(one.end)
        for one in senders:
            one.wait_ready()
        for one in senders:
            one.begin()
        yield


def outcome(sender: Sending[T]) -> T:
    """Begin, and wait for its end."""
    with at_work(sender):
        return sender.result()
