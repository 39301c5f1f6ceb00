"""Holding an item while something of it is under way, and what is done before it is let go.

Each step can be done again after a death in between: the finalizer goes last.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass

from conveyor.api.annotations import TRANSITION_FINALIZER
from conveyor.api.objects import Repository, WorkItem
from conveyor.cluster.protocol import Key, Kind, Lost, Rejected, Uncertain, Won, Written
from conveyor.engine import runs
from conveyor.engine.events import EventRecorder, regarding
from conveyor.engine.hub import Hub
from conveyor.engine.observe import state_map
from conveyor.engine.outcomes import Again, Done, Outcome, Retry
from conveyor.engine.world import World
from conveyor.pipeline.actions import Ending, Farewell, LetGo, Note, StopEffect, StopRun
from conveyor.web.errors import OutsideError

logger = logging.getLogger(__name__)

TELL_SECONDS = 900.0
"""How long after its deletion an item waits for a tracker that cannot be told."""


async def hold(world: World, item: WorkItem) -> Written:
    """From now on the item, deleted, stays until it is let go. On the version that was decided upon.

    Who wrote which field is told from then on only to those who apply it server-side, and need it: its upkeep is a
    quarter and more of what each write of an item costs the API server.
    """
    metadata, wanted = item.metadata, (*item.metadata.finalizers, TRANSITION_FINALIZER)
    return await world.cluster.set_finalizers(
        Kind.WORKITEM,
        _key(item),
        resource_version=metadata.resource_version,
        finalizers=wanted,
        untracked=not metadata.managed_fields,
    )


@dataclass(frozen=True, slots=True)
class Endings:
    """Carries out what ends."""

    world: World
    hub: Hub
    events: EventRecorder

    async def carry_out(self, item: WorkItem, repository: Repository | None, ending: Ending) -> Outcome:
        match ending:
            case StopRun() | StopEffect():
                return await runs.end(self.world, item, ending)
            case LetGo():
                return await self._let_go(item, repository, ending)

    async def _let_go(self, item: WorkItem, repository: Repository | None, ending: LetGo) -> Outcome:
        """Its ticket is told, its Leases are released, its Jobs may go: then the finalizer is taken off."""
        key, uid = _key(item), item.metadata.uid
        notes = ending.notes
        if ending.farewell is not None and repository is not None:
            if self.hub.is_being_shown(key):
                return Again(1.0)
            notes += await self._tell(item, repository, ending.farewell)
        await self.world.leases.release(uid)
        jobs = [job for job in self.world.cache.jobs_of(key) if job.item_uid == uid and job.left_over]
        await runs.tidy(self.world, jobs)
        outcome = await self._take_finalizer_off(item)
        if isinstance(outcome, Done):
            await self.events.record(regarding(item), notes)  # last: saying it again would be a write each time
        return outcome

    async def _tell(self, item: WorkItem, repository: Repository, farewell: Farewell) -> tuple[Note, ...]:
        """What people must know where the ticket could not be told. Raises while there is time to try again."""
        try:
            await tell(self.world, item, repository, farewell)
        except OutsideError as error:
            deletion = item.metadata.deletion_timestamp
            if deletion is not None and (self.world.now() - deletion).total_seconds() < TELL_SECONDS:
                raise
            text = f"its ticket could not be told, and may be started again: {type(error).__name__}: {error}"
            return (Note("TicketNotTold", text[:900], warning=True),)
        return ()

    async def _take_finalizer_off(self, item: WorkItem) -> Outcome:
        key, left = _key(item), tuple(name for name in item.metadata.finalizers if name != TRANSITION_FINALIZER)
        written = await self.world.cluster.set_finalizers(
            Kind.WORKITEM, key, resource_version=item.metadata.resource_version, finalizers=left
        )
        match written:
            case Won(stored):
                if left or item.metadata.deletion_timestamp is None:
                    self.hub.item_written(stored)
                logger.info("item let go", extra={"key": str(key), "stage": str(item.status.stage)})
                return Done() if item.metadata.deletion_timestamp is not None else Again(0.0)
            case Lost() | Uncertain():
                fresh = await self.world.cluster.get(Kind.WORKITEM, key)
                if fresh is not None:
                    self.hub.item_written(fresh)
                return Again(0.0) if fresh is not None else Done()
            case Rejected(message):
                self.world.telemetry.invariant_violated("WriteRejected")
                return Retry(f"the API server does not let go of the item: {message[:300]}")


async def tell(world: World, item: WorkItem, repository: Repository, farewell: Farewell) -> None:
    """The last words on a ticket. One that a person has closed keeps its state; one that is gone hears nothing."""
    source, tracker = item.spec.source, await world.connections.tracker(repository)
    if source is None or tracker is None:
        return
    ticket, states = await tracker.ticket(source.issue_id), await state_map(tracker, repository)
    if ticket is None:
        return
    if farewell.text:
        marker = hashlib.sha256(f"{item.metadata.uid}/deleted".encode()).hexdigest()[:24]
        await tracker.comment(source.issue_id, farewell.text, marker=f"conveyor-{marker}")
    state = states.id_of(farewell.state)
    if state and ticket.state_id != state and not states.is_terminal(ticket.state_id):
        await tracker.set_state(source.issue_id, state)


def _key(item: WorkItem) -> Key:
    return Key(item.metadata.namespace, item.name)
