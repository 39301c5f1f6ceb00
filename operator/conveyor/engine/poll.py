"""What webhooks missed, found by asking the tracker: starts that nobody told us of, and tickets that have changed.

Both lead to what a webhook leads to: an item is made, or an item's next pass reads its ticket.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from conveyor.api.names import item_name
from conveyor.api.objects import API_VERSION, Repository
from conveyor.cluster.protocol import JSONObject, Key, Kind, Lost, Rejected, Uncertain, Won
from conveyor.engine.hub import Hub
from conveyor.engine.lanes import read_repository
from conveyor.engine.observe import state_map
from conveyor.engine.records import RepositoryRecord
from conveyor.engine.world import World
from conveyor.pipeline.facts import TicketSummary
from conveyor.pipeline.indication import StateMap
from conveyor.tracker.protocol import Tracker
from conveyor.web.errors import OutsideError, RateLimited

logger = logging.getLogger(__name__)


class TrackerPoll:
    """Its memory is a watermark per project: lost at a restart, it reads the project's tickets once more."""

    def __init__(self, world: World, hub: Hub) -> None:
        self._world, self._hub = world, hub
        self._watermarks: dict[Key, str] = {}
        self._seen: dict[str, tuple[str, str]] = {}

    async def run(self, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """One project after the other, for ever; an interval passes between two rounds."""
        while True:
            for record in list(self._world.cache.repositories):
                if record.project_id:
                    await self._poll_safely(record)
            await sleep(self._world.settings.reconcile_interval_seconds)

    async def _poll_safely(self, record: RepositoryRecord) -> None:
        """One project that cannot be asked does not keep the others from being asked."""
        try:
            await self.poll(record)
        except RateLimited as error:
            logger.info("tracker poll parked", extra={"repository": str(record.key), "seconds": error.until_seconds})
        except OutsideError as error:
            text = str(error)[:300]
            logger.warning("tracker poll failed", extra={"repository": str(record.key), "error": text})

    async def poll(self, record: RepositoryRecord) -> None:
        """Read what changed in a Repository's project since the last time."""
        repository = read_repository(record)
        if isinstance(repository, str):
            return
        tracker = await self._world.connections.tracker(repository)
        if tracker is None:
            return
        states = await state_map(tracker, repository)
        watermark = self._watermarks.get(record.key, "")
        found = await tracker.changed_since(watermark)
        for summary in reversed(found):
            await self._learn(repository, tracker, states, summary)
        if found:
            self._watermarks[record.key] = found[0].updated

    async def _learn(self, repository: Repository, tracker: Tracker, states: StateMap, ticket: TicketSummary) -> None:
        now = (ticket.state_id, ticket.updated)
        if self._seen.get(ticket.id) == now:
            return
        namespace = repository.metadata.namespace
        items = self._world.cache.of_issue(namespace, ticket.id)
        if not items and ticket.state_id in states.start_ids:
            await self._create(repository, tracker, ticket)
        for item in items:
            if not item.terminal and ticket.state_id != item.indicated:
                self._world.telemetry.fact_learned("Plane", "poll")
                self._hub.ticket_changed(item.key)
        self._seen[ticket.id] = now

    async def _create(self, repository: Repository, tracker: Tracker, ticket: TicketSummary) -> None:
        name = item_name(repository.name, ticket.key)
        if name is None:
            extra = {"repository": repository.name, "ticket": ticket.key}
            logger.warning("a started ticket gives no item name of 50 characters at most", extra=extra)
            return
        whole = await tracker.ticket(ticket.id)
        url = whole.url if whole is not None else ""
        match await self._world.cluster.create(Kind.WORKITEM, manifest(repository, ticket, name=name, url=url)):
            case Won(stored):
                self._world.telemetry.fact_learned("Plane", "poll")
                self._hub.item_seen(stored)
            case Lost():
                pass
            case Rejected(message):
                logger.error("the API server refuses a new item", extra={"item": name, "error": message[:300]})
            case Uncertain():
                logger.warning("nobody knows whether an item was made; asking again", extra={"item": name})


def manifest(repository: Repository, ticket: TicketSummary, *, name: str, url: str) -> JSONObject:
    """A ticket's item, as the ingress makes it too."""
    tracker = repository.spec.tracker
    source = {
        "tracker": "Plane",
        "projectID": tracker.project_id if tracker is not None else "",
        "issueID": ticket.id,
        "key": ticket.key,
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "WorkItem",
        "metadata": {"name": name, "namespace": repository.metadata.namespace},
        "spec": {
            "repositoryRef": {"name": repository.name},
            "source": source | ({"url": url[:2048]} if url else {}),
        },
    }
