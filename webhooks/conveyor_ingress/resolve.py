"""Where an event goes: one write, or none. Pure: what it needs to know has been read before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, assert_never
from urllib.parse import quote

from conveyor.api import names
from conveyor.api.annotations import GROUP, VERSION, HintClass
from conveyor_ingress.answers import Why
from conveyor_ingress.events import Event, ForgeEvent, TicketEvent, hint_value
from conveyor_ingress.views import ItemView, RepositoryView, Tracker, hint_key

Kind = Literal["WorkItem", "Repository"]


@dataclass(frozen=True)
class PatchHint:
    """Write one hint, on an item or on the Repository."""

    kind: Kind
    name: str
    hint: HintClass
    value: str


@dataclass(frozen=True)
class CreateItem:
    """Create the item of a ticket, with the hint that a repeated delivery will be known by."""

    name: str
    repository: str
    source: dict[str, str]
    hint: HintClass
    value: str

    def manifest(self, namespace: str) -> dict[str, Any]:
        return {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "WorkItem",
            "metadata": {
                "name": self.name,
                "namespace": namespace,
                "annotations": {hint_key(self.hint): self.value},
            },
            "spec": {"repositoryRef": {"name": self.repository}, "source": self.source},
        }


@dataclass(frozen=True)
class Duplicate:
    """The very event is stored already."""


@dataclass(frozen=True)
class Ignored:
    why: Why


Decision = PatchHint | CreateItem | Duplicate | Ignored


def item_of(event: Event, repository: RepositoryView) -> str | None:
    """The name of the one item that has to be read before `resolve` can tell."""
    key = _key_of(event, repository)
    return names.item_name(repository.name, key) if key else None


def resolve(event: Event, repository: RepositoryView | None, item: ItemView | None) -> Decision:
    """`item` is the object named by `item_of`, None if there is none."""
    if repository is None:
        return Ignored(Why.REPOSITORY_UNKNOWN)
    if item is not None and item.repository != repository.name:
        item = None  # a namesake of another repository
    match event:
        case ForgeEvent():
            return _forge(event, repository, item)
        case TicketEvent():
            return _ticket(event, repository, item)
        case _:
            assert_never(event)


def _key_of(event: Event, repository: RepositoryView) -> str | None:
    match event:
        case ForgeEvent(branch=branch):
            return names.ticket_key_of_branch(branch) if branch else None
        case TicketEvent(number=number):
            return f"{repository.tracker.identifier}-{number}" if repository.tracker and number else None
        case _:
            assert_never(event)


def _forge(event: ForgeEvent, repository: RepositoryView, item: ItemView | None) -> Decision:
    if event.full_name.lower() != repository.full_name.lower():
        return Ignored(Why.REPOSITORY_OTHER)
    if item is not None and item.branch == event.branch:
        return _hint(item, event.hint, event.value)
    return _hint(repository, event.hint, event.value)


def _ticket(event: TicketEvent, repository: RepositoryView, item: ItemView | None) -> Decision:
    tracker = repository.tracker
    if tracker is None or tracker.project_id.lower() != event.project_id:
        return Ignored(Why.PROJECT)
    key = _key_of(event, repository)
    value = hint_value(key or event.issue_id, *event.identity)
    if item is not None and item.issue_id == event.issue_id:
        return Duplicate() if _is_known(event, item) else _hint(item, HintClass.TICKET, value)
    if item is not None:
        return _hint(repository, HintClass.TICKET, value)
    if event.state_id is None:
        # A comment names its ticket by id only: the operator knows whose it is.
        return _hint(repository, HintClass.TICKET, value)
    if event.state_id not in repository.start_state_ids:
        return Ignored(Why.STATE if repository.start_state_ids else Why.STATES_UNKNOWN)
    return _start(event, repository, tracker, value=value)


def _is_known(event: TicketEvent, item: ItemView) -> bool:
    """Whether the operator has seen, or set, just this: what it shows on a ticket comes back as an event."""
    return None not in (event.state_id, event.updated) and item.ticket == (event.state_id, event.updated)


def _start(event: TicketEvent, repository: RepositoryView, tracker: Tracker, *, value: str) -> Decision:
    key, name = _key_of(event, repository), item_of(event, repository)
    if key is None or name is None or not names.is_ticket_key(key):
        return Ignored(Why.NAME)
    source = {
        "tracker": "Plane",
        "projectID": tracker.project_id,
        "issueID": event.issue_id,
        "key": key,
        "url": _ticket_url(tracker, event.issue_id),
    }
    return CreateItem(name=name, repository=repository.name, source=source, hint=HintClass.TICKET, value=value)


def _hint(target: ItemView | RepositoryView, hint: HintClass, value: str) -> Decision:
    if target.hints.get(hint.value) == value:
        return Duplicate()
    kind: Kind = "WorkItem" if isinstance(target, ItemView) else "Repository"
    return PatchHint(kind=kind, name=target.name, hint=hint, value=value)


def _ticket_url(tracker: Tracker, issue_id: str) -> str:
    """For people; made of what the Repository says, not of what the delivery does."""
    path = "/".join(quote(part, safe="") for part in (tracker.workspace, "projects", tracker.project_id))
    return f"{tracker.url.rstrip('/')}/{path}/issues/{issue_id}"
