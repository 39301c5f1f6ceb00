"""Reading what an agent left: regular files of bounded size, and no link in the place of one."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from conveyor.agent.errors import StepFailed

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY


@contextmanager
def directory(name: str | Path, what: str, *, inside: int | None = None) -> Iterator[int]:
    """A descriptor of a directory that is no link; `inside` is the descriptor of the one it lies in."""
    try:
        descriptor = os.open(name, _FLAGS | os.O_DIRECTORY, dir_fd=inside)
    except OSError as error:
        raise StepFailed(f"{what} is not a directory that can be read: {error.strerror}") from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def regular_file(name: str | Path, what: str, *, inside: int | None = None) -> Iterator[BinaryIO]:
    """A regular file, open for reading. Neither a link is followed nor a pipe waited for.

    The name's own directory has to be one that only we can replace, the root of a mount for example.
    """
    try:
        # Without O_NONBLOCK, opening a pipe waits for somebody to write into it.
        descriptor = os.open(name, _FLAGS | os.O_NONBLOCK, dir_fd=inside)
    except OSError as error:
        raise StepFailed(f"{what} cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise StepFailed(f"{what} is not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        yield file


def read_file(name: str | Path, what: str, *, limit: int, inside: int | None = None) -> bytes:
    """All of a regular file of at most `limit` bytes."""
    with regular_file(name, what, inside=inside) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise StepFailed(f"{what} is larger than {limit} bytes")
    return content
