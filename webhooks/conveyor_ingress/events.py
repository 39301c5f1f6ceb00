"""What is left of a delivery once it is parsed: what to look at again, and what tells this event from another."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from conveyor.api.annotations import HintClass
from conveyor_ingress.answers import Why


class Part(BaseModel):
    """A part of a sender's payload: what we need of it, checked; the rest is dropped."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


Id = Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{1,64}$")]
Text = Annotated[str, Field(max_length=512)]
OptionalText = Annotated[Text | None, BeforeValidator(lambda value: None if value == "None" else value)]
"""Plane's newer webhooks write the word None where they mean null."""
OptionalId = Annotated[Id | None, BeforeValidator(lambda value: None if value == "None" else value)]


def hint_value(subject: str, *identity: object) -> str:
    """A hint's value: `<subject> <digest>`. No subject holds a space (git allows none in a branch's name).

    The subject says where to look: a branch, a commit, `#<pull request>` or a ticket. The digest is of what makes the
    event this one, so that a repeated delivery gives the same value and nothing the sender claims is stored.
    """
    parts = json.dumps([str(part) for part in identity]).encode()
    return f"{subject} {hashlib.sha256(parts).hexdigest()[:16]}"


@dataclass(frozen=True)
class ForgeEvent:
    """Something happened to a branch, a pull request or a commit."""

    event: str
    full_name: str
    """`<owner>/<name>` as the forge has it."""
    hint: HintClass
    value: str
    branch: str | None = None
    """The branch of the repository itself that it is about, if it names one."""


@dataclass(frozen=True)
class TicketEvent:
    """Something happened to a ticket."""

    event: str
    project_id: str
    webhook_id: str | None
    workspace_id: str | None
    issue_id: str
    number: int | None
    """The ticket's number in its project, where the payload has it."""
    state_id: str | None
    identity: tuple[str, ...]
    updated: str | None = None
    """When the ticket itself changed last, where the payload has it."""


@dataclass(frozen=True)
class Skipped:
    """Well-formed, but nothing we use."""

    event: str
    why: Why


Event = ForgeEvent | TicketEvent
OTHER = "other"
"""Counted as this: an event we do not know."""


class Malformed(Exception):
    """The body is not what the event should be. Says nothing of the content."""
