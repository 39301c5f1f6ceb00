"""The UI's doors over HTTP, under `/ui/`, for whoever runs the fake Plane as a process of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

from aiohttp import web

from tests.fakes.plane_api import body_of
from tests.fakes.plane_faults import Fault, FaultKind
from tests.fakes.plane_records import DEFAULT_STATES, Duplicate, Json, Missing, Project, Refused, Ticket
from tests.fakes.plane_shapes import iso, state_lite

if TYPE_CHECKING:
    from tests.fakes.plane import FakePlane
    from tests.fakes.plane_webhooks import Webhook

Handler = Callable[[web.Request], Awaitable[Json]]


class Ui:
    def __init__(self, plane: FakePlane) -> None:
        self._plane = plane

    def routes(self) -> list[web.RouteDef]:
        table: list[tuple[str, str, Handler]] = [
            ("GET", "/ui/", self._overview),
            ("POST", "/ui/keys", self._add_key),
            ("GET", "/ui/projects", self._projects),
            ("POST", "/ui/projects", self._create_project),
            ("POST", "/ui/projects/{id}/tickets", self._create_ticket),
            ("GET", "/ui/tickets", self._tickets),
            ("GET", "/ui/tickets/{id}", self._ticket),
            ("PATCH", "/ui/tickets/{id}", self._edit),
            ("POST", "/ui/tickets/{id}/move", self._move),
            ("POST", "/ui/tickets/{id}/comments", self._comment),
            ("POST", "/ui/tickets/{id}/block", self._block),
            ("GET", "/ui/webhooks", self._webhooks),
            ("POST", "/ui/webhooks", self._add_webhook),
            ("GET", "/ui/ledger", self._ledger),
            ("POST", "/ui/faults", self._add_fault),
        ]
        return [web.route(method, path, answering(handler)) for method, path, handler in table]

    async def _overview(self, request: web.Request) -> Json:
        plane = self._plane
        return {"workspace": plane.workspace, "workspace_id": plane.workspace_id, "api_key": plane.api_key}

    async def _add_key(self, request: web.Request) -> Json:
        return {"api_key": self._plane.add_key(str((await body_of(request))["name"]))}

    async def _projects(self, request: web.Request) -> Json:
        return {"projects": [project_row(project) for project in self._plane.store.projects.values()]}

    async def _create_project(self, request: web.Request) -> Json:
        """`{name, identifier, states?: [[name, group], …]}`."""
        values = await body_of(request)
        states = tuple((str(name), str(group)) for name, group in values.get("states") or DEFAULT_STATES)
        return project_row(self._plane.create_project(values["name"], values["identifier"], states=states))

    async def _create_ticket(self, request: web.Request) -> Json:
        """`{name, description_html?, state?}`; the state is a name or an id."""
        values = await body_of(request)
        ticket = self._plane.create_ticket(
            request.match_info["id"],
            values["name"],
            description_html=values.get("description_html", "<p></p>"),
            state=values.get("state"),
        )
        return self._row(ticket)

    async def _tickets(self, request: web.Request) -> Json:
        return {"tickets": [self._row(ticket) for ticket in self._plane.store.tickets.values()]}

    async def _ticket(self, request: web.Request) -> Json:
        return self._row(self._named(request))

    async def _edit(self, request: web.Request) -> Json:
        """`{name?, description_html?}`."""
        values, ticket = await body_of(request), self._named(request)
        self._plane.edit(ticket.id, name=values.get("name"), description_html=values.get("description_html"))
        return self._row(ticket)

    async def _move(self, request: web.Request) -> Json:
        """`{state}`, a name or an id."""
        values, ticket = await body_of(request), self._named(request)
        self._plane.move(ticket.id, values["state"])
        return self._row(ticket)

    async def _comment(self, request: web.Request) -> Json:
        """`{html}`."""
        values, ticket = await body_of(request), self._named(request)
        return {"id": self._plane.comment(ticket.id, values["html"]).id}

    async def _block(self, request: web.Request) -> Json:
        """`{by}`, an id or a key."""
        values, ticket = await body_of(request), self._named(request)
        self._plane.block(ticket.id, by=self._plane.ticket(values["by"]).id)
        return self._row(ticket)

    async def _webhooks(self, request: web.Request) -> Json:
        return {"webhooks": [webhook_row(webhook) for webhook in self._plane.webhooks]}

    async def _add_webhook(self, request: web.Request) -> Json:
        """`{url}`; the answer is the only place that tells the secret."""
        webhook = self._plane.add_webhook((await body_of(request))["url"])
        return webhook_row(webhook) | {"secret": webhook.secret}

    async def _ledger(self, request: web.Request) -> Json:
        return {"effects": [asdict(effect) | {"time": iso(effect.time)} for effect in self._plane.ledger]}

    async def _add_fault(self, request: web.Request) -> Json:
        """The fields of a Fault."""
        values = await body_of(request)
        self._plane.faults.add(Fault(**values | {"kind": FaultKind(values["kind"])}))
        return {}

    def _named(self, request: web.Request) -> Ticket:
        """By id or key."""
        return self._plane.ticket(request.match_info["id"])

    def _row(self, ticket: Ticket) -> Json:
        return {
            "id": ticket.id,
            "key": ticket.key,
            "name": ticket.name,
            "project_id": ticket.project_id,
            "state": self._plane.state_of(ticket.id),
            "updated_at": iso(ticket.updated_at),
            "comments": [comment.html for comment in self._plane.comments_of(ticket.id)],
            "url": self._plane.ticket_url(ticket.id),
        }


def answering(handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        try:
            return web.json_response(await handler(request))
        except Missing as error:
            return web.json_response({"error": str(error)}, status=404)
        except (KeyError, TypeError, ValueError, Refused, Duplicate) as error:
            return web.json_response({"error": repr(error)}, status=400)

    return answer


def project_row(project: Project) -> Json:
    return {
        "id": project.id,
        "name": project.name,
        "identifier": project.identifier,
        "states": [state_lite(state) for state in project.states],
    }


def webhook_row(webhook: Webhook) -> Json:
    return {
        "id": webhook.id,
        "url": webhook.url,
        "is_active": webhook.is_active,
        "attempts": [{"event": attempt.event, "status": attempt.status} for attempt in webhook.attempts],
    }
