"""One container as one local process, in a session of its own, its output in a file."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.cluster import processes
from tests.cluster.pod_status import MAX_MESSAGE, Running, Terminated

MAX_LOG_MESSAGE, MAX_LOG_LINES = 2048, 80  # MaxContainerTerminationMessageLogLength and …LogLines of the kubelet


@dataclass(frozen=True)
class Command:
    """A process to start: no shell is involved unless `argv` names one."""

    argv: Sequence[str]
    env: Mapping[str, str]
    directory: Path
    log: Path
    termination_file: Path
    message_from_log: bool = False  # terminationMessagePolicy: FallbackToLogsOnError


def _now() -> datetime:
    return datetime.now(UTC)


class Container:
    """Started with `start()`; `wait()` returns the end. `terminate` and `kill` may be called at any time."""

    def __init__(self, command: Command, *, container_id: str) -> None:
        self._command, self._id = command, container_id
        self._process: asyncio.subprocess.Process | None = None
        self._started = _now()

    async def start(self) -> Running | Terminated:
        """Terminated (StartError, as a runtime says) when the program or its directory does not exist."""
        self._command.termination_file.parent.mkdir(parents=True, exist_ok=True)
        self._command.termination_file.touch()
        self._started = _now()
        try:
            with self._command.log.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command.argv,
                    env=dict(self._command.env),
                    cwd=self._command.directory,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=asyncio.subprocess.STDOUT,
                    start_new_session=True,
                )
        except (OSError, ValueError) as error:
            return Terminated(128, "StartError", self._started, _now(), message=f"failed to start: {error}")
        processes.guard_group(self._process.pid)
        return Running(self._id, self._started)

    async def wait(self) -> Terminated:
        assert self._process is not None
        try:
            status = await self._process.wait()
        finally:
            self._sweep()
        code = 128 - status if status < 0 else status  # a signal's number is added to 128 by runtimes
        reason = "Error" if code else "Completed"
        return Terminated(code, reason, self._started, _now(), message=self._message(code), container_id=self._id)

    def terminate(self) -> None:
        """SIGTERM to the first process alone, as a container runtime does."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            processes.kill_group(self._process.pid)

    def _sweep(self) -> None:
        """With its first process gone a container's other processes are killed."""
        assert self._process is not None
        processes.kill_group(self._process.pid)
        processes.release_group(self._process.pid)

    def _message(self, code: int) -> str:
        message = _tail(self._command.termination_file, MAX_MESSAGE)
        if not message and code and self._command.message_from_log:
            lines = _tail(self._command.log, MAX_LOG_MESSAGE).splitlines(keepends=True)
            message = "".join(lines[-MAX_LOG_LINES:])
        return message


def _tail(path: Path, size: int) -> str:
    """The last `size` bytes: a kubelet reads a longer file from its end (`pkg/util/tail/tail.go`, ReadAtMost)."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - size))
            return file.read(size).decode(errors="replace")
    except OSError as error:
        return f"Error on reading termination log {path}: {error}"
