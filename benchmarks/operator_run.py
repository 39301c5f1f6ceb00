"""Starting the metered operator from a benchmark, and waiting for what it found."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import machine
from tests.cluster.control_plane import ControlPlane
from tests.cluster.processes import guard_group, kill_group, release_group

TIME_LIMIT = 1200


class OperatorFailedError(Exception):
    """The operator ended without a result; the message carries the end of its log."""


class Running:
    """An operator at work, and what it will have found."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process, self._log = process, log

    def check(self) -> None:
        """OperatorFailedError where it has ended in failure."""
        if self._process.poll() not in (None, 0):
            tail = "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])
            raise OperatorFailedError(f"the operator ended with {self._process.returncode}:\n{tail}")

    def result(self) -> dict[str, Any]:
        """What it measured, once it has done what its plan expects."""
        output, _ = self._process.communicate(timeout=TIME_LIMIT)
        self.check()
        result: dict[str, Any] = json.loads(output)
        return result


def environment(plane: ControlPlane, namespace: str, *, events: bool, address: str = "127.0.0.1:0") -> dict[str, str]:
    """The operator's, with nothing in it that somebody has set for another."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("CONVEYOR_")},
        "CONVEYOR_KUBECONFIG": str(plane.kubeconfig),
        "CONVEYOR_NAMESPACES": namespace,
        "CONVEYOR_EVENTS_ENABLED": str(events).lower(),
        "CONVEYOR_MAX_CONCURRENT_RUNS": "10000",
        "CONVEYOR_RETENTION_DAYS": "3650",  # what is in the store ended long ago
        "CONVEYOR_HTTP_ADDRESS": address,
        "CONVEYOR_AGENT_TOOLS_IMAGE": "registry.example/conveyor:bench",
    }


def run(plane: ControlPlane, namespace: str, *, log: Path, events: bool = False, **plan: Any) -> dict[str, Any]:  # noqa: ANN401 Plan's
    """Run the operator until it has done what the plan expects, and return what it measured."""
    with started(plane, namespace, log=log, events=events, **plan) as operator:
        return operator.result()


@contextlib.contextmanager
def started(
    plane: ControlPlane,
    namespace: str,
    *,
    log: Path,
    events: bool = False,
    **plan: Any,  # noqa: ANN401 Plan's
) -> Iterator[Running]:
    """The operator at work; it has ended when the block has."""
    whole = plan | {"namespace": namespace, "servers": machine.servers(plane.directory)}
    whole |= {"started": time.monotonic(), "busy": machine.busy_seconds()}
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.operator_process", json.dumps(whole)],
            env=environment(plane, namespace, events=events),
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    guard_group(process.pid)
    try:
        yield Running(process, log)
    finally:
        kill_group(process.pid)
        process.wait(10)
        release_group(process.pid)
