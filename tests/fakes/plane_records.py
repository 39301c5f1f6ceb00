"""What the fake Plane stores: users, projects with their states, tickets, comments, webhooks."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import uuid4

Json = dict[str, Any]
Via = Literal["ui", "api"]

DEFAULT_STATES: tuple[tuple[str, str], ...] = (
    ("Backlog", "backlog"),
    ("Todo", "unstarted"),
    ("To Analyse", "unstarted"),
    ("Analysis", "started"),
    ("In Progress", "started"),
    ("Code Review", "started"),
    ("Needs Input", "started"),
    ("Awaiting Deploy", "started"),
    ("Deploying", "started"),
    ("Approved", "started"),
    ("Rejected", "started"),
    ("Blocked", "started"),
    ("Done", "completed"),
    ("Monitoring", "completed"),
    ("Cancelled", "cancelled"),
)
"""Names with their groups, in the order of the board; the first is the default of a new ticket."""

GROUPS = ("backlog", "unstarted", "started", "completed", "cancelled")
INVERSE_RELATIONS = {
    "blocked_by": "blocking",
    "blocking": "blocked_by",
    "duplicate": "duplicate",
    "relates_to": "relates_to",
    "start_before": "start_after",
    "start_after": "start_before",
    "finish_before": "finish_after",
    "finish_after": "finish_before",
}


class Missing(LookupError):
    """No such record: 404 with Plane's own text."""

    def __init__(self) -> None:
        super().__init__("The requested resource does not exist.")


class Refused(ValueError):
    """A value that Plane answers with 400 and this body."""

    def __init__(self, body: Json) -> None:
        super().__init__(str(body))
        self.body = body


class Duplicate(ValueError):
    """`external_id` and `external_source` exist already: 409 with the id of the first."""

    def __init__(self, kind: str, existing_id: str) -> None:
        super().__init__(f"{kind} with the same external id and external source already exists")
        self.existing_id = existing_id


def new_id() -> str:
    return str(uuid4())


@dataclass(frozen=True)
class User:
    display_name: str
    first_name: str = ""
    last_name: str = ""
    id: str = field(default_factory=new_id)

    @property
    def email(self) -> str:
        return f"{self.display_name}@example.test"


@dataclass(frozen=True)
class Writer:
    """Who changes something, and by which door."""

    user: User
    via: Via


@dataclass(frozen=True)
class State:
    name: str
    group: str
    sequence: int
    default: bool = False
    color: str = "#60646C"
    id: str = field(default_factory=new_id)


@dataclass(frozen=True)
class Label:
    name: str
    color: str = "#5e6ad2"
    id: str = field(default_factory=new_id)


@dataclass
class Project:
    name: str
    identifier: str
    states: tuple[State, ...]
    created_at: datetime
    id: str = field(default_factory=new_id)
    last_sequence_id: int = 0

    def state(self, name_or_id: str) -> State:
        for state in self.states:
            if name_or_id in (state.id, state.name):
                return state
        raise KeyError(f"project {self.identifier} has no state {name_or_id!r}, only {[s.name for s in self.states]}")

    @property
    def default_state(self) -> State:
        return next((state for state in self.states if state.default), self.states[0])


@dataclass
class Comment:
    ticket_id: str
    project_id: str
    actor: User
    html: str
    created_at: datetime
    updated_at: datetime
    access: str = "INTERNAL"
    external_id: str | None = None
    external_source: str | None = None
    id: str = field(default_factory=new_id)
    description_id: str = field(default_factory=new_id)


@dataclass
class Ticket:
    project_id: str
    identifier: str
    sequence_id: int
    name: str
    state_id: str
    created_by: User
    created_at: datetime
    updated_at: datetime
    description_html: str = "<p></p>"
    priority: str = "none"
    labels: list[Label] = field(default_factory=list)
    assignees: list[User] = field(default_factory=list)
    parent: str | None = None
    updated_by: User | None = None
    completed_at: datetime | None = None
    archived_at: datetime | None = None
    is_draft: bool = False
    external_id: str | None = None
    external_source: str | None = None
    relations: list[tuple[str, str]] = field(default_factory=list)
    """Pairs of relation type and the other ticket's id, kept on both sides."""
    id: str = field(default_factory=new_id)

    @property
    def key(self) -> str:
        return f"{self.identifier}-{self.sequence_id}"

    @property
    def listed(self) -> bool:
        return self.archived_at is None and not self.is_draft


@dataclass(frozen=True)
class Announcement:
    """One webhook event to come; its `data` is read when the worker gets to it."""

    event: str
    entity_id: str
    actor: User
    action: str = "created"
    field: str | None = None
    old: object = None
    new: object = None
    old_identifier: str | None = None
    new_identifier: str | None = None


@dataclass(frozen=True)
class Job:
    """What a request leaves to the worker: `updated_at` is set once more, then the events go out."""

    ticket_id: str
    announcements: tuple[Announcement, ...] = ()
