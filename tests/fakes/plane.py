"""A Plane that a test or the demo starts: REST API, webhooks, board, and doors for people and for faults.

Its facts come from Plane's source; where versions differ, an attribute of FakePlane chooses.
"""

import argparse
import asyncio
import contextlib
import random
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from aiohttp import web

from tests.fakes.clock import Clock, SystemClock
from tests.fakes.plane_api import Api, Variant
from tests.fakes.plane_faults import Fault, FaultKind, Faults
from tests.fakes.plane_guard import RateLimit, guard
from tests.fakes.plane_ledger import Effect, Ledger
from tests.fakes.plane_pages import Pages
from tests.fakes.plane_records import DEFAULT_STATES, Comment, Json, Project, Ticket, User, Writer, new_id
from tests.fakes.plane_store import Store
from tests.fakes.plane_ui import Ui
from tests.fakes.plane_webhooks import Webhook, Worker

__all__ = ["DEFAULT_STATES", "Effect", "FakePlane", "Fault", "FaultKind", "Webhook"]


class FakePlane:
    """`async with FakePlane() as plane` serves it at `plane.url`.

    `requests_per_minute` is the limit of each key. `clock` times stamps, limit and retries. `seed` fixes the retries'
    random delays.
    """

    def __init__(
        self,
        workspace: str = "acme",
        requests_per_minute: int = 60,
        *,
        clock: Clock | None = None,
        seed: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.workspace = workspace
        self.clock = clock or SystemClock()
        self.variant = Variant()
        self.faults = Faults()
        self.requests: list[tuple[str, str]] = []
        """Method and path with query of every API request, in order of arrival."""
        self.limit = RateLimit(self.clock, per_minute=requests_per_minute)
        self.worker = Worker(self.clock, rng=random.Random(seed))  # noqa: S311 - delays, no secrets
        self.store = Store(self.clock, enqueue=self.worker.enqueue)
        self.person = self.store.add_user("mira")
        """Who acts in the UI."""
        self.keys: dict[str, User] = {}
        self.api_key = self.add_key("conveyor")
        self.url = ""
        self._address = (host, port)
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        await self.worker.start(self.store)
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.worker.stop()
        await self.close()

    async def open(self) -> None:
        """Serve, at the same address as before if it served already."""
        app = web.Application(
            middlewares=[guard(self.faults, self.limit, keys=self.keys, requests=self.requests)],
            client_max_size=16 * 1024 * 1024,
        )
        app.add_routes(Api(self.store, self.workspace, variant=self.variant).routes())
        app.add_routes(Pages(self.store).routes())
        app.add_routes(Ui(self).routes())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, *self._address).start()
        self._address = tuple(self._runner.addresses[0][:2])
        self.url = f"http://{self._address[0]}:{self._address[1]}"

    async def close(self) -> None:
        """Refuse connections until `open`; the worker goes on."""
        self.faults.clear()
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def settle(self) -> None:
        """Until all webhook deliveries are done or wait for a retry."""
        await self.worker.settle()

    @property
    def workspace_id(self) -> str:
        return self.store.workspace_id

    @property
    def ledger(self) -> Ledger:
        return self.store.ledger

    @property
    def webhooks(self) -> list[Webhook]:
        return list(self.worker.webhooks.values())

    def add_key(self, name: str) -> str:
        """A new API key for a new user of this name."""
        key = f"plane_api_{new_id().replace('-', '')}"
        self.keys[key] = self.store.add_user(name)
        return key

    def revoke_key(self, key: str) -> None:
        del self.keys[key]

    def create_project(
        self, name: str, identifier: str, *, states: tuple[tuple[str, str], ...] = DEFAULT_STATES
    ) -> Project:
        return self.store.add_project(name, identifier, states=states)

    def create_ticket(
        self,
        project_id: str,
        name: str,
        *,
        description_html: str = "<p></p>",
        state: str | None = None,
        labels: tuple[str, ...] = (),
    ) -> Ticket:
        """As a person in the UI; `state` is a name or an id, absent the project's default."""
        project = self.store.project(project_id)
        values: Json = {"name": name, "description_html": description_html}
        values["state"] = project.state(state).id if state else project.default_state.id
        values["labels"] = [self.store.add_label(label).id for label in labels]
        return self.store.add_ticket(project_id, values, by=self._person)

    def move(self, ticket_id: str, state: str) -> None:
        """To a state by name or id, as a person in the UI."""
        project = self.store.project(self.store.ticket(ticket_id).project_id)
        self.store.change_ticket(ticket_id, {"state": project.state(state).id}, by=self._person)

    def edit(self, ticket_id: str, *, name: str | None = None, description_html: str | None = None) -> None:
        wanted = {"name": name, "description_html": description_html}
        values = {field: value for field, value in wanted.items() if value is not None}
        self.store.change_ticket(ticket_id, values, by=self._person)

    def comment(self, ticket_id: str, html: str) -> Comment:
        return self.store.add_comment(ticket_id, {"comment_html": html}, by=self._person)

    def block(self, ticket_id: str, *, by: str) -> None:
        """The ticket is blocked by another; no webhook tells."""
        self.store.relate(ticket_id, "blocked_by", [by], by=self._person)

    def unblock(self, ticket_id: str, *, by: str) -> None:
        self.store.unrelate(ticket_id, by, by=self._person)

    def archive(self, ticket_id: str) -> None:
        self.store.archive_ticket(ticket_id, by=self._person)

    def delete(self, ticket_id: str) -> None:
        self.store.delete_ticket(ticket_id, by=self._person)

    def ticket(self, id_or_key: str) -> Ticket:
        """The ticket as it is now."""
        for ticket in self.store.tickets.values():
            if id_or_key in (ticket.id, ticket.key):
                return ticket
        raise KeyError(id_or_key)

    def state_of(self, id_or_key: str) -> str:
        """The name of the ticket's state."""
        ticket = self.ticket(id_or_key)
        return self.store.project(ticket.project_id).state(ticket.state_id).name

    def comments_of(self, id_or_key: str) -> list[Comment]:
        """Oldest first."""
        return self.store.comments_of(self.ticket(id_or_key).id)

    def ticket_url(self, id_or_key: str) -> str:
        ticket = self.ticket(id_or_key)
        return f"{self.url}/board/{ticket.identifier}/{ticket.key}"

    def add_webhook(self, url: str) -> Webhook:
        """For issues and comments of the whole workspace."""
        webhook = Webhook(url)
        self.worker.webhooks[webhook.id] = webhook
        return webhook

    @property
    def _person(self) -> Writer:
        return Writer(self.person, "ui")


@dataclass(frozen=True)
class Options:
    host: str
    port: int
    workspace: str
    requests_per_minute: int
    retry_speed: float


def options() -> Options:
    parser = argparse.ArgumentParser(
        description="A stand-in for Plane; prints its URL. GET <url>/ui/ tells an API key."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--workspace", default="acme")
    parser.add_argument("--requests-per-minute", type=int, default=60)
    parser.add_argument("--retry-speed", type=float, default=1.0, help="how many times faster webhooks are retried")
    return Options(**vars(parser.parse_args()))


async def serve(chosen: Options) -> None:
    async with FakePlane(
        chosen.workspace,
        chosen.requests_per_minute,
        clock=SystemClock(chosen.retry_speed),
        host=chosen.host,
        port=chosen.port,
    ) as plane:
        print(plane.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options()))
