"""The fake Plane's REST API under `/api/v1`: the part that Conveyor uses."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from aiohttp import web

from tests.fakes.plane_guard import USER
from tests.fakes.plane_paging import page_of
from tests.fakes.plane_records import Json, Missing, Project, Refused, Ticket, Writer
from tests.fakes.plane_shapes import (
    comment_json,
    project_json,
    relations_json,
    state_json,
    ticket_rest,
    user_json,
)
from tests.fakes.plane_store import Store

T = TypeVar("T")
ORDERS = ("created_at", "updated_at", "sequence_id", "name", "priority")
COMMERCIAL_PARAMETERS = ("pql", "filters")


@dataclass
class Variant:
    """In what servers differ."""

    max_per_page: int = 100
    relations_as_objects: bool = False
    has_relations: bool = True


class Api:
    def __init__(self, store: Store, workspace: str, *, variant: Variant) -> None:
        self._store = store
        self._workspace = workspace
        self._variant = variant

    def routes(self) -> list[web.RouteDef]:
        space = "/api/v1/workspaces/{slug}"
        project = space + "/projects/{pid}"
        item = project + "/work-items/{id}"
        table: list[tuple[str, str, Callable[[web.Request], Awaitable[web.Response]]]] = [
            ("GET", "/api/v1/users/me/", self._me),
            ("GET", space + "/projects/", self._projects),
            ("GET", project + "/", self._project),
            ("GET", project + "/states/", self._states),
            ("GET", project + "/work-items/", self._list),
            ("POST", project + "/work-items/", self._create),
            ("GET", item + "/", self._get),
            ("PATCH", item + "/", self._patch),
            ("GET", item + "/comments/", self._comments),
            ("POST", item + "/comments/", self._comment),
            ("GET", item + "/relations/", self._relations),
            ("POST", item + "/relations/", self._relate),
            ("GET", space + r"/work-items/{identifier}-{number:\d+}/", self._get_by_key),
        ]
        return [web.route(method, path, handler) for method, path, handler in table]

    async def _me(self, request: web.Request) -> web.Response:
        return web.json_response(user_json(request[USER]))

    async def _projects(self, request: web.Request) -> web.Response:
        self._check_workspace(request)
        projects = sorted(self._store.projects.values(), key=lambda project: project.name)
        return self._page(request, projects, lambda project: project_json(project, self._store.workspace_id))

    async def _project(self, request: web.Request) -> web.Response:
        return web.json_response(project_json(self._project_of(request), self._store.workspace_id))

    async def _states(self, request: web.Request) -> web.Response:
        project = self._project_of(request)
        return self._page(request, project.states, lambda s: state_json(s, project, self._store.workspace_id))

    async def _list(self, request: web.Request) -> web.Response:
        project = self._project_of(request)
        for parameter in COMMERCIAL_PARAMETERS:
            if parameter in request.query:
                raise Refused({"error": f"{parameter} is not supported"})
        rows = [t for t in self._store.tickets.values() if t.project_id == project.id and t.listed]
        external = (request.query.get("external_id"), request.query.get("external_source"))
        if all(external):
            for ticket in rows:
                if (ticket.external_id, ticket.external_source) == external:
                    return web.json_response(self._shape(request, ticket))
            raise Missing
        return self._page(request, ordered(rows, request.query.get("order_by", "-created_at")), self._shaper(request))

    async def _get(self, request: web.Request) -> web.Response:
        ticket = self._ticket_of(request)
        if not ticket.listed:
            raise Missing
        return web.json_response(self._shape(request, ticket))

    async def _get_by_key(self, request: web.Request) -> web.Response:
        self._check_workspace(request)
        key = f"{request.match_info['identifier']}-{request.match_info['number']}"
        for ticket in self._store.tickets.values():
            if ticket.key == key and ticket.listed:
                return web.json_response(self._shape(request, ticket))
        raise Missing

    async def _create(self, request: web.Request) -> web.Response:
        project = self._project_of(request)
        ticket = self._store.add_ticket(project.id, await body_of(request), by=self._writer(request))
        return web.json_response(self._shape(request, ticket), status=201)

    async def _patch(self, request: web.Request) -> web.Response:
        ticket = self._ticket_of(request)
        self._store.change_ticket(ticket.id, await body_of(request), by=self._writer(request))
        return web.json_response(self._shape(request, ticket))

    async def _comments(self, request: web.Request) -> web.Response:
        rows = self._store.comments_of(self._ticket_of(request).id)
        newest_first = sorted(rows, key=lambda comment: comment.created_at, reverse=True)
        return self._page(request, newest_first, lambda comment: comment_json(comment, self._store.workspace_id))

    async def _comment(self, request: web.Request) -> web.Response:
        ticket = self._ticket_of(request)
        comment = self._store.add_comment(ticket.id, await body_of(request), by=self._writer(request))
        return web.json_response(comment_json(comment, self._store.workspace_id), status=201)

    async def _relations(self, request: web.Request) -> web.Response:
        ticket = self._ticket_with_relations(request)
        return web.json_response(relations_json(ticket, as_objects=self._variant.relations_as_objects))

    async def _relate(self, request: web.Request) -> web.Response:
        ticket = self._ticket_with_relations(request)
        values = await body_of(request)
        kind, others = str(values.get("relation_type")), [str(other) for other in values.get("issues") or []]
        self._store.relate(ticket.id, kind, others, by=self._writer(request))
        answer = [{"id": other, "relation_type": kind} for other in others]
        return web.json_response(answer, status=201)

    def _check_workspace(self, request: web.Request) -> None:
        if request.match_info["slug"] != self._workspace:
            raise Missing

    def _project_of(self, request: web.Request) -> Project:
        self._check_workspace(request)
        return self._store.project(request.match_info["pid"])

    def _ticket_of(self, request: web.Request) -> Ticket:
        project, ticket = self._project_of(request), self._store.ticket(request.match_info["id"])
        if ticket.project_id != project.id:
            raise Missing
        return ticket

    def _ticket_with_relations(self, request: web.Request) -> Ticket:
        if not self._variant.has_relations:
            raise web.HTTPNotFound
        return self._ticket_of(request)

    def _writer(self, request: web.Request) -> Writer:
        return Writer(request[USER], "api")

    def _shape(self, request: web.Request, ticket: Ticket) -> Json:
        expand = [name for name in request.query.get("expand", "").split(",") if name]
        row = ticket_rest(ticket, self._store.project(ticket.project_id), self._store.workspace_id, expand=expand)
        fields = [name for name in request.query.get("fields", "").split(",") if name]
        return {name: row[name] for name in fields if name in row} if fields else row

    def _shaper(self, request: web.Request) -> Callable[[Ticket], Json]:
        return lambda ticket: self._shape(request, ticket)

    def _page(self, request: web.Request, rows: Sequence[T], shape: Callable[[T], Json]) -> web.Response:
        return web.json_response(page_of(rows, request.query, shape=shape, max_per_page=self._variant.max_per_page))


def ordered(tickets: list[Ticket], order_by: str) -> list[Ticket]:
    field = order_by.removeprefix("-")
    if field not in ORDERS:
        raise Refused({"error": f"Invalid order_by value: {order_by}"})
    return sorted(tickets, key=lambda ticket: getattr(ticket, field), reverse=order_by.startswith("-"))


async def body_of(request: web.Request) -> Json:
    try:
        values = json.loads(await request.read() or b"{}")
    except ValueError:
        raise Refused({"detail": "JSON parse error"}) from None
    if not isinstance(values, dict):
        raise Refused({"non_field_errors": ["Invalid data. Expected a dictionary."]})
    return values
