"""What the engine needs of a ticket tracker, for one project. Every method may raise `conveyor.web.errors`."""

from __future__ import annotations

from typing import Protocol

from conveyor.pipeline.facts import Ticket, TicketComment, TicketSummary, TrackerState


class Tracker(Protocol):
    async def identifier(self) -> str:
        """The prefix of the project's keys (`ET`)."""

    async def states(self) -> tuple[TrackerState, ...]:
        """The project's states, cached for TRACKER_STATES_TTL_SECONDS; a failed refresh serves the old set."""

    async def ticket(self, issue_id: str, *, blockers: bool = False) -> Ticket | None:
        """One ticket, or None where it is gone. Only with `blockers` is it asked which tickets block it."""

    async def comments(self, issue_id: str) -> tuple[TicketComment, ...]:
        """A ticket's comments as plain text, oldest first, at most the newest 100."""

    async def changed_since(self, watermark: str) -> tuple[TicketSummary, ...]:
        """Tickets with `updated_at` at or after the watermark (Plane's own time, "" for all), newest first."""

    async def set_state(self, issue_id: str, state_id: str) -> str:
        """Set the ticket's state and return its `updated_at` thereafter. Setting is idempotent."""

    async def comment(self, issue_id: str, text: str, *, marker: str) -> None:
        """Comment once: a second call with the same marker changes nothing. `text` is plain and is escaped here."""
