"""Rework is charged to a cause; at a cap the item waits for a person."""

from __future__ import annotations

from conveyor.api.repository import RepositorySpec
from conveyor.api.stages import ROLE_OF_STAGE, Role, Stage
from conveyor.api.workitem import Attempt, Cause, HistoryEntry, WorkItemStatus

CAUSE_OF_STAGE: dict[Stage, Cause] = {
    Stage.ANALYSIS: Cause.ANALYSIS,
    Stage.ARCHITECTURE: Cause.ARCHITECTURE,
    Stage.DEVELOPMENT: Cause.DEVELOPMENT,
    Stage.REVIEW: Cause.REVIEW,
    Stage.TESTING: Cause.TESTING,
}
NOT_IN_TOTAL = frozenset({Cause.INFRASTRUCTURE, Cause.HEAD_MOVED, Cause.BASE_MOVED})
BASE_MOVED_CAP = 5


def cap(spec: RepositorySpec, cause: Cause) -> int:
    if cause == Cause.BASE_MOVED and cause.value not in spec.retries:
        return BASE_MOVED_CAP
    return spec.cap(cause)


def exhausted(status: WorkItemStatus, spec: RepositorySpec, cause: Cause) -> str | None:
    """Which budget forbids one more rework for this cause, as people read it; None where none does."""
    count = status.attempts_of(cause).count
    if count >= cap(spec, cause):
        return f"{cause.value} {count} of {cap(spec, cause)}"
    total = sum(attempt.count for attempt in status.attempts if attempt.cause not in NOT_IN_TOTAL)
    if cause not in NOT_IN_TOTAL and total >= spec.cap_total:
        return f"total {total} of {spec.cap_total}"
    return None


def charged(status: WorkItemStatus, cause: Cause, sha: str) -> WorkItemStatus:
    """With one more rework on the account. The caller stores it in the very write that starts the rework."""
    old = status.attempts_of(cause)
    rest = [attempt for attempt in status.attempts if attempt.cause != cause]
    new = Attempt(cause=cause, count=old.count + 1, sha=sha)
    return status.model_copy(update={"attempts": tuple(sorted([*rest, new], key=lambda attempt: attempt.cause))})


def forgiven(status: WorkItemStatus) -> WorkItemStatus:
    """All counts back to 0, by a person's `retry`."""
    cleared = tuple(Attempt(cause=attempt.cause, count=0, sha="") for attempt in status.attempts)
    return status.model_copy(update={"attempts": cleared})


def attempt_number(status: WorkItemStatus, role: Role) -> int:
    """Which attempt of a role its next run is, from 1: how often its work was sent back or failed, plus one.

    A person's rejection is the analyst's before development, and the developer's once it has sent the item back there.
    """
    if role == Role.DEVELOPER:
        back = sum(entry.to_stage == Stage.DEVELOPMENT and _is_rejection(entry) for entry in status.history)
        rejected = min(back, status.attempts_of(Cause.REJECTED).count)
        return 1 + rejected + sum(attempt.count for attempt in status.attempts if attempt.cause in _DEVELOPERS)
    rejected = status.attempts_of(Cause.REJECTED).count if role == Role.ANALYST else 0
    return 1 + rejected + status.attempts_of(_CAUSE_OF_ROLE[role]).count


def _is_rejection(entry: HistoryEntry) -> bool:
    return entry.cause.startswith(Cause.REJECTED.value)


_CAUSE_OF_ROLE = {role: CAUSE_OF_STAGE[stage] for stage, role in ROLE_OF_STAGE.items()}
_DEVELOPERS = frozenset(Cause) - NOT_IN_TOTAL - {Cause.ANALYSIS, Cause.ARCHITECTURE, Cause.REJECTED}
