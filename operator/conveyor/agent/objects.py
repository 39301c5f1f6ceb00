"""The agent's repository as files: no git of ours ever opens it, so nothing configured in it has a say.

What is read is the commit it stands on and its object files. Links are not followed, alternates, replacements, grafts
and shallow marks not taken over, indexes of packs not believed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from conveyor.agent.errors import StepFailed
from conveyor.agent.untrusted import directory, read_file, regular_file

MAX_FILES = 200_000
MAX_REFS_BYTES = 4 * 2**20
_CHUNK_BYTES = 2**20

_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_FAN_OUT = re.compile(r"[0-9a-f]{2}")
_LOOSE = re.compile(r"[0-9a-f]{38}(?:[0-9a-f]{24})?")
_PACK = re.compile(r"pack-[0-9a-f]{40}(?:[0-9a-f]{24})?\.pack")
_REF = re.compile(r"ref: (refs/heads/[^\x00-\x20\x7f~^:?*\[\\]+)")


def head(repository: int) -> str:
    """The commit that HEAD names, by its branch or directly. `repository` is the descriptor of `.git`."""
    text = _read_line("HEAD", repository)
    if named := _REF.fullmatch(text):
        text = _loose_ref(named[1], repository) or _packed_ref(named[1], repository)
    if not _SHA.fullmatch(text):
        raise StepFailed("the agent's tree stands on no commit")
    return text


def _loose_ref(name: str, repository: int) -> str:
    *folders, last = name.split("/")
    if {"", ".", ".."} & {*folders, last}:
        raise StepFailed("the agent's tree stands on a branch with an impossible name")
    opened: list[int] = []
    try:
        inside = repository
        for folder in folders:
            try:
                inside = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=inside)
            except OSError:
                return ""
            opened.append(inside)
        return _read_line(last, inside) if _exists(last, inside) else ""
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _packed_ref(name: str, repository: int) -> str:
    if not _exists("packed-refs", repository):
        return ""
    content = read_file("packed-refs", "the agent's packed-refs", limit=MAX_REFS_BYTES, inside=repository)
    lines = (line.split(" ", 1) for line in content.decode(errors="replace").splitlines())
    return next((line[0] for line in lines if len(line) == 2 and line[1] == name), "")


def _read_line(name: str, inside: int) -> str:
    content = read_file(name, f"the agent's {name}", limit=4096, inside=inside)
    return content.decode(errors="replace").strip()


def _exists(name: str, inside: int) -> bool:
    try:
        os.lstat(name, dir_fd=inside)
    except OSError:
        return False
    return True


@dataclass
class _Budget:
    """What may still be copied."""

    size: int
    files: int

    def take(self, size: int) -> None:
        self.size -= size
        if self.size < 0:
            raise StepFailed("the agent's commits are too large")

    def take_file(self) -> None:
        self.files -= 1
        if self.files < 0:
            raise StepFailed("the agent's commits have too many objects")


def copy_objects(repository: int, ours: Path, into: Path, *, max_bytes: int) -> list[Path]:
    """Copy loose objects and packs that `ours` (an object directory) lacks; returns the packs, without an index.

    A file counts as ours by its name alone: what it would have held is not looked at.
    """
    budget, packs = _Budget(max_bytes, MAX_FILES), []
    with directory("objects", "the agent's .git/objects", inside=repository) as objects:
        for name in _names(objects):
            if _FAN_OUT.fullmatch(name):
                _copy_matching(_LOOSE, name, objects, (ours / name, into / name), budget)
        if _exists("pack", objects):
            packs = _copy_matching(_PACK, "pack", objects, (ours / "pack", into / "pack"), budget)
    return packs


def _copy_matching(
    wanted: re.Pattern[str], folder: str, objects: int, places: tuple[Path, Path], budget: _Budget
) -> list[Path]:
    ours, into = places
    into.mkdir(exist_ok=True)
    with directory(folder, f"the agent's .git/objects/{folder}", inside=objects) as opened:
        new = [name for name in _names(opened) if wanted.fullmatch(name) and not (ours / name).exists()]
        return [_copy(name, opened, into / name, budget) for name in new]


def _copy(name: str, inside: int, target: Path, budget: _Budget) -> Path:
    budget.take_file()
    with regular_file(name, f"the agent's object {name}", inside=inside) as source, target.open("xb") as copy:
        while chunk := source.read(_CHUNK_BYTES):
            budget.take(len(chunk))
            copy.write(chunk)
    return target


def _names(descriptor: int) -> Iterator[str]:
    with os.scandir(descriptor) as entries:
        for entry in entries:
            yield entry.name
