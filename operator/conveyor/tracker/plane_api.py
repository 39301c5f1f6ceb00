"""One Plane server as one token sees it: its budget, its pages, and the two names it has had for its tickets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from pydantic import TypeAdapter

from conveyor.tracker.budget import Budget
from conveyor.tracker.plane_wire import Page, R, allowance
from conveyor.web.answer import Answer
from conveyor.web.client import WebClient, path
from conveyor.web.errors import BadCredentials, NotFound, RateLimited, Refused, Unavailable

T = TypeVar("T")

PER_PAGE = 100
MAX_PAGES = 200
MAX_LIST_BYTES = 256 * 2**20
"""All pages of a list together: each may be as large as any answer. Old servers put all of each ticket into a list."""
NAMES = ("work-items", "issues")
"""The collection of tickets, newest name first; older servers know the last only."""


class PlaneApi:
    """Requests under one project. Every path ends in a slash: Plane redirects others, and loses a body by that."""

    def __init__(self, web: WebClient, budget: Budget, *, workspace: str, project_id: str) -> None:
        self._web = web
        self._budget = budget
        self._project = path("workspaces", workspace, "projects", project_id)
        self._name = NAMES[0]
        self._name_is_known = False

    async def aclose(self) -> None:
        await self._web.aclose()

    async def me(self) -> Answer:
        return await self._read("/users/me/")

    async def project(self, *segments: str) -> Answer:
        return await self._read(self._in_project(*segments))

    async def ticket(self, *segments: str) -> Answer:
        """GET under the collection of tickets: an id, and what it has."""
        return await self._named(lambda name: self._read(self._in_project(name, *segments)))

    async def change(self, method: str, *segments: str, body: object) -> Answer:
        async def send(name: str) -> Answer:
            self._budget.reserve("write")
            return await self._heeded(self._web.write(method, self._in_project(name, *segments), json=body))

        return await self._named(send)

    async def ticket_rows(
        self,
        shape: TypeAdapter[Page[R]],
        *segments: str,
        params: dict[str, str],
        enough: Callable[[list[R]], bool],
    ) -> list[R]:
        """Rows of the collection of tickets, or of what a ticket has, until there are `enough`; some may come twice."""
        return await self._named(
            lambda name: self._rows(shape, self._in_project(name, *segments), params=params, enough=enough)
        )

    async def project_rows(self, shape: TypeAdapter[Page[R]], *segments: str) -> list[R]:
        return await self._rows(shape, self._in_project(*segments), params={}, enough=lambda _: False)

    async def has_tickets(self) -> bool:
        """Whether the project and its tickets are there to be seen at all, so that a missing one is gone."""
        return await self._is_there(self._name)

    async def _rows(
        self,
        shape: TypeAdapter[Page[R]],
        where: str,
        *,
        params: dict[str, str],
        enough: Callable[[list[R]], bool],
    ) -> list[R]:
        rows: list[R] = []
        left = MAX_LIST_BYTES
        asked = {"per_page": str(PER_PAGE), **params}
        for _ in range(MAX_PAGES):
            answer = await self._read(where, params=asked)
            left -= len(answer.body)
            if left < 0:
                raise Unavailable(f"GET {where} has more than {MAX_LIST_BYTES} bytes")
            page = answer.parse(shape)
            rows += page.results
            if not page.next_page_results or (rows and enough(rows)):
                return rows
            asked["cursor"] = page.next_cursor or ""
        raise Unavailable(f"GET {where} has more than {MAX_PAGES} pages")

    async def _named(self, call: Callable[[str], Awaitable[T]]) -> T:
        """Call with the collection's name; the first 404 of all may mean that the server knows the other one."""
        try:
            return await call(self._name)
        except NotFound:
            if self._name_is_known:
                raise
            name = await self._find_name()
            if name == self._name:
                raise
            self._name = name
        return await call(self._name)

    async def _find_name(self) -> str:
        for name in NAMES:
            if await self._is_there(name):
                self._name_is_known = True
                return name
        raise NotFound(f"{self._project} is not there, or this token may not see it", status=404)

    async def _is_there(self, name: str) -> bool:
        try:
            await self._read(self._in_project(name), params={"per_page": "1"})
        except NotFound:
            return False
        return True

    async def _read(self, where: str, *, params: dict[str, str] | None = None) -> Answer:
        self._budget.reserve("read")
        return await self._heeded(self._web.read("GET", where, params=params))

    async def _heeded(self, call: Awaitable[Answer]) -> Answer:
        try:
            answer = await call
        except RateLimited as limited:
            self._budget.park(limited.until_seconds)
            raise
        except Refused as refused:
            if refused.status == 403:  # also Plane's answer to a token it does not know
                raise BadCredentials(str(refused), status=403) from None
            raise
        left = allowance(answer.headers)
        if left:
            self._budget.heed(left[0], reset_seconds=left[1])
        return answer

    def _in_project(self, *segments: str) -> str:
        return self._project + (path(*segments) if segments else "") + "/"
