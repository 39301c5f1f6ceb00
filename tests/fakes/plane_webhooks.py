"""The fake Plane's worker: it sends webhooks with the habits of the real one, good and bad.

After apps/api/plane/bgtasks/webhook_task.py: only a failed connection or a time-out is retried, after a random 0 to 600
seconds, five times at most; the sixth failure switches the webhook off. Any answer, 500 too, is a success.
"""

import asyncio
import hashlib
import hmac
import json
import random
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import aiohttp

from tests.fakes.clock import Clock
from tests.fakes.plane_records import Announcement, Job, Json, new_id
from tests.fakes.plane_shapes import comment_json, ticket_data, user_json
from tests.fakes.plane_store import Store

MAX_RETRIES = 5
MAX_DELAY_SECONDS = 600
TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Attempt:
    """One try of one delivery; `status` is None where no answer came."""

    time: datetime
    delivery_id: str
    event: str
    body: bytes
    status: int | None
    retry: int


@dataclass
class Webhook:
    url: str
    secret: str = field(default_factory=lambda: f"plane_wh_{new_id().replace('-', '')}", repr=False)
    is_active: bool = True
    attempts: list[Attempt] = field(default_factory=list)
    id: str = field(default_factory=new_id)


class Worker:
    """Takes jobs in order, reads the data when it gets to them, and sends to every active webhook."""

    def __init__(self, clock: Clock, *, rng: random.Random) -> None:
        self.webhooks: dict[str, Webhook] = {}
        self._clock = clock
        self._rng = rng
        self._jobs: list[Job] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._sending = 0
        self._held = False
        self._changed = asyncio.Event()
        self._session: aiohttp.ClientSession | None = None

    def enqueue(self, job: Job) -> None:
        self._jobs.append(job)
        self._changed.set()

    def hold(self) -> None:
        """The worker is busy elsewhere: changes pile up, and their data will be read late."""
        self._held = True

    def release(self) -> None:
        self._held = False
        self._changed.set()

    async def start(self, store: Store) -> None:
        # A connection per delivery, as the real sender's: a kept one would fail when the receiver restarts.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True), timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        )
        self._spawn(self._work(store))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session:
            await self._session.close()

    async def settle(self) -> None:
        """Until every delivery is done or waits for a retry, and no job is left unless held."""
        await asyncio.sleep(0)  # lets those whom the clock just woke begin
        while self._sending or (self._jobs and not self._held):
            self._changed.clear()
            await self._changed.wait()

    async def _work(self, store: Store) -> None:
        while True:
            while self._jobs and not self._held:
                job = self._jobs.pop(0)
                store.touch(job.ticket_id)
                for announcement in job.announcements:
                    self._announce(announcement, store)
            self._changed.set()
            self._changed.clear()
            await self._changed.wait()

    def _announce(self, announcement: Announcement, store: Store) -> None:
        data = current_data(announcement, store)
        if data is None:
            return
        for webhook in [hook for hook in self.webhooks.values() if hook.is_active]:
            envelope = envelope_of(announcement, data, webhook_id=webhook.id, workspace_id=store.workspace_id)
            self._sending += 1
            self._spawn(self._deliver(webhook, announcement.event, body=json.dumps(envelope).encode()))

    async def _deliver(self, webhook: Webhook, event: str, *, body: bytes) -> None:
        try:
            for retry in range(MAX_RETRIES + 1):
                if await self._try(webhook, event, body=body, retry=retry):
                    return
                if retry < MAX_RETRIES:
                    await self._wait_for_retry()
            webhook.is_active = False
        finally:
            self._sending -= 1
            self._changed.set()

    async def _wait_for_retry(self) -> None:
        self._sending -= 1
        self._changed.set()
        try:
            await self._clock.sleep(self._rng.randrange(MAX_DELAY_SECONDS + 1))
        finally:
            self._sending += 1

    async def _try(self, webhook: Webhook, event: str, *, body: bytes, retry: int) -> bool:
        assert self._session is not None
        headers = headers_of(event, body, secret=webhook.secret)
        status: int | None = None
        try:
            async with self._session.post(webhook.url, data=body, headers=headers) as answer:
                await answer.read()
                status = answer.status
        except (aiohttp.ClientError, TimeoutError):
            pass
        delivery = headers["X-Plane-Delivery"]
        webhook.attempts.append(Attempt(self._clock.now(), delivery, event, body=body, status=status, retry=retry))
        return status is not None

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def current_data(announcement: Announcement, store: Store) -> Json | None:
    """The record as it is now, or None where it is gone: then nothing is sent."""
    if announcement.event == "issue_comment":
        comment = store.comments.get(announcement.entity_id)
        return comment_json(comment, store.workspace_id) if comment else None
    ticket = store.tickets.get(announcement.entity_id)
    return ticket_data(ticket, store.project(ticket.project_id), store.workspace_id) if ticket else None


def envelope_of(announcement: Announcement, data: Json, *, webhook_id: str, workspace_id: str) -> Json:
    return {
        "event": announcement.event,
        "action": announcement.action,
        "webhook_id": webhook_id,
        "workspace_id": workspace_id,
        "data": data,
        "activity": {
            "field": announcement.field,
            "new_value": announcement.new,
            "old_value": announcement.old,
            "actor": user_json(announcement.actor),
            "old_identifier": announcement.old_identifier,
            "new_identifier": announcement.new_identifier,
        },
    }


def headers_of(event: str, body: bytes, *, secret: str) -> dict[str, str]:
    """The headers of one try, with a delivery id of its own; the rest is what the `requests` library adds."""
    return {
        "User-Agent": "Autopilot",
        "Accept-Encoding": "gzip, deflate",
        "Accept": "*/*",
        "Connection": "keep-alive",
        "Content-Type": "application/json",
        "X-Plane-Delivery": new_id(),
        "X-Plane-Event": event,
        "X-Plane-Signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
    }
