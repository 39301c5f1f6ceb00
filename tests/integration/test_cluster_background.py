"""`scripts/cluster`: up in the background, settings for a shell, and nothing left after down."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster import binaries

ROOT = Path(__file__).parents[2]


class Background:
    """The commands, on a cache of its own that holds the programs built already."""

    def __init__(self, cache: Path) -> None:
        self._env = {**os.environ, "CONVEYOR_CACHE": str(cache)}
        self.state = cache / "cluster"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tests.cluster.background", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self._env, capture_output=True, text=True, check=False, timeout=120
        )

    def processes(self) -> list[int]:
        """Whose command line names the state directory."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if str(self.state).encode() in path.read_bytes():
                    found.append(int(path.parent.name))
            except OSError:
                continue
        return found


@pytest.fixture
def background(tmp_path: Path) -> Iterator[Background]:
    built = binaries.cache_root() / "bin"
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "bin").symlink_to(built)
    commands = Background(cache)
    yield commands
    commands.run("down")


@pytest.fixture
def up(background: Background, kubeconfig: Path) -> Background:
    """`kubeconfig` is asked for because it sees to it that the programs are built."""
    done = background.run("up", "--no-gitea")
    assert done.returncode == 0, done.stderr
    return background


def until(what: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.05)


@pytest.mark.slow
def test_shell_reaches_the_cluster_and_down_leaves_neither_process_nor_file(up: Background) -> None:
    settings = up.run("env").stdout
    done = subprocess.run(
        ["bash", "-euc", 'eval "$0"; kubectl get nodes -o name', settings],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert done.stdout.startswith("node/process-node-"), done.stderr
    assert up.processes()
    up.run("down")

    assert (up.processes(), up.state.exists()) == ([], False)


@pytest.mark.slow
@pytest.mark.long
def test_killed_supervisor_takes_its_servers_along(up: Background) -> None:
    os.kill(int((up.state / "pid").read_text()), signal.SIGKILL)

    until(lambda: not up.processes())
    assert up.run("env").returncode == 1


def test_pid_of_another_program_is_not_stopped(background: Background) -> None:
    with subprocess.Popen(["sleep", "600"]) as other:
        background.state.mkdir()
        (background.state / "pid").write_text(str(other.pid))
        background.run("down")
        still_there = other.poll() is None
        other.kill()

    assert still_there


def test_env_without_a_cluster_says_how_to_start_one(background: Background) -> None:
    done = background.run("env")

    assert (done.returncode, done.stdout) == (1, "")
    assert "scripts/cluster up" in done.stderr
