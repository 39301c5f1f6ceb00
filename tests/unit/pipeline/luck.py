"""What a walk through an item's life meets, and how probable each thing is."""

from dataclasses import dataclass
from random import Random


@dataclass
class Commit:
    parent: str
    files: frozenset[str]
    ci: str = ""
    """The status on it; empty: nobody said a word yet."""
    tested: bool = False
    was: str = ""
    """The head that our own rebase made it of."""


@dataclass
class Luck:
    """How probable it is that something goes wrong, each time."""

    unread: float = 0.08
    bad_answer: float = 0.25
    red: float = 0.25
    effect_lost: float = 0.25
    meddling: float = 0.03
    restart: float = 0.02
    base_moves: float = 0.04
    conflict: float = 0.2


GOOD = Luck(unread=0, bad_answer=0, red=0, effect_lost=0, meddling=0, restart=0, base_moves=0, conflict=0)


def chance(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - a walk, not a secret
