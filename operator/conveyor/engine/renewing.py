"""Renewing what is held while it is worked on, beside the workers, and clearing away what the dead left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from pydantic import ValidationError

from conveyor.api.annotations import LABEL_WORKITEM
from conveyor.api.objects import WorkItem
from conveyor.cluster.leases import LeaseRecord
from conveyor.cluster.protocol import Key, Kind
from conveyor.engine.events import EventRecorder, Regarding
from conveyor.engine.leases import RENEW_SECONDS
from conveyor.engine.world import World
from conveyor.pipeline.actions import Note
from conveyor.pipeline.leases import kept

ROUNDS_PER_SWEEP = 6


async def keep_leases(
    world: World,
    events: EventRecorder,
    *,
    failed: Callable[[BaseException], None],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """For ever: renew every ten seconds, sweep every minute, and first of all."""
    rounds = 0
    while True:
        try:
            if rounds % ROUNDS_PER_SWEEP == 0:
                await sweep(world)
            await renew(world, events)
        except Exception as error:  # noqa: BLE001 the loop's edge
            failed(error)
        rounds += 1
        await sleep(RENEW_SECONDS)


async def renew(world: World, events: EventRecorder) -> None:
    """An item that held its Leases past the hard ceiling has lost them, and an Event says so."""
    for owner in await world.leases.renew():
        text = "held for longer than CONVEYOR_REAPER_MAX_RUNNING_SECONDS since its last step: taken away"
        note = Note("LeaseForced", text, warning=True)
        await events.record(Regarding(Kind.WORKITEM, owner.key, owner.uid), (note,))


async def sweep(world: World) -> int:
    """Delete Leases that a dead process left and no item needs any more. How many."""
    found = await world.cluster.leases()
    unneeded = [(key, lease) for key, lease in found if not _is_needed(world, key, lease)]
    return sum([await world.leases.clear(key, lease) for key, lease in unneeded])


def _is_needed(world: World, key: Key, lease: LeaseRecord) -> bool:
    """Whether the item that it bears the name of may still want it; what cannot be read may."""
    record = world.cache.items.get(Key(key.namespace, lease.labels.get(LABEL_WORKITEM, "")))
    if record is None or record.terminal:
        return False
    try:
        item = WorkItem.model_validate_json(record.body)
    except ValidationError:
        return True
    return key.name in kept(item, enabled=True)
