"""The team lead: starts the tickets, and approves what the operator asks them to approve. Has the tracker alone."""

import asyncio

from examples.demo.tickets import PROJECTS, TICKETS
from tests.fakes.plane import FakePlane

LOOK_SECONDS = 0.5
QUESTION = "set the ticket to Approved or Rejected"


def write_tickets(tracker: FakePlane) -> dict[str, str]:
    """Projects and tickets, not started yet; returns the id of each repository's project."""
    made = {project.identifier: tracker.create_project(project.name, project.identifier) for project in PROJECTS}
    for ticket in TICKETS:
        project = made[ticket.identifier]
        written = tracker.create_ticket(project.id, ticket.title, description_html=f"<p>{ticket.text}</p>")
        if written.key != ticket.key:
            raise ValueError(f"the tracker calls ticket {ticket.key} {written.key}")
    for ticket in TICKETS:
        if ticket.blocked_by:
            tracker.block(tracker.ticket(ticket.key).id, by=tracker.ticket(ticket.blocked_by).id)
    return {project.repository: made[project.identifier].id for project in PROJECTS}


def start_tickets(tracker: FakePlane) -> None:
    for ticket in TICKETS:
        tracker.move(tracker.ticket(ticket.key).id, "To Analyse")


async def approve(tracker: FakePlane) -> None:
    """For ever: a ticket whose newest comment asks for it is moved to "Approved", once."""
    answered: dict[str, str] = {}
    while True:
        for ticket in TICKETS:
            asked = [comment.id for comment in tracker.comments_of(ticket.key) if QUESTION in comment.html]
            shown = tracker.state_of(ticket.key) == "Awaiting Deploy"
            if asked and shown and answered.get(ticket.key) != asked[-1]:
                tracker.move(tracker.ticket(ticket.key).id, "Approved")
                answered[ticket.key] = asked[-1]
        await asyncio.sleep(LOOK_SECONDS)
