"""What a reconcile pass says of its key: one value, so that an error and a delay cannot both be said."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NoReturn


class _WithoutTruthValue:
    __slots__ = ()

    def __bool__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} is neither true nor false: take an outcome apart by match")


@dataclass(frozen=True, slots=True)
class Done(_WithoutTruthValue):
    """Nothing to do until something changes; the change wakes the key. Earlier failures are forgotten."""


@dataclass(frozen=True, slots=True)
class Again(_WithoutTruthValue):
    """All is well; look again after that many seconds, or when something changes. Earlier failures are forgotten."""

    after: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.after) and self.after >= 0):
            raise ValueError(f"wanted a finite number of seconds, 0 or more, found {self.after}")


@dataclass(frozen=True, slots=True)
class Retry(_WithoutTruthValue):
    """The pass failed and may succeed later: try again after a growing backoff. `error` is logged: no secret in it."""

    error: str


@dataclass(frozen=True, slots=True)
class Person(_WithoutTruthValue):
    """Only a person can move this. Their act changes an object, which wakes the key. Earlier failures are forgotten."""

    reason: str


Outcome = Done | Again | Retry | Person


def within(seconds: float, outcome: Outcome) -> Outcome:
    """As it says, but looked at again after so many seconds at the latest."""
    match outcome:
        case Again(after):
            return Again(min(after, seconds))
        case Done() | Person():
            return Again(seconds)
        case Retry():
            return outcome
