"""No server outlives the run that started it, and what cannot start says why."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cluster.processes import Server, ServerFailedError

ROOT = Path(__file__).parents[2]
STARTER = """
import signal, sys, time
from pathlib import Path
from tests.cluster.processes import Server, temporary_directory
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs with it ignored
with temporary_directory("left") as directory:
    server = Server("sleeper", ["sh", "-c", "sleep 600 & wait"], log=directory / "log", ready=lambda: True)
    server.start()
    print(server.pid, directory, flush=True)
    time.sleep(600)
"""


def until(what: object, seconds: float = 10) -> None:
    assert callable(what)
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.02)


def group_runs(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_starter_ends_by_a_signal_and_its_servers_and_directories_go(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTER], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as starter:
        assert starter.stdout is not None
        group, directory = starter.stdout.readline().split()
        assert group_runs(int(group))
        starter.send_signal(number)

    until(lambda: not group_runs(int(group)))
    until(lambda: not Path(directory).exists())


def test_server_that_ends_at_once_shows_the_end_of_its_log(tmp_path: Path) -> None:
    server = Server("broken", ["sh", "-c", "echo bad flag; exit 2"], log=tmp_path / "log", ready=lambda: False)
    with pytest.raises(ServerFailedError, match="bad flag"):
        server.start()


def test_server_that_is_not_ready_in_time_is_not_left_running(tmp_path: Path) -> None:
    server = Server("slow", ["sleep", "600"], log=tmp_path / "log", ready=lambda: False, timeout=0.1)
    with pytest.raises(ServerFailedError, match="not ready"):
        server.start()

    assert not server.alive


def test_server_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    script = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    log = tmp_path / "log"
    server = Server("stubborn", ["sh", "-c", script], log=log, ready=lambda: "ready" in log.read_text())
    server.start()
    group = server.pid
    server.stop(grace=0.2)

    until(lambda: not group_runs(group))
