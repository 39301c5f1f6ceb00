"""What the ingress reads of the two kinds: the few fields that tell where a hint goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from conveyor.api.annotations import HINT_PREFIX, HintClass


def _api_name(name: str) -> str:
    return to_camel(name).replace("Id", "ID")


class _Part(BaseModel):
    """A part of a stored object: unknown fields are dropped, null is as good as absent."""

    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=_api_name, hide_input_in_errors=True)


_Map = Annotated[dict[str, str], BeforeValidator(lambda value: value or {})]


class _Metadata(_Part):
    name: str
    annotations: _Map = {}


class _Forge(_Part):
    owner: str
    name: str


class Tracker(_Part):
    url: str
    workspace: str
    project_id: str
    identifier: str


class _RepositorySpec(_Part):
    forge: _Forge
    tracker: Tracker | None = None


class _TrackerSeen(_Part):
    start_state_ids: tuple[str, ...] = Field(default=(), alias="startStateIDs")


class _RepositoryStatus(_Part):
    tracker: _TrackerSeen | None = None


class _RepositoryObject(_Part):
    metadata: _Metadata
    spec: _RepositorySpec
    status: _RepositoryStatus | None = None


class _Ref(_Part):
    name: str


class _Source(_Part):
    issue_id: str


class _ItemSpec(_Part):
    repository_ref: _Ref
    source: _Source | None = None


class _TicketSeen(_Part):
    state: str = ""
    ticket_updated_time: str = ""


class _ItemStatus(_Part):
    branch: str | None = None
    tracker: _TicketSeen | None = None


class _ItemObject(_Part):
    metadata: _Metadata
    spec: _ItemSpec
    status: _ItemStatus | None = None


@dataclass(frozen=True)
class RepositoryView:
    name: str
    full_name: str
    """`<owner>/<name>` at the forge."""
    tracker: Tracker | None
    start_state_ids: frozenset[str]
    hints: Mapping[str, str]
    """Class to value."""


@dataclass(frozen=True)
class ItemView:
    name: str
    repository: str
    branch: str | None
    issue_id: str | None
    hints: Mapping[str, str]
    ticket: tuple[str, str] | None = None
    """The ticket's state and the time of its last change, as the operator has seen or set them."""


def hint_key(hint: HintClass) -> str:
    return HINT_PREFIX + hint.value


def read_repository(body: bytes) -> RepositoryView:
    """Raises pydantic's ValidationError (a ValueError) for an object that is none."""
    found = _RepositoryObject.model_validate_json(body)
    seen = found.status.tracker if found.status else None
    return RepositoryView(
        name=found.metadata.name,
        full_name=f"{found.spec.forge.owner}/{found.spec.forge.name}",
        tracker=found.spec.tracker,
        start_state_ids=frozenset(seen.start_state_ids) if seen else frozenset(),
        hints=_hints(found.metadata),
    )


def read_item(body: bytes) -> ItemView:
    """Raises pydantic's ValidationError (a ValueError) for an object that is none."""
    found = _ItemObject.model_validate_json(body)
    seen = found.status.tracker if found.status else None
    return ItemView(
        name=found.metadata.name,
        repository=found.spec.repository_ref.name,
        branch=found.status.branch if found.status else None,
        issue_id=found.spec.source.issue_id if found.spec.source else None,
        hints=_hints(found.metadata),
        ticket=(seen.state, seen.ticket_updated_time) if seen else None,
    )


def _hints(metadata: _Metadata) -> dict[str, str]:
    known = {hint_key(hint): hint.value for hint in HintClass}
    return {known[key]: value for key, value in metadata.annotations.items() if key in known}
