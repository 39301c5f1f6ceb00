"""What webhooks missed, found by asking the tracker: starts that nobody told us of, and tickets that have changed.

Both lead to what a webhook leads to: an item is made, or an item's next pass reads its ticket.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from conveyor.api.names import item_name
from conveyor.api.objects import API_VERSION, Repository
from conveyor.api.repository import NotReadyReason
from conveyor.cluster.protocol import JSONObject, Key, Kind, Lost, Rejected, Uncertain, Won
from conveyor.engine.cache import Change, repository_key
from conveyor.engine.hub import Hub
from conveyor.engine.lanes import read_repository
from conveyor.engine.observe import state_map
from conveyor.engine.queue_view import Sweep
from conveyor.engine.records import ItemRecord, RepositoryRecord
from conveyor.engine.world import World
from conveyor.pipeline.facts import TicketSummary
from conveyor.pipeline.indication import StateMap
from conveyor.tracker.protocol import Tracker
from conveyor.web.errors import Ambiguous, OutsideError, RateLimited

logger = logging.getLogger(__name__)

ALL_SECONDS = 3600.0
"""How often all tickets of a project are read, whatever their time says."""


@dataclass(slots=True)
class _Project:
    """What we remember of one: lost at a restart, its tickets are read once more."""

    uid: str
    """Of the Repository: one made anew may name another project."""
    all_read: float
    watermark: str = ""
    seen: dict[str, tuple[str, str]] = field(default_factory=dict)
    """State and time of each ticket when somebody was told of it."""
    left: set[str] = field(default_factory=set)
    """Tickets whose item went before its end: whoever was told of them then is no more."""


class TrackerPoll:
    def __init__(
        self,
        world: World,
        hub: Hub,
        *,
        failed: Callable[[BaseException], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`failed` is told of what must not happen; `clock` counts seconds and never goes back."""
        self._world, self._hub, self._failed, self._clock = world, hub, failed, clock
        self._projects: dict[Key, _Project] = {}
        hub.also_tell(self._item_changed)
        self.found = Sweep(enabled=True, interval=world.settings.reconcile_interval_seconds)
        """What its rounds have come to since this process began."""

    async def run(self, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """One project after the other, for ever; an interval passes between two rounds."""
        while True:
            await self.round()
            await sleep(self._world.settings.reconcile_interval_seconds)

    async def round(self) -> None:
        records = {record.key: record for record in self._world.cache.repositories if record.project_id}
        for key in self._projects.keys() - records.keys():
            del self._projects[key]
        for record in records.values():
            await self._poll_safely(record)
        self.found = replace(self.found, last_run_ts=self._world.now().timestamp())

    async def _poll_safely(self, record: RepositoryRecord) -> None:
        """One project that cannot be asked does not keep the others from being asked."""
        try:
            await self.poll(record)
        except RateLimited as error:
            logger.info("tracker poll parked", extra={"repository": str(record.key), "seconds": error.until_seconds})
        except OutsideError as error:
            text = str(error)[:300]
            logger.warning("tracker poll failed", extra={"repository": str(record.key), "error": text})
        except Exception as error:  # noqa: BLE001 the loop's edge
            self._failed(error)

    async def poll(self, record: RepositoryRecord) -> None:
        """Read what changed in a Repository's project since the last time."""
        repository = read_repository(record)
        if isinstance(repository, str) or _is_twin(repository):
            return
        tracker = await self._world.connections.tracker(repository)
        if tracker is None:
            return
        states = await state_map(tracker, repository)
        project, now = self._projects.get(record.key), self._clock()
        if project is None or project.uid != record.uid:
            project = _Project(record.uid, now)
        elif now - project.all_read >= ALL_SECONDS:
            project = _Project(record.uid, now, seen=project.seen, left=project.left)
        found = await tracker.changed_since(project.watermark)
        if not project.watermark:
            present = {summary.id for summary in found}
            project.seen = {ticket: known for ticket, known in project.seen.items() if ticket in present}
        self._projects[record.key] = project
        # Oldest first, so that what could not be done is asked for again.
        for summary in reversed(found):
            await self._learn(repository, tracker, states, project, summary)
            project.watermark = summary.updated
        for ticket_id in sorted(project.left - project.seen.keys()):
            ticket = await tracker.ticket(ticket_id)
            if ticket is not None:
                summary = TicketSummary(ticket.id, ticket.key, ticket.state_id, ticket.updated)
                await self._learn(repository, tracker, states, project, summary)
            else:
                project.left.discard(ticket_id)
        project.left -= project.seen.keys()

    def _item_changed(self, change: Change[ItemRecord]) -> None:
        """A ticket started while its unwanted item was being deleted was seen, and has no item all the same."""
        old = change.old
        project = self._projects.get(repository_key(old)) if old is not None else None
        if old is None or project is None or change.new is not None or old.terminal:
            return
        if project.seen.pop(old.issue_id, None) is not None:
            project.left.add(old.issue_id)

    async def _learn(
        self, repository: Repository, tracker: Tracker, states: StateMap, project: _Project, ticket: TicketSummary
    ) -> None:
        now = (ticket.state_id, ticket.updated)
        if project.seen.get(ticket.id) == now:
            return
        items = self._world.cache.of_issue(repository.metadata.namespace, ticket.id)
        if not items and ticket.state_id in states.start_ids:
            await self._create(repository, tracker, ticket)
        for item in items:
            if item.terminal:
                self.found = replace(self.found, skipped_terminal_total=self.found.skipped_terminal_total + 1)
            elif ticket.state_id == item.indicated:
                self.found = replace(self.found, deduped_total=self.found.deduped_total + 1)
            else:
                self._unblocked(item.key)
                self._hub.ticket_changed(item.key)
        project.seen[ticket.id] = now

    def _unblocked(self, item: Key) -> None:
        self._world.telemetry.fact_learned("Plane", "poll")
        self.found = replace(self.found, unblocked_total=self.found.unblocked_total + 1, last_unblocked=str(item))

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
                self._unblocked(Key(repository.metadata.namespace, name))
                self._hub.item_seen(stored)
            case Lost():
                logger.info("a started ticket's item is there already", extra={"item": name, "ticket": ticket.key})
            case Rejected(message):
                logger.error("the API server refuses a new item", extra={"item": name, "error": message[:300]})
            case Uncertain(message):
                raise Ambiguous(f"nobody knows whether item {name} was made: {message[:200]}")


def _is_twin(repository: Repository) -> bool:
    """Whether its project is another Repository's."""
    ready = repository.status.condition("Ready")
    return ready is not None and ready.reason == NotReadyReason.TWIN


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
