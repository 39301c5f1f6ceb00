"""What a seeded bug is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bug:
    """A patch of one place in one file that takes one guard away."""

    name: str
    law: str
    """What it breaks."""
    file: str
    old: str
    """Stands exactly once in the file."""
    new: str
    first: str
    """The file of the subset that is asked first."""


def engine(name: str) -> str:
    return f"tests/unit/engine/test_{name}.py"


def pipeline(name: str) -> str:
    return f"tests/unit/pipeline/test_{name}.py"
