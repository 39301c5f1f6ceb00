"""Renewing what is held while it is worked on, beside the workers, and clearing away what the dead left behind."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from pydantic import ValidationError

from conveyor.api.annotations import LABEL_WORKITEM
from conveyor.api.objects import WorkItem
from conveyor.api.stages import TERMINAL
from conveyor.cluster.leases import LeaseRecord
from conveyor.cluster.protocol import Key, Kind
from conveyor.engine.events import EventRecorder, Regarding, regarding
from conveyor.engine.leases import RENEW_SECONDS
from conveyor.engine.records import ItemRecord
from conveyor.engine.world import World
from conveyor.pipeline.actions import Note
from conveyor.pipeline.leases import is_overdue, kept
from conveyor.web.errors import OutsideError

logger = logging.getLogger(__name__)

ROUNDS_PER_SWEEP = 6
FORCED = "held for longer than CONVEYOR_REAPER_MAX_RUNNING_SECONDS since the last step: taken away"


async def keep_leases(
    world: World,
    events: EventRecorder,
    *,
    failed: Callable[[BaseException], None],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """For ever: renew every ten seconds, and sweep at the start and every minute."""
    rounds = 0
    while True:
        try:
            await renew(world, events)
            if rounds % ROUNDS_PER_SWEEP == 0:
                await sweep(world, events)
        except OutsideError as error:
            logger.warning("leases not looked at", extra={"error": f"{type(error).__name__}: {str(error)[:200]}"})
        except Exception as error:  # noqa: BLE001 the loop's edge
            failed(error)
        rounds += 1
        await sleep(RENEW_SECONDS)


async def renew(world: World, events: EventRecorder) -> None:
    """An item that held its Leases past the hard ceiling has lost them, and an Event says so."""
    for owner in await world.leases.renew():
        note = Note("LeaseForced", f"its Leases were {FORCED}", warning=True)
        await events.record(Regarding(Kind.WORKITEM, owner.key, owner.uid), (note,))


async def sweep(world: World, events: EventRecorder) -> int:
    """Delete Leases that a dead process left and no item needs any more, and those past the hard ceiling. How many."""
    found = [(key, lease, _item(world, key, lease)) for key, lease in await world.cluster.leases()]
    gone = [await world.leases.clear(key, lease) for key, lease, item in found if not _is_needed(key, item)]
    return sum(gone) + sum([await _force(world, events, (key, lease), item) for key, lease, item in found])


def _item(world: World, key: Key, lease: LeaseRecord) -> WorkItem | ItemRecord | None:
    """The item that a Lease bears the name of; its record where it cannot be read."""
    record = world.cache.items.get(Key(key.namespace, lease.labels.get(LABEL_WORKITEM, "")))
    if record is None:
        return None
    try:
        return WorkItem.model_validate_json(record.body)
    except ValidationError:
        return record


def _is_needed(key: Key, item: WorkItem | ItemRecord | None) -> bool:
    """Whether the item may still want it; one that cannot be read may."""
    if not isinstance(item, WorkItem):
        return item is not None
    return item.status.stage not in TERMINAL and key.name in kept(item, enabled=True)


async def _force(
    world: World, events: EventRecorder, found: tuple[Key, LeaseRecord], item: WorkItem | ItemRecord | None
) -> bool:
    """Take it from a process that is alive and does nothing. Ours, `renew` gives up by its own count."""
    (key, lease), ceiling = found, world.settings.reaper_max_running_seconds
    known = item if isinstance(item, WorkItem) else None
    overdue = is_overdue(known, lease.spec.acquire_time, now=world.now(), ceiling=ceiling)
    if not overdue or not await world.leases.force(key, lease):
        return False
    logger.warning("lease taken away", extra={"lease": str(key), "from": lease.spec.holder[:256]})
    if known is not None:
        text = f"Lease {key.name} was held by {lease.spec.holder}: {FORCED}"
        await events.record(regarding(known), (Note("LeaseForced", text, warning=True),))
    return True
