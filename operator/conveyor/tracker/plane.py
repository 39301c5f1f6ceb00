"""Plane as a tracker, for one project. What its REST API looks like is in `plane_wire`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import TypeVar

import httpx

from conveyor.api import repository
from conveyor.pipeline.facts import Ticket, TicketComment, TicketSummary, TrackerState
from conveyor.tracker.budget import Budget
from conveyor.tracker.plane_api import PlaneApi
from conveyor.tracker.plane_text import markup_of
from conveyor.tracker.plane_wire import (
    COMMENTS,
    FULL_ITEM,
    ITEM,
    ITEMS,
    PROJECT,
    RELATIONS,
    STATES,
    SUMMARY_FIELDS,
    USER,
    CommentRow,
    ItemRow,
    moment,
)
from conveyor.tracker.protocol import Tracker
from conveyor.web.client import Credentials, WebClient
from conveyor.web.errors import BadCredentials, Conflict, NotFound, OutsideError, Unavailable
from conveyor.web.hosts import AllowedHosts

R = TypeVar("R", ItemRow, CommentRow)

SOURCE = "conveyor"
NEWEST_COMMENTS = 100
STATES_TTL_SECONDS = 300.0
STATES_RETRY_SECONDS = 30.0
"""How long the old set of states serves after a refresh failed."""


class Plane(Tracker):
    def __init__(
        self,
        api: PlaneApi,
        spec: repository.Tracker,
        *,
        clock: Callable[[], float],
        states_ttl: float = STATES_TTL_SECONDS,
    ) -> None:
        self._api = api
        self._prefix = spec.identifier
        self._folder = f"{spec.url.rstrip('/')}/{spec.workspace}/projects/{spec.project_id}/issues"
        self._clock = clock
        self._states_ttl = states_ttl
        self._states: tuple[TrackerState, ...] = ()
        self._states_until = clock()
        self._states_lock = asyncio.Lock()
        self._me = ""

    async def aclose(self) -> None:
        await self._api.aclose()

    async def me(self) -> str:
        """The id of the user whose token ours is: the author of our comments."""
        if not self._me:
            self._me = (await self._api.me()).parse(USER).id
        return self._me

    async def identifier(self) -> str:
        return (await self._api.project()).parse(PROJECT).identifier

    async def states(self) -> tuple[TrackerState, ...]:
        async with self._states_lock:
            if not self._states or self._clock() >= self._states_until:
                await self._refresh_states()
            return self._states

    async def _refresh_states(self) -> None:
        try:
            self._states = await self._read_states()
            self._states_until = self._clock() + self._states_ttl
        except OutsideError:
            if not self._states:
                raise
            self._states_until = self._clock() + min(STATES_RETRY_SECONDS, self._states_ttl)

    async def _read_states(self) -> tuple[TrackerState, ...]:
        found = {row.id: row.value() for row in await self._api.project_rows(STATES, "states")}
        if not found:
            raise Unavailable("the project has no states: every project has some, so this answer is not the truth")
        return tuple(found.values())

    async def ticket(self, issue_id: str, *, blockers: bool = False) -> Ticket | None:
        try:
            row = (await self._api.ticket(issue_id)).parse(FULL_ITEM)
        except NotFound:
            if await self._api.has_tickets():
                return None
            raise
        blocked_by = await self._blocked_by(issue_id) if blockers else ()
        return row.value(self._prefix, blocked_by=blocked_by, folder=self._folder)

    async def _blocked_by(self, issue_id: str) -> tuple[str, ...]:
        """Some servers have no relations in their API."""
        try:
            rows = (await self._api.ticket(issue_id, "relations")).parse(RELATIONS).blocked_by
        except NotFound:
            return ()
        return tuple(dict.fromkeys(rows))

    async def comments(self, issue_id: str) -> tuple[TicketComment, ...]:
        rows = await self._api.ticket_rows(
            COMMENTS,
            issue_id,
            "comments",
            params={"order_by": "-created_at"},
            enough=lambda rows: len(rows) >= NEWEST_COMMENTS and _descending(row.created_at for row in rows),
        )
        newest = _newest_first(rows, lambda row: row.created_at)[:NEWEST_COMMENTS]
        return tuple(row.value() for row in reversed(newest))

    async def changed_since(self, watermark: str) -> tuple[TicketSummary, ...]:
        """Reads until a page that reaches behind the watermark.

        A ticket that changes meanwhile is behind us then, and newer than the newest returned: the next call has it.
        """
        since = _since(watermark)
        rows = await self._api.ticket_rows(
            ITEMS,
            params={"order_by": "-updated_at", "fields": SUMMARY_FIELDS},
            enough=lambda rows: moment(rows[-1].updated_at) < since and _descending(row.updated_at for row in rows),
        )
        newest = _newest_first(rows, lambda row: row.updated_at)
        return tuple(row.summary(self._prefix) for row in newest if moment(row.updated_at) >= since)

    async def set_state(self, issue_id: str, state_id: str) -> str:
        answer = await self._api.change("PATCH", issue_id, body={"state": state_id})
        return answer.parse(ITEM).updated_at

    async def comment(self, issue_id: str, text: str, *, marker: str) -> None:
        """`marker` is unique in the project. Plane refuses a second comment of its `external_id` with 409.

        On a server too old for that, a comment whose answer was lost may stand twice.
        """
        body = {"comment_html": markup_of(text), "external_source": SOURCE, "external_id": marker}
        try:
            await self._api.change("POST", issue_id, "comments", body=body)
        except Conflict:
            return


def connect(
    spec: repository.Tracker,
    secret: Mapping[str, str],
    *,
    allowed: AllowedHosts,
    budget: Budget,
    clock: Callable[[], float],
    states_ttl: float = STATES_TTL_SECONDS,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Plane:
    """A project of `spec` with the token of its Secret. Whoever has the same token shares the budget.

    `clock` gives seconds and never goes back. BadCredentials where the Secret lacks a key, HostNotAllowed where its
    url or the settings do not let the token go to the tracker.
    """
    name = spec.credentials_secret_ref.name
    credentials = Credentials("X-API-Key", _key(secret, "token", name=name), _key(secret, "url", name=name))
    web = WebClient(f"{spec.url.rstrip('/')}/api/v1", credentials, allowed=allowed, transport=transport)
    api = PlaneApi(web, budget, workspace=spec.workspace, project_id=spec.project_id)
    return Plane(api, spec, clock=clock, states_ttl=states_ttl)


def _key(secret: Mapping[str, str], key: str, *, name: str) -> str:
    value = secret.get(key, "").strip()
    if not value:
        raise BadCredentials(f"Secret {name} has no key {key}: wanted token and url of the tracker")
    return value


def _since(watermark: str) -> datetime:
    """A watermark that cannot be read is none: everything is read again."""
    try:
        return moment(watermark)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


def _descending(times: Iterable[str]) -> bool:
    """Whether the server gave the order that it was asked for; without it a page's end proves nothing."""
    return all(later >= earlier for later, earlier in pairwise(map(moment, times)))


def _newest_first(rows: list[R], time: Callable[[R], str]) -> list[R]:
    """Each row once, as it was read last: rows shift from page to page while others change them."""
    found = {row.id: row for row in rows}
    return sorted(found.values(), key=lambda row: moment(time(row)), reverse=True)
