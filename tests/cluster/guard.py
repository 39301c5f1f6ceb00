"""Ends what a test run started when that run dies without saying goodbye.

Runs as a process of its own, outside the starter's group. It reads lines from standard input: `group N`, `ended N`,
`directory PATH`, `removed PATH`. The end of the input means that the starter is gone, even by SIGKILL, which no handler
of its own could see. A death signal set with prctl would not do: it fires at the end of the starting *thread*.
"""

import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path


def main() -> None:
    groups: set[int] = set()
    directories: set[str] = set()
    for line in sys.stdin:
        word, _, value = line.rstrip("\n").partition(" ")
        match word:
            case "group":
                groups.add(int(value))
            case "ended":
                groups.discard(int(value))
            case "directory":
                directories.add(value)
            case "removed":
                directories.discard(value)
            case _:
                raise ValueError(line)
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    for directory in directories:
        shutil.rmtree(Path(directory), ignore_errors=True)


if __name__ == "__main__":
    main()
