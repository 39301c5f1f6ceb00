"""Plane's deliveries: the community edition's envelope (v1) and the commercial edition's (v2), keyed on `version`.

`activity` is never asked: its field is called `state` or `state_id`, holds names or ids, and comes twice, depending on
the server's version. The payload's `data` is a snapshot of the time of sending, so two changes can carry one state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from conveyor_ingress.answers import Why
from conveyor_ingress.events import OTHER, Id, Malformed, OptionalId, OptionalText, Part, Skipped, Text, TicketEvent

ISSUE = "issue"
COMMENT = "issue_comment"
EVENTS = (ISSUE, COMMENT, OTHER)


def _none(value: object) -> object:
    return None if value == "None" else value


def _id_of(value: object) -> object:
    """A state is an object with an id in one version and the bare id in another."""
    return _none(value.get("id") if isinstance(value, dict) else value)


OptionalNumber = Annotated[
    Annotated[int, Field(strict=True, ge=1, le=999_999_999)] | None,
    BeforeValidator(_none),
]
OptionalRef = Annotated[Id | None, BeforeValidator(_id_of)]


class _Data(Part):
    """An issue or a comment, in all spellings."""

    id: OptionalId = None
    issue: OptionalRef = None
    project: OptionalRef = None
    project_id: OptionalId = None
    state: OptionalRef = None
    state_id: OptionalId = None
    sequence_id: OptionalNumber = None
    updated_at: OptionalText = None

    @property
    def in_project(self) -> str | None:
        return self.project_id or self.project


class _Envelope(Part):
    version: Any = None
    event: Annotated[str, Field(min_length=1, max_length=128)]
    webhook_id: OptionalId = None
    workspace_id: OptionalId = None


class _V1(_Envelope):
    action: Text
    data: _Data

    def read(self, body: bytes) -> TicketEvent | Skipped:
        if self.event not in (ISSUE, COMMENT):
            return Skipped(OTHER, Why.EVENT)
        issue = self.data.id if self.event == ISSUE else self.data.issue
        action = self.action.removesuffix("d").removesuffix("e")  # create and created are the same
        moment = self.data.updated_at or hashlib.sha256(body).hexdigest()
        return _ticket(
            self,
            self.data,
            event=self.event,
            issue_id=issue,
            state_id=(self.data.state_id or self.data.state) if self.event == ISSUE else None,
            identity=(self.data.id or "", action, moment),
        )


_TICKET_ITSELF = frozenset({"workitemcreated", "workitemupdated", "workitemarchived", "workitemdeleted"})
"""The rest (comments, links, relations) never says that work is to start."""


class _V2(_Envelope):
    event_id: OptionalId = None
    entity_id: OptionalId = None
    data: _Data
    previous_attributes: _Data | None = None  # a deletion has its record here

    def read(self, body: bytes) -> TicketEvent | Skipped:
        # `workitem.comment.created`, or an enum's name: `WebhookScope.ScopeChoices.WORK_ITEM_COMMENT_CREATED`.
        name = self.event.lower().removeprefix("webhookscope.scopechoices.").replace("_", "").replace(".", "")
        if not name.startswith("workitem"):
            return Skipped(OTHER, Why.EVENT)
        itself = name in _TICKET_ITSELF
        data = self.data
        if data.in_project is None and self.previous_attributes:
            data = self.previous_attributes
        # Stable over retries, unlike the delivery's id.
        identity = (self.event_id or hashlib.sha256(body).hexdigest(),)
        return _ticket(
            self,
            data,
            event=COMMENT if name.startswith("workitemcomment") else ISSUE,
            issue_id=self.entity_id or (data.id if itself else data.issue),
            state_id=(data.state_id or data.state) if itself else None,
            identity=identity,
        )


def _ticket(
    envelope: _Envelope,
    data: _Data,
    *,
    event: str,
    issue_id: str | None,
    state_id: str | None,
    identity: tuple[str, ...],
) -> TicketEvent | Skipped:
    if data.in_project is None:
        return Skipped(event, Why.PROJECT)
    if issue_id is None:
        raise Malformed
    return TicketEvent(
        event=event,
        project_id=data.in_project.lower(),
        webhook_id=envelope.webhook_id,
        workspace_id=envelope.workspace_id,
        issue_id=issue_id,
        number=data.sequence_id,
        state_id=state_id,
        identity=(event, issue_id, *identity),
        updated=data.updated_at if event == ISSUE else None,
    )


def parse(_headers: Mapping[str, str], body: bytes) -> TicketEvent | Skipped:
    """The event is the body's: its header is not signed. Raises Malformed."""
    try:
        kind = _V2 if _Envelope.model_validate_json(body).version == "v2" else _V1
        return kind.model_validate_json(body).read(body)
    except ValidationError as error:
        raise Malformed from error
