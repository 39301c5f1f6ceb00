"""A gate's word about a commit: it holds, it does not, or nobody can say yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from conveyor.api.workitem import Effect, Gate, WaitingReason
from conveyor.pipeline.case import Case
from conveyor.pipeline.facts import PullRequest, Unknown


class _NoTruthValue:
    __slots__ = ()

    def __bool__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} has no truth value: take it apart with match")


@dataclass(frozen=True, slots=True)
class Passed(_NoTruthValue):
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Failed(_NoTruthValue):
    """It does not hold, and waiting will not change that: work is needed."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotEvaluated(_NoTruthValue):
    """Nobody can say yet: it has not passed."""

    reason: str
    waiting: WaitingReason
    silent: bool = False
    """Nobody has said what is waited for within the time limit."""
    limit: str = "and the time limit is over"
    """Which limit that was, for people."""
    unread: bool = False
    """A fact could not be read: this is no word about the commit, and an earlier one stands."""
    needs: Effect | None = None
    """The effect that gives the word, to be begun now: until then this is no word about the commit either."""


Word = Passed | Failed | NotEvaluated
GateFunction = Callable[[Case], Word]
NOT_CONFIGURED = Passed("NotConfigured")
AUTO = Passed("Auto")
"""Of a gate where nobody is asked: no person's verdict, should one be wanted later."""


def approved_by_a_person(recorded: Gate | None) -> bool:
    """Whether a human gate's word on record is a person's yes, of whatever commit."""
    return recorded is not None and recorded.passed and recorded.reason != AUTO.reason


def unreadable(fact: Unknown) -> NotEvaluated:
    waiting = WaitingReason.TRACKER if fact.on == "Tracker" else WaitingReason.FORGE
    return NotEvaluated(f"{fact.on} could not be read: {fact.reason}", waiting, unread=True)


def head_sha(case: Case) -> str:
    """The head that gates speak about: the pull request's, before there is one the branch's; empty where unknown."""
    if case.status.pull_request is None:
        return case.facts.branch_head if isinstance(case.facts.branch_head, str) else ""
    return case.facts.pull.head_sha if isinstance(case.facts.pull, PullRequest) else ""


def change_id(case: Case) -> str:
    """The change that gates speak about: as read now, else as it is on record for this very head; empty: unknown."""
    match case.facts.change_id:
        case str() as change:
            return change
        case Unknown():
            return (case.status.change_id or "") if case.status.head_sha == head_sha(case) else ""
