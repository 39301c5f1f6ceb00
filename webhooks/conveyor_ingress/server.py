"""What happens to a delivery: the answer table of the design, from top to bottom.

Method and type, size, signature, JSON and schema, where it goes, one write. Nothing before the signature costs a call
to the API server, and nothing that a sender says is in a log line.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from aiohttp import web

from conveyor_ingress import answers, limits, senders, signatures
from conveyor_ingress.answers import Answer, Refusal, Why
from conveyor_ingress.connections import response
from conveyor_ingress.events import OTHER, Event, ForgeEvent, Malformed, Skipped, TicketEvent
from conveyor_ingress.metrics import UNKNOWN_SOURCE, UNVERIFIED, Metrics
from conveyor_ingress.remembered import Remembered, suffices_for
from conveyor_ingress.resolve import CreateItem, Decision, Duplicate, Ignored, PatchHint, item_of, resolve
from conveyor_ingress.secrets import Registration, Secrets, Unconfigured
from conveyor_ingress.senders import Path, Sender
from conveyor_ingress.store import Store, StoreUnavailable
from conveyor_ingress.views import ItemView

log = logging.getLogger(__name__)

GLANCE_SECONDS = 1.0
STORE_AGAIN = 2
"""Looks at the objects again so often when one of them came or went between the look and the write."""


@dataclass
class _Counted:
    """What a delivery is counted under, as far as it is known yet."""

    source: str = UNKNOWN_SOURCE
    event: str = UNVERIFIED


@dataclass(frozen=True)
class _Where:
    """Where a delivery was sent, and whose secrets it may be signed with."""

    sender: Sender
    path: Path
    registrations: tuple[Registration, ...]


@dataclass(frozen=True)
class Receiver:
    """Answers deliveries. Every outcome is one entry of the answer table."""

    store: Store
    secrets: Secrets
    metrics: Metrics
    max_body_bytes: int
    namespaces: frozenset[str]
    held: limits.Held
    remembered: Remembered
    monotonic: Callable[[], float] = time.monotonic

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        started, counted = self.monotonic(), _Counted()
        try:
            answer = await self._answer(request, counted)
        except Refusal as refusal:
            answer = refusal.answer
        except Exception as error:  # noqa: BLE001  # the edge: a fault of ours is never the sender's (4xx)
            # Not the text: it may quote what was received.
            log.error("a delivery failed unexpectedly", extra={"error": type(error).__name__, "at": _place(error)})  # noqa: TRY400
            answer = answers.UNAVAILABLE
        seconds = self.monotonic() - started
        self.metrics.answered(answer, source=counted.source, event=counted.event, seconds=seconds)
        return response(answer)

    async def _answer(self, request: web.BaseRequest, counted: _Counted) -> Answer:
        found = senders.of_path(request.rel_url.raw_path)
        if found and (not self.namespaces or found[1].namespace in self.namespaces):
            counted.source = found[0].name
        else:
            found = None
        _check_head(request, self.max_body_bytes)
        if found is None:
            return answers.UNAUTHORIZED
        sender, path = found
        registrations = self._registrations(sender, path)
        body = await limits.read_body(request, maximum=self.max_body_bytes, held=self.held)
        try:
            return await self._read(request, body, _Where(sender, path, registrations), counted)
        finally:
            self.held.give(len(body))

    def _registrations(self, sender: Sender, path: Path) -> tuple[Registration, ...]:
        try:
            return sender.registrations(self.secrets, path)
        except Unconfigured as error:
            raise Refusal(answers.UNAVAILABLE) from error

    async def _read(self, request: web.BaseRequest, body: bytes, where: _Where, counted: _Counted) -> Answer:
        given = [secret for entry in where.registrations for secret in entry.secrets]
        signed = signatures.matching(given, body, where.sender.signature(request.headers))
        if not signed:
            return answers.UNAUTHORIZED
        try:
            event = where.sender.parse(request.headers, body)
        except Malformed:
            counted.event = OTHER
            return answers.MALFORMED
        counted.event = event.event
        if isinstance(event, Skipped):
            return answers.ignored(event.why)
        speaks_for = [entry for entry in where.registrations if signed.intersection(entry.secrets)]
        repository = _repository_of(event, speaks_for)
        if isinstance(repository, Why):
            return answers.ignored(repository)
        return await self._store(event, where, repository)

    async def _store(self, event: Event, where: _Where, repository: str) -> Answer:
        namespace = where.path.namespace
        try:
            async with asyncio.timeout(limits.STORE_SECONDS):
                for glance in (self._is_likely_new(namespace, event), *(False,) * STORE_AGAIN):
                    decision = await self._look(event, namespace, repository, glance=glance)
                    answer = await self._carry_out(decision, where)
                    if answer is answers.ACCEPTED:
                        self.remembered.keep_stored(namespace, event)
                    if answer is not None:
                        return answer
        except (StoreUnavailable, TimeoutError) as error:
            log.warning("a delivery could not be stored", extra={"source": where.sender.name, "error": str(error)})
        return answers.UNAVAILABLE

    def _is_likely_new(self, namespace: str, event: Event) -> bool:
        """Of a ticket the newest is to be known: that the operator has set its state itself is a moment old at most."""
        return isinstance(event, ForgeEvent) and not self.remembered.may_be_repeated(namespace, event)

    async def _look(self, event: Event, namespace: str, name: str, *, glance: bool) -> Decision:
        """`glance`: what was there a moment ago may do, which is enough to say that an event is an item's, and new."""
        known, item, looked_for = self.remembered.repository(namespace, name), None, None
        if known and (looked_for := item_of(event, known)):
            for newest in (False, True) if glance else (True,):
                item = await (self.store.item if newest else self._glance)(namespace, looked_for)
                decision = resolve(event, known, item)
                if suffices_for(decision, newest=newest):
                    return decision
        repository = await self.store.repository(namespace, name)
        self.remembered.keep(namespace, name, repository)
        candidate = item_of(event, repository) if repository else None
        if candidate != looked_for:
            item = await self.store.item(namespace, candidate) if candidate else None
        return resolve(event, repository, item)

    async def _glance(self, namespace: str, name: str) -> ItemView | None:
        """None as well where it cannot be had: then the newest is asked for."""
        try:
            async with asyncio.timeout(GLANCE_SECONDS):
                return await self.store.item(namespace, name, newest=False)
        except (StoreUnavailable, TimeoutError):
            return None

    async def _carry_out(self, decision: Decision, where: _Where) -> Answer | None:
        """None when the object came or went meanwhile."""
        namespace = where.path.namespace
        match decision:
            case Ignored(why):
                return answers.ignored(why)
            case Duplicate():
                return answers.DUPLICATE
            case PatchHint():
                stored = await self.store.put_hint(namespace, decision)
            case CreateItem():
                stored = await self.store.create_item(namespace, decision)
            case _:
                assert_never(decision)
        if not stored:
            return None
        said = {"decision": type(decision).__name__, "namespace": namespace, "object": decision.name}
        log.info("stored", extra={**said, "source": where.sender.name, "hint": decision.hint.value})
        return answers.ACCEPTED


def _check_head(request: web.BaseRequest, max_body_bytes: int) -> None:
    """What is refused before any of the body is read."""
    if request.method != "POST":
        raise Refusal(answers.METHOD_NOT_ALLOWED)
    if request.content_type != "application/json" or "Content-Encoding" in request.headers:
        raise Refusal(answers.UNSUPPORTED_TYPE)
    limits.check_declared_size(request, max_body_bytes)


def _repository_of(event: Event, speaks_for: list[Registration]) -> str | Why:
    """The Repository that the event is about, if the secret it is signed with may speak for it."""
    if not isinstance(event, TicketEvent):
        return speaks_for[0].repository
    for entry in speaks_for:
        if entry.project_id == event.project_id:
            hook = entry.webhook_id in (None, event.webhook_id)
            workspace = entry.workspace_id in (None, event.workspace_id)
            return entry.repository if hook and workspace else Why.HOOK
    return Why.PROJECT


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
