"""Servers as child processes: started, waited for, stopped, and never left behind."""

import atexit
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path


class ServerFailedError(Exception):
    """A server ended, or was not ready in time; the message carries the end of its log."""


class _Guard:
    """The helper process that ends our children if we die; started with the first of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def tell(self, word: str, value: object) -> None:
        with self._lock:
            if self._process is None:
                self._process = self._start()
            assert self._process.stdin is not None
            self._process.stdin.write(f"{word} {value}\n")
            self._process.stdin.flush()

    def _start(self) -> subprocess.Popen[str]:
        atexit.register(self._finish)
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("guard.py"))],
            stdin=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )

    def _finish(self) -> None:
        if self._process is not None:
            self._process.communicate(timeout=30)


_guard = _Guard()


def guard_group(group: int) -> None:
    """From now on this process group is killed when the present process dies."""
    _guard.tell("group", group)


def release_group(group: int) -> None:
    _guard.tell("ended", group)


@contextlib.contextmanager
def temporary_directory(name: str) -> Iterator[Path]:
    """A directory readable by us alone that goes away with the block, or with this process."""
    path = Path(tempfile.mkdtemp(prefix=f"conveyor-{name}-"))
    _guard.tell("directory", path)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        _guard.tell("removed", path)


def free_ports(count: int) -> list[int]:
    """Ports on 127.0.0.1 outside the range of outgoing connections: a server gets its own back after a restart."""
    with contextlib.ExitStack() as held:
        ports: list[int] = []
        while len(ports) < count:
            port = random.randint(20_000, 32_000)  # noqa: S311
            candidate = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                candidate.bind(("127.0.0.1", port))
                ports.append(port)
        return ports


def kill_group(group: int, number: int = signal.SIGKILL) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


class Server:
    """One server process in a group of its own, its output in a log file.

    `ready` is polled until it is true; a connection error counts as "not yet".
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        log: Path,
        ready: Callable[[], bool],
        env: Mapping[str, str] | None = None,
        timeout: float = 60,
    ) -> None:
        self.name, self.log = name, log
        self._argv, self._ready, self._env, self._timeout = [str(word) for word in argv], ready, env, timeout
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ServerFailedError(f"{self.name} is not running")
        return self._process.pid

    def start(self) -> None:
        """Return once ready; raises ServerFailedError otherwise, leaving nothing running."""
        self.launch()
        try:
            self.wait_ready()
        except BaseException:
            self.kill()
            raise

    def launch(self) -> None:
        """Start without waiting."""
        if self.alive:
            raise ServerFailedError(f"{self.name} is already running")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv,
                env=None if self._env is None else dict(self._env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        guard_group(self._process.pid)

    def wait_ready(self) -> None:
        end = time.monotonic() + self._timeout
        while not self._is_ready():
            if not self.alive:
                raise ServerFailedError(f"{self.name} ended before it was ready:\n{self.log_tail()}")
            if time.monotonic() > end:
                raise ServerFailedError(f"{self.name} was not ready after {self._timeout:.0f} s:\n{self.log_tail()}")
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        try:
            return self._ready()
        except OSError:
            return False

    def stop(self, grace: float = 10) -> None:
        """SIGTERM, then SIGKILL after `grace` seconds. Nothing happens when it is not running."""
        if self._process is None:
            return
        if self.alive:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace)
        self.kill()

    def kill(self) -> None:
        """SIGKILL to the whole group, at once."""
        if self._process is None:
            return
        kill_group(self._process.pid)
        self._process.wait(10)
        release_group(self._process.pid)
        self._process = None

    def log_tail(self, lines: int = 15) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
