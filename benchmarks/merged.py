"""Whose pull requests a person has merged, where the person is another process."""

from __future__ import annotations

import mmap
from pathlib import Path

from benchmarks import naming


class MergedFile:
    """A byte for each number, in a file that several processes map: what one adds the others have at once."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._bytes = mmap.mmap(file.fileno(), 0)

    @classmethod
    def create(cls, path: Path, *, items: int) -> MergedFile:
        """For the first so many numbers, none of them merged."""
        path.write_bytes(bytes(items))
        return cls(path)

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and self._bytes[number - naming.FIRST_NUMBER] != 0

    def add(self, number: int, /) -> None:
        self._bytes[number - naming.FIRST_NUMBER] = 1
