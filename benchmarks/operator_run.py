"""Starting the metered operator from a benchmark, and waiting for what it found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import machine
from tests.cluster.control_plane import ControlPlane
from tests.cluster.processes import guard_group, kill_group, release_group

TIME_LIMIT = 1200


class OperatorFailedError(Exception):
    """The operator ended without a result; the message carries the end of its log."""


def run(plane: ControlPlane, namespace: str, *, log: Path, events: bool = False, **plan: Any) -> dict[str, Any]:  # noqa: ANN401 Plan's
    """Run the operator until it has done what the plan expects, and return what it measured."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CONVEYOR_")},
        "CONVEYOR_KUBECONFIG": str(plane.kubeconfig),
        "CONVEYOR_NAMESPACES": namespace,
        "CONVEYOR_EVENTS_ENABLED": str(events).lower(),
        "CONVEYOR_MAX_CONCURRENT_RUNS": "10000",
        "CONVEYOR_HTTP_ADDRESS": "127.0.0.1:0",
        "CONVEYOR_AGENT_TOOLS_IMAGE": "registry.example/conveyor:bench",
    }
    whole = plan | {"namespace": namespace, "servers": machine.servers(plane.directory)}
    whole |= {"started": time.monotonic(), "busy": machine.busy_seconds()}
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.operator_process", json.dumps(whole)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    guard_group(process.pid)
    try:
        output, _ = process.communicate(timeout=TIME_LIMIT)
    finally:
        kill_group(process.pid)
        process.wait(10)
        release_group(process.pid)
    if process.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise OperatorFailedError(f"the operator ended with {process.returncode}:\n{tail}")
    result: dict[str, Any] = json.loads(output)
    return result
