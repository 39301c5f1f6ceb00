"""Every call that an operator makes, by its route, and on whose behalf: an item, a Repository or the process."""

from __future__ import annotations

import contextlib
import functools
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from conveyor.cluster.connection import Connection, Reply
from conveyor.cluster.protocol import Key
from conveyor.engine.indicate import Indicator
from conveyor.engine.items import ItemReconciler
from conveyor.engine.poll import TrackerPoll
from conveyor.engine.records import ItemRecord, RepositoryRecord
from conveyor.engine.repositories import RepositoryReconciler
from conveyor.engine.world import World
from conveyor.web.answer import Answer
from conveyor.web.client import WebClient

_SHA = r"[0-9a-f]{40}"
_KINDS = (
    (r"/apis/coordination.k8s.io/v1/namespaces/[^/]+/leases/(transition|merge)-[^/]+", r"leases/\1-…"),
    (r"/(?:api|apis/[^/]+)/v1(?:alpha1)?/namespaces/[^/]+/(secrets/[^/]+)", r"\1"),
    (r"/(?:api|apis/[^/]+)/v1(?:alpha1)?/namespaces/[^/]+/(leases/conveyor-[^/]+)", r"\1"),
    (r"/(?:api|apis/[^/]+)/v1(?:alpha1)?/namespaces/[^/]+/([^/]+)/[^/]+(/status)?", r"\1/{name}\2"),
    (r"/(?:api|apis/[^/]+)/v1(?:alpha1)?/namespaces/[^/]+/([^/]+)", r"\1"),
)
_FORGE = (
    (r"(pulls|hooks|user|branch_protections)", r"\1"),
    (r"pulls/\d+\.diff", "pulls/{n}.diff"),
    (r"(pulls|issues)/\d+(/\w+)?", r"\1/{n}\2"),
    (r"git/refs/heads/.+", "git/refs/heads/{branch}"),
    (r"git/refs/pull/.+", "git/refs/pull/{n}/head"),
    (r"git/commits/.+\.diff", "git/commits/{sha}.diff"),
    (r"commits/.+/statuses", "commits/{sha}/statuses"),
    (rf"compare/{_SHA}\.\.\.{_SHA}", "compare/{sha}...{sha}"),
    (rf"compare/.+\.\.\.{_SHA}", "compare/{base}...{sha}"),
    (r"branches(/.+)?", r"branches\1"),
    (r"", "repository"),
)
_ID = re.compile(r"/[0-9a-f]{8}-[0-9a-f-]{27}")


@dataclass(frozen=True)
class Behalf:
    """Whose pass a call belongs to."""

    actor: str = "process"
    name: str = ""
    stage: str = ""
    pass_number: int = 0


@dataclass(frozen=True)
class Call:
    """`system` is api, forge, tracker or probe; `time` is monotonic, when it was sent."""

    time: float
    system: str
    method: str
    route: str
    status: int
    behalf: Behalf


WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
BETWEEN = "between them"
"""Passes about neither: admission, gates, people, the watch over a deploy."""
PROCESS = Behalf()
_BEHALF = ContextVar("behalf", default=PROCESS)


@dataclass
class Ledger:
    calls: list[Call] = field(default_factory=list)
    passes: int = 0
    works: dict[int, str] = field(default_factory=dict)
    """What each pass over an item was about, by its number."""
    passes_of: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By actor and name."""

    @contextlib.contextmanager
    def on_behalf(self, actor: str, name: str, stage: str) -> Iterator[int]:
        """Gives the pass's number."""
        self.passes += 1
        self.passes_of[actor, name] += 1
        number = self.passes
        token = _BEHALF.set(Behalf(actor, name, stage, number))
        try:
            yield number
        finally:
            _BEHALF.reset(token)

    def add(self, began: float, system: str, method: str, route: str, status: int) -> None:
        self.calls.append(Call(began, system, method, route, status, _BEHALF.get()))


def api_route(path: str) -> str:
    """A route of the API server, without names."""
    return next((found.expand(name) for pattern, name in _KINDS if (found := re.fullmatch(pattern, path))), path)


def web_route(path: str) -> tuple[str, str]:
    """The system that a path belongs to, and the route there without names."""
    if found := re.fullmatch(r"/api/v1/workspaces/[^/]+/(.*)", path):
        return "tracker", _ID.sub("/{id}", "/" + found[1]).strip("/")
    if found := re.fullmatch(r"/api/v1/repos/[^/]+/[^/]+/?(.*)", path):
        inner = ((re.fullmatch(pattern, found[1]), name) for pattern, name in _FORGE)
        return "forge", next((inside.expand(name) for inside, name in inner if inside), found[1])
    return ("forge", path.removeprefix("/api/v1/")) if path == "/api/v1/user" else ("probe", "url")


@contextlib.contextmanager
def listening(ledger: Ledger) -> Iterator[None]:
    """Until its end everything that the operator's clients send is put down."""
    with (
        mock.patch.object(Connection, "request", _api(ledger)),
        mock.patch.object(WebClient, "_exchange", _web(ledger)),
        mock.patch.object(ItemReconciler, "reconcile", _of_item(ledger, "item", ItemReconciler.reconcile)),
        mock.patch.object(Indicator, "reconcile", _of_item(ledger, "indication", Indicator.reconcile)),
        mock.patch.object(RepositoryReconciler, "reconcile", _of_repository(ledger)),
        mock.patch.object(TrackerPoll, "poll", _of_poll(ledger)),
    ):
        yield


def _api(ledger: Ledger) -> Callable[..., Awaitable[Reply]]:
    request = Connection.request

    async def listened(self: Connection, method: str, path: str, **more: Any) -> Reply:  # noqa: ANN401 as they come
        began, status = time.monotonic(), 0
        try:
            reply = await request(self, method, path, **more)
            status = reply.status
        finally:
            ledger.add(began, "api", method, api_route(path), status)
        return reply

    return listened


def _web(ledger: Ledger) -> Callable[..., Awaitable[Answer]]:
    exchange = WebClient._exchange  # noqa: SLF001 the one place that sends

    async def listened(self: WebClient, request: Any, subject: str, **more: Any) -> Answer:  # noqa: ANN401 as they come
        began, status = time.monotonic(), 0
        try:
            answer = await exchange(self, request, subject, **more)
            status = answer.status
        finally:
            system, route = web_route(request.url.path)
            ledger.add(began, system, request.method, route, status)
        return answer

    return listened


def _of_item(ledger: Ledger, actor: str, reconcile: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(reconcile)
    async def listened(self: Any, key: Key) -> Any:  # noqa: ANN401 either reconciler
        world: World = self._world
        record = world.cache.items.get(key)
        stage = str(record.stage or "") if record is not None else ""
        with ledger.on_behalf(actor, key.name, stage) as number:
            outcome = await reconcile(self, key)
            ledger.works[number] = work_of(record, world.cache.items.get(key))
            return outcome

    return listened


def work_of(before: ItemRecord | None, after: ItemRecord | None) -> str:
    """The run or effect that a pass is about: the one on record when it begins, else the one it puts there."""
    for record in (before, after):
        if record is not None and record.role:
            return f"run: {record.role}"
        if record is not None and record.transition:
            return f"effect: {record.transition}"
    return BETWEEN


def _of_repository(ledger: Ledger) -> Callable[..., Awaitable[Any]]:
    reconcile = RepositoryReconciler.reconcile

    async def listened(self: RepositoryReconciler, key: Key) -> Any:  # noqa: ANN401 an outcome
        with ledger.on_behalf("repository", key.name, ""):
            return await reconcile(self, key)

    return listened


def _of_poll(ledger: Ledger) -> Callable[..., Awaitable[None]]:
    poll = TrackerPoll.poll

    async def listened(self: TrackerPoll, record: RepositoryRecord) -> None:
        with ledger.on_behalf("poll", record.key.name, ""):
            await poll(self, record)

    return listened
