"""The Tracker protocol in memory: one project, its states, tickets and comments; what people do is without `await`."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from conveyor.pipeline.facts import Ticket, TicketComment, TicketSummary, TrackerState
from conveyor.tracker.protocol import Tracker
from conveyor.web.errors import Unavailable
from tests.fakes.memory_faults import Calls

STATES = {
    "Backlog": "backlog",
    "To Analyse": "unstarted",
    "Analysis": "started",
    "Needs Input": "started",
    "In Progress": "started",
    "Code Review": "started",
    "Awaiting Deploy": "started",
    "Deploying": "started",
    "Approved": "started",
    "Rejected": "started",
    "Blocked": "started",
    "Done": "completed",
    "Cancelled": "cancelled",
}
BORN = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


@dataclass
class MemoryTracker(Tracker):
    on_effect: Callable[[], None] | None = None
    states_of: dict[str, str] = field(default_factory=lambda: dict(STATES))
    tickets: dict[str, Ticket] = field(default_factory=dict)
    said: dict[str, list[TicketComment]] = field(default_factory=dict)

    unreadable: int = 0
    """How many reads of a ticket go wrong."""
    refusal: Exception | None = None
    """What listings are answered."""

    def __post_init__(self) -> None:
        self.calls = Calls(self.on_effect)
        self._ticks = 0

    # --- what people do

    def add(self, number: int, name: str, *, state: str = "Backlog", text: str = "") -> str:
        ticket = Ticket(
            f"ticket-{number}", f"ET-{number}", name, text, state, self._tick(), (), f"https://plane.test/{number}"
        )
        self.tickets[ticket.id] = ticket
        return ticket.id

    def move(self, ticket: str, state: str) -> None:
        self.tickets[ticket] = replace(self.tickets[ticket], state_id=state, updated=self._tick())

    def edit(self, ticket: str, text: str) -> None:
        self.tickets[ticket] = replace(self.tickets[ticket], text=text, updated=self._tick())

    def _tick(self) -> str:
        """Plane's own clock, which only rises."""
        self._ticks += 1
        return (BORN + timedelta(seconds=self._ticks)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    # --- the protocol

    async def identifier(self) -> str:
        await self.calls.read()
        return "ET"

    async def states(self) -> tuple[TrackerState, ...]:
        """A state's id is its name."""
        await self.calls.read()
        return tuple(TrackerState(name, name, group) for name, group in self.states_of.items())

    async def ticket(self, issue_id: str, *, blockers: bool = False) -> Ticket | None:
        await self.calls.read()
        if self.unreadable:
            self.unreadable -= 1
            raise Unavailable("the ticket cannot be read now")
        return self.tickets.get(issue_id)

    async def comments(self, issue_id: str) -> tuple[TicketComment, ...]:
        await self.calls.read()
        return tuple(self.said.get(issue_id, []))

    async def changed_since(self, watermark: str) -> tuple[TicketSummary, ...]:
        await self.calls.read()
        if self.refusal is not None:
            raise self.refusal
        found = [
            TicketSummary(ticket.id, ticket.key, ticket.state_id, ticket.updated)
            for ticket in self.tickets.values()
            if ticket.updated >= watermark
        ]
        return tuple(sorted(found, key=lambda ticket: ticket.updated, reverse=True))

    async def set_state(self, issue_id: str, state_id: str) -> str:
        def act() -> tuple[str, ...]:
            self.move(issue_id, state_id)
            return issue_id, state_id

        await self.calls.write("set_state", act)
        return self.tickets[issue_id].updated

    async def comment(self, issue_id: str, text: str, *, marker: str) -> None:
        said = self.said.setdefault(issue_id, [])
        if any(comment.id == marker for comment in said):
            return

        def act() -> tuple[str, ...]:
            said.append(TicketComment(marker, "conveyor", self._tick(), text))
            return issue_id, marker

        await self.calls.write("comment", act)
