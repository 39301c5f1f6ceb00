"""The one write that makes an item its repository's active one."""

from __future__ import annotations

import logging

from conveyor.api.objects import Repository, WorkItem
from conveyor.cluster.protocol import Key, Kind, Lost, Rejected, Uncertain, Won, Written
from conveyor.engine import lanes
from conveyor.engine.holding import hold
from conveyor.engine.hub import Hub
from conveyor.engine.newest import newest_repository
from conveyor.engine.outcomes import Again, Outcome, Retry
from conveyor.engine.world import World

logger = logging.getLogger(__name__)


async def admit(world: World, hub: Hub, item: WorkItem, repository: Repository) -> Repository | Outcome:
    """Read the Repository itself, see that it is neither frozen nor taken, and write on that very version.

    A freeze or a rival in between is noticed by the version. What cannot be read stays closed. Gives the Repository
    as it is with the item as its active one, else what to do instead. An item that is its active one already, by a
    write whose answer was lost or after which we died, finds it written.
    """
    key = Key(repository.metadata.namespace, repository.name)
    fresh = await newest_repository(world, hub, key)
    if not isinstance(fresh, Repository):
        return fresh
    await _ask_after_the_active(world, hub, item, fresh)
    if not _open_for(world, item, fresh):
        return Again(0.5)
    if _is_active(item, fresh):
        return fresh
    match await _write(world, item, fresh):
        case Won(written):
            hub.repository_written(written)
            logger.info("item admitted", extra={"key": f"{key.namespace}/{item.name}", "repository": key.name})
            return Repository.model_validate(written)
        case Lost() | Uncertain():
            world.telemetry.conflict()
            return Again(0.1)
        case Rejected(message):
            return Retry(f"the API server rejects the admission: {message[:200]}")


async def _write(world: World, item: WorkItem, fresh: Repository) -> Written:
    """Held first, so that it is not gone while the item is under way; both on what was just read."""
    version = await hold(world, fresh)
    if not isinstance(version, str):
        return version
    active = {"activeItem": {"name": item.name, "uid": item.metadata.uid}}
    key = Key(fresh.metadata.namespace, fresh.name)
    return await world.cluster.patch_status(Kind.REPOSITORY, key, resource_version=version, status=active)


def _is_active(item: WorkItem, fresh: Repository) -> bool:
    active = fresh.status.active_item
    return active is not None and active.uid == item.metadata.uid


async def _ask_after_the_active(world: World, hub: Hub, item: WorkItem, fresh: Repository) -> None:
    """An active item that the cache does not know is either gone or so new that only the API server knows it."""
    active = fresh.status.active_item
    if active is None or _is_active(item, fresh) or not lanes.serial(world, fresh):
        return
    key = Key(item.metadata.namespace, active.name)
    known = world.cache.items.get(key)
    if known is None or known.uid != active.uid:
        found = await world.cluster.get(Kind.WORKITEM, key)
        if found is not None:
            hub.item_seen(found)


def _open_for(world: World, item: WorkItem, fresh: Repository) -> bool:
    record = world.cache.items.get(Key(item.metadata.namespace, item.name))
    if record is None:
        return False
    lane = lanes.lane_of(world, record, fresh)
    free = lane.freeze is None and not lane.occupied_by and lane.watched_until is None
    return lane.ready and free and lane.first
