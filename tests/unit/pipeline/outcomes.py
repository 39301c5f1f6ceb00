"""A decision in a few words, so that a row of a table reads as a sentence."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import pytest

from conveyor.api.objects import Repository, WorkItem
from conveyor.api.workitem import WorkItemStatus
from conveyor.pipeline.actions import (
    Action,
    Admit,
    Amend,
    Apply,
    Discard,
    LetGo,
    ReleaseLeases,
    Settle,
    StartRun,
    StopEffect,
    StopRun,
)
from conveyor.pipeline.case import Facts
from tests.unit.pipeline.builders import AUTO, NOW, decided

Row = tuple[str, WorkItem, Facts, str]
"""A sentence, the item, the facts, what is decided."""


def table(rows: Iterable[Row]) -> pytest.MarkDecorator:
    """The rows as cases of a test with arguments `whole`, `known` and `expected`."""
    listed = list(rows)
    return pytest.mark.parametrize(
        ("whole", "known", "expected"), [row[1:] for row in listed], ids=[row[0] for row in listed]
    )


def outcome(before: WorkItemStatus, action: Action) -> str:
    """`-> review, run reviewer`, `charged CI, run developer`, `waits Approval`, `Stalled CISilent`, `Apply Merge`."""
    match action:
        case Settle(status=after):
            return ", ".join(_changes(before, after)) or "rests"
        case Apply(transition):
            return f"Apply {transition.effect.value}"
        case StartRun() | StopRun() | StopEffect() | ReleaseLeases() | Admit() | Amend() | Discard() | LetGo():
            return type(action).__name__


def _changes(before: WorkItemStatus, after: WorkItemStatus) -> list[str]:
    found = []
    if after.stage != before.stage:
        found.append(f"-> {after.stage}")
    found += [
        f"charged {attempt.cause.value}"
        for attempt in after.attempts
        if attempt.count > before.attempts_of(attempt.cause).count
    ]
    found += _begun(before, after)
    if after.stalled is not None:
        found.append(f"Stalled {after.stalled}")
    elif after.waiting is not None and after.active_run is None and after.transition is None:
        found.append(f"waits {after.waiting.reason.value}")
    return found


def _begun(before: WorkItemStatus, after: WorkItemStatus) -> list[str]:
    found = []
    old_run, run = before.active_run, after.active_run
    if run is not None:
        new = old_run is None or old_run.name != run.name
        found.append(f"run {run.role.value}" if new else "run goes on")
    elif old_run is not None and after.last_run != before.last_run and after.last_run is not None:
        found.append(f"run ended {after.last_run.verdict.value}")
    old, new_intent = before.transition, after.transition
    if new_intent is not None:
        kept = old is not None and old.id == new_intent.id
        found.append(f"{new_intent.effect.value} goes on" if kept else f"intends {new_intent.effect.value}")
    elif old is not None and after.stage == before.stage:
        found.append(f"{old.effect.value} ended")
    return found


def decide_row(whole: WorkItem, known: Facts, *, of: Repository = AUTO, now: datetime = NOW) -> str:
    return outcome(whole.status, decided(whole, known, of=of, now=now))
