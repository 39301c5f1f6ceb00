"""What a decision may know about the world outside: values, and whether they are known at all."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NoReturn, TypeAlias, TypeVar

T = TypeVar("T")


class _NoTruthValue:
    __slots__ = ()

    def __bool__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} has no truth value: take it apart with match")


@dataclass(frozen=True, slots=True)
class Unknown(_NoTruthValue):
    """Could not be read, or was not: never passes a gate. `on` is who failed: Forge, Tracker or Cluster."""

    reason: str
    on: str = "Forge"


Fact: TypeAlias = T | Unknown
"""A value as read just now, or why it is not known."""
NOT_READ = Unknown("not read")


# --- forge


@dataclass(frozen=True, slots=True)
class ChangedFile:
    path: str
    status: str
    """added, modified or removed."""


@dataclass(frozen=True, slots=True)
class PullRequest:
    number: int
    url: str
    state: str
    """open or closed; a merged one is closed."""
    merged: bool
    merged_by: str
    head: str
    """The branch it comes from."""
    head_sha: str
    base: str
    """The branch it goes to."""
    mergeable: bool
    """Computed in the background by Gitea: only a False that lasts means a conflict."""
    merge_sha: str


@dataclass(frozen=True, slots=True)
class CommitStatus:
    context: str
    creator: str
    state: str
    """pending, success, error, failure, warning, skipped; anything else is not success."""
    url: str


@dataclass(frozen=True, slots=True)
class ForgeReview:
    author: str
    state: str
    """APPROVED, REQUEST_CHANGES, COMMENT, PENDING or REQUEST_REVIEW."""
    commit: str
    official: bool
    dismissed: bool
    stale: bool
    body: str
    url: str


@dataclass(frozen=True, slots=True)
class HookState:
    url: str
    active: bool
    events: frozenset[str]


@dataclass(frozen=True, slots=True)
class ForgeSettings:
    """What readiness asks of a repository."""

    login: str
    """Whose token ours is; empty where it may not say."""
    default_branch: str
    can_push: bool
    allow_fast_forward: bool
    allow_rebase_update: bool
    allow_manual_merge: bool
    protected: bool
    """A protection covers the default branch and lets nobody but the operator's user push to it."""
    unprotected_reason: str = ""
    """What lets others push, for a person to mend; empty where it is protected."""


# --- tracker


@dataclass(frozen=True, slots=True)
class TrackerState:
    id: str
    name: str
    group: str
    """backlog, unstarted, started, completed or cancelled."""


@dataclass(frozen=True, slots=True)
class TicketSummary:
    """A ticket as a list gives it."""

    id: str
    key: str
    state_id: str
    updated: str
    """Plane's `updated_at`, verbatim: compared with Plane's times only."""


@dataclass(frozen=True, slots=True)
class Ticket:
    id: str
    key: str
    name: str
    text: str
    """Plain text of the description."""
    state_id: str
    updated: str
    blocked_by: tuple[str, ...]
    """Ids of the tickets that must be done first."""
    url: str

    @property
    def text_digest(self) -> str:
        """What a person was shown: a ticket edited afterwards has another one."""
        return hashlib.sha256(f"{self.name}\0{self.text}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class TicketComment:
    id: str
    author: str
    time: str
    text: str


# --- jobs


class JobState(StrEnum):
    MISSING = "missing"
    ACTIVE = "active"
    """Created; its pod may wait, run or be ending."""
    ENDED = "ended"
    """Complete or Failed, and no pod of it is left at work."""
    DELETING = "deleting"


@dataclass(frozen=True, slots=True)
class JobFact:
    """A run's or an effect's Job as read from the API server."""

    state: JobState
    uid: str = ""
    item_uid: str = ""
    """From its label: another item's Job is foreign."""
    complete: bool = False
    reason: str = ""
    """Of its Failed condition, or of what keeps its pod waiting."""
    message: str | None = None
    """The termination message of the main container; None where no pod or no message is left."""
    disrupted: bool = False
    """Its end was not the work's doing: node loss, eviction, image pull, a pod that went away."""
    finished: datetime | None = None
    suspended: bool = False
    """Held back from its start, or stopped after it: no pod of it is at work, or soon none."""
    unstarted: bool = False
    """It has never been let begin, so that no pod of it has been."""
    pod_gone: bool = False
    """It is complete, and no pod is left that could say what it came to: exit 0 may have come with the word fail."""
    pods_at_work: bool = False
    """Whether a pod of it was found that has not ended."""
    has_ttl: bool = False
    has_finalizer: bool = False


# --- what was deployed


@dataclass(frozen=True, slots=True)
class ProbeFact:
    """What one probe of a deployed product found."""

    name: str
    """What people call it by, without what may be secret."""
    healthy: bool
    reason: str = ""
    """What was found instead; empty where it is healthy."""
