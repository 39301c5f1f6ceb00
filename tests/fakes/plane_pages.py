"""The board and the tickets as plain pages that renew themselves, for people who watch the demo."""

from html import escape

from aiohttp import web

from tests.fakes.plane_records import Missing, Project, State, Ticket
from tests.fakes.plane_shapes import plain
from tests.fakes.plane_store import Store

POLICY = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="3"><title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2em; color: #222; background: #fafafa }}
.board {{ display: flex; gap: 1em; overflow-x: auto; align-items: flex-start }}
.state {{ min-width: 11em; background: #eee; border-radius: 6px; padding: .6em }}
.state h2 {{ font-size: 1em; margin: 0 0 .5em }}
.ticket {{ background: #fff; border-radius: 4px; padding: .5em; margin: .4em 0 }}
.text {{ white-space: pre-wrap; overflow-wrap: anywhere }}
small {{ color: #777 }}
</style></head><body>
{body}
</body></html>
"""


class Pages:
    def __init__(self, store: Store) -> None:
        self._store = store

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", self._index),
            web.get("/board/{project}", self._board),
            web.get("/board/{project}/{key}", self._ticket),
            web.get("/{workspace}/projects/{project}/issues/{id}", self._issue),
        ]

    async def _index(self, request: web.Request) -> web.Response:
        links = "\n".join(
            f'<li><a href="/board/{escape(project.identifier)}">{escape(project.name)}</a></li>'
            for project in self._store.projects.values()
        )
        return _page("Projects", f"<h1>Projects</h1>\n<ul>{links}</ul>")

    async def _board(self, request: web.Request) -> web.Response:
        project = self._project(request.match_info["project"])
        columns = "\n".join(self._column(project, state) for state in project.states)
        return _page(project.name, f'<h1>{escape(project.name)}</h1>\n<div class="board">{columns}</div>')

    async def _ticket(self, request: web.Request) -> web.Response:
        project = self._project(request.match_info["project"])
        for ticket in self._store.tickets.values():
            if ticket.project_id == project.id and ticket.key == request.match_info["key"]:
                return _page(f"{ticket.key} {ticket.name}", self._ticket_body(project, ticket))
        raise web.HTTPNotFound(text="No such ticket.")

    async def _issue(self, request: web.Request) -> web.Response:
        """The address that the real one has for a ticket."""
        project = self._project(request.match_info["project"])
        for ticket in self._store.tickets.values():
            if ticket.project_id == project.id and ticket.id == request.match_info["id"]:
                raise web.HTTPFound(f"/board/{project.identifier}/{ticket.key}")
        raise web.HTTPNotFound(text="No such ticket.")

    def _project(self, wanted: str) -> Project:
        """By identifier or id."""
        for project in self._store.projects.values():
            if wanted in (project.identifier, project.id):
                return project
        raise web.HTTPNotFound(text="No such project.")

    def _column(self, project: Project, state: State) -> str:
        tickets = [t for t in self._store.tickets.values() if t.project_id == project.id and t.state_id == state.id]
        cards = "\n".join(self._card(project, ticket) for ticket in tickets if ticket.listed)
        return f'<div class="state"><h2>{escape(state.name)}</h2>\n{cards}</div>'

    def _card(self, project: Project, ticket: Ticket) -> str:
        count = len(self._store.comments_of(ticket.id))
        link = f'<a href="/board/{escape(project.identifier)}/{escape(ticket.key)}">{escape(ticket.key)}</a>'
        return f'<div class="ticket">{link} {escape(ticket.name)}<br><small>{_comments(count)}</small></div>'

    def _ticket_body(self, project: Project, ticket: Ticket) -> str:
        blockers = [self._key(other) for kind, other in ticket.relations if kind == "blocked_by"]
        comments = "\n".join(
            f'<div class="ticket"><b>{escape(comment.actor.display_name)}</b> '
            f"<small>{comment.created_at:%Y-%m-%d %H:%M:%S}</small>"
            f'<div class="text">{escape(plain(comment.html))}</div></div>'
            for comment in self._store.comments_of(ticket.id)
        )
        return (
            f'<p><a href="/board/{escape(project.identifier)}">{escape(project.name)}</a></p>\n'
            f"<h1>{escape(ticket.key)} {escape(ticket.name)}</h1>\n"
            f"<p><b>{escape(project.state(ticket.state_id).name)}</b></p>\n"
            f"<p>{escape('Blocked by ' + ', '.join(blockers)) if blockers else ''}</p>\n"
            f'<div class="text">{escape(plain(ticket.description_html))}</div>\n<h2>Comments</h2>\n{comments}'
        )

    def _key(self, ticket_id: str) -> str:
        try:
            return self._store.ticket(ticket_id).key
        except Missing:
            return ticket_id


def _comments(count: int) -> str:
    return "1 comment" if count == 1 else f"{count} comments"


def _page(title: str, body: str) -> web.Response:
    page = PAGE.format(title=escape(title), body=body)
    return web.Response(text=page, content_type="text/html", headers=POLICY)
