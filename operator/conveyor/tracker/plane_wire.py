"""Plane's JSON as it arrives, in all the forms its versions give it, and as our values.

Shapes after apps/api/plane/api/serializers and views of makeplane/plane; whatever we do not use is ignored.
"""

from __future__ import annotations

import email.utils
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from conveyor.pipeline.facts import Ticket, TicketComment, TicketSummary, TrackerState
from conveyor.tracker.plane_text import MAX_COMMENT_TEXT, MAX_TICKET_TEXT, line_of, text_of

MAX_NAME = 256


def _none(value: object) -> object:
    """Some versions write null as the string "None"."""
    return None if value == "None" else value


def _id(value: object) -> object:
    """A reference is a bare id or, expanded, an object."""
    if isinstance(value, dict):
        value = value.get("issue_id") or value.get("id")
    return _none(value)


def _ids(value: object) -> object:
    return _none(value) or []


def _moment(value: object) -> object:
    moment(value if isinstance(value, str) else "")
    return value


Id = Annotated[str, Field(min_length=1, max_length=64)]
Reference = Annotated[Id, BeforeValidator(_id)]
OptionalReference = Annotated[Id | None, BeforeValidator(_id)]
OptionalText = Annotated[str | None, BeforeValidator(_none)]
Moment = Annotated[str, Field(max_length=40), BeforeValidator(_moment)]


class Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


R = TypeVar("R", bound=Row)


class UserRow(Row):
    id: Id


class ProjectRow(Row):
    identifier: Annotated[str, Field(min_length=1, max_length=64)]


class Page(Row, Generic[R]):
    """`next_cursor` is set on the last page too: only `next_page_results` says whether it leads on."""

    results: list[R]
    next_cursor: OptionalText = None
    next_page_results: bool


class StateRow(Row):
    id: Id
    name: str
    group: str

    def value(self) -> TrackerState:
        return TrackerState(self.id, self.name, self.group)


class ItemRow(Row):
    """A work item. A list asked for `SUMMARY_FIELDS` leaves the rest out."""

    id: Id
    sequence_id: Annotated[int, Field(ge=1)]
    state: OptionalReference
    updated_at: Moment

    def summary(self, identifier: str) -> TicketSummary:
        return TicketSummary(self.id, f"{identifier}-{self.sequence_id}", self.state or "", updated=self.updated_at)


SUMMARY_FIELDS = "id,sequence_id,state,updated_at"
"""Descriptions may be hundreds of kilobytes each: a page of a hundred is not asked for them."""


class FullItemRow(ItemRow):
    name: str
    description_html: OptionalText = None

    def value(self, identifier: str, *, blocked_by: tuple[str, ...], folder: str) -> Ticket:
        """`folder` is the address of the project's tickets."""
        return Ticket(
            id=self.id,
            key=f"{identifier}-{self.sequence_id}",
            name=line_of(self.name, limit=MAX_NAME),
            text=text_of(self.description_html or "", limit=MAX_TICKET_TEXT),
            state_id=self.state or "",
            updated=self.updated_at,
            blocked_by=blocked_by,
            url=f"{folder}/{self.id}",
        )


class CommentRow(Row):
    id: Id
    actor: OptionalReference = None
    created_by: OptionalReference = None
    created_at: Moment
    comment_html: OptionalText = None

    def value(self) -> TicketComment:
        text = text_of(self.comment_html or "", limit=MAX_COMMENT_TEXT)
        return TicketComment(self.id, self.actor or self.created_by or "", self.created_at, text=text)


class RelationsRow(Row):
    blocked_by: Annotated[list[Reference], BeforeValidator(_ids)] = []


USER = TypeAdapter(UserRow)
PROJECT = TypeAdapter(ProjectRow)
STATES = TypeAdapter(Page[StateRow])
ITEM = TypeAdapter(ItemRow)
ITEMS = TypeAdapter(Page[ItemRow])
FULL_ITEM = TypeAdapter(FullItemRow)
COMMENTS = TypeAdapter(Page[CommentRow])
RELATIONS = TypeAdapter(RelationsRow)


def moment(text: str) -> datetime:
    """One of Plane's times, for comparing with another of its own: some have a fraction and some an offset.

    ValueError where it is none.
    """
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def allowance(headers: Mapping[str, str]) -> tuple[int, float] | None:
    """How many requests the server still allows and in how many seconds it forgets, where it says so.

    The reset is told in the server's clock, so it is compared with the answer's Date and not with ours.
    """
    remaining, reset = headers.get("x-ratelimit-remaining", ""), headers.get("x-ratelimit-reset", "")
    if not (_is_number(remaining) and _is_number(reset)):
        return None
    try:
        sent = email.utils.parsedate_to_datetime(headers.get("date", "")).timestamp()
    except (ValueError, OverflowError):
        return int(remaining), 60.0
    return int(remaining), int(reset) - sent


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16
