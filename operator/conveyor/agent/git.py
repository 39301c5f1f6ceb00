"""Running git: our configuration alone, no prompt, no hook, bounded time and output."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile

from conveyor.agent.errors import StepFailed
from conveyor.api.text import one_line

LOCAL_SECONDS = 300.0
REMOTE_SECONDS = 900.0
MAX_OUTPUT_BYTES = 4 * 2**20
MAX_NEW_BYTES = 200 * 2**20
"""What the commits of one run may weigh."""

# Every git process reads this, also those that git itself starts in another repository, where the environment's
# configuration does not reach.
_CONFIGURATION = """\
[core]
	hooksPath = /dev/null
	fsmonitor = false
	attributesFile = /dev/null
	excludesFile = /dev/null
	askPass =
	bigFileThreshold = 32m
[credential]
	helper =
[http]
	followRedirects = false
	lowSpeedLimit = 1
	lowSpeedTime = 120
[gc]
	auto = 0
[maintenance]
	auto = false
[pack]
	threads = 1
	windowMemory = 64m
[receive]
	fsckObjects = true
	maxInputSize = {new_bytes}
	unpackLimit = 1
	autogc = false
[submodule]
	recurse = false
[push]
	gpgSign = false
[commit]
	gpgSign = false
[init]
	defaultBranch = main
[advice]
	addEmbeddedRepo = false
"""
_PASSED_ON = ("PATH", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO")


class GitFailed(StepFailed):
    """`said` is git's own last words, fit for a log."""

    def __init__(self, what: str, said: str) -> None:
        super().__init__(f"{what}: {said}" if said else what)
        self.said = said


class Git:
    """`home` is an empty directory of ours; it holds the configuration."""

    def __init__(self, home: Path, *, max_new_bytes: int = MAX_NEW_BYTES) -> None:
        configuration = home / "gitconfig"
        configuration.write_text(_CONFIGURATION.format(new_bytes=max_new_bytes))
        self.max_new_bytes = max_new_bytes
        self._home = home
        self._environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | {
            "HOME": str(home),
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(configuration),
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_ALLOW_PROTOCOL": "file:http:https",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_TERMINAL_PROMPT": "0",
        }

    def run(
        self,
        arguments: Sequence[str | Path],
        what: str,
        *,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        seconds: float = LOCAL_SECONDS,
    ) -> bytes:
        """Its standard output. Raises GitFailed, which begins with `what` could not be done.

        Input and output are files, so that neither can block the other.
        """
        with TemporaryFile() as given, TemporaryFile() as out, TemporaryFile() as error:
            given.write(stdin)
            given.seek(0)
            try:
                done = subprocess.run(
                    ["git", *map(str, arguments)],
                    stdin=given,
                    stdout=out,
                    stderr=error,
                    env=self._environment | dict(environment or {}),
                    cwd=directory or self._home,
                    timeout=seconds,
                    check=False,
                    umask=0o002,  # the agent may have another user id and shares the group
                )
            except subprocess.TimeoutExpired:
                raise GitFailed(what, f"git did not end within {seconds:.0f} s") from None
            if done.returncode != 0:
                raise GitFailed(what, _last_words(error.fileno()))
            out.seek(0)
            output = out.read(MAX_OUTPUT_BYTES + 1)
        if len(output) > MAX_OUTPUT_BYTES:
            raise GitFailed(what, "git's answer is too long")
        return output


def _last_words(descriptor: int) -> str:
    size = os.fstat(descriptor).st_size
    said = os.pread(descriptor, 2000, max(size - 2000, 0)).decode(errors="replace")
    return one_line(said[said.find("\n") + 1 :] if size > 2000 else said, 600)
