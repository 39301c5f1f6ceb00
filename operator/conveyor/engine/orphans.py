"""What is known of an item whose Repository is not there."""

from __future__ import annotations

from conveyor.api.objects import WorkItem
from conveyor.cluster.protocol import Kind
from conveyor.engine.cache import repository_key
from conveyor.engine.hub import Hub
from conveyor.engine.observe import read_jobs
from conveyor.engine.records import ItemRecord
from conveyor.engine.world import World
from conveyor.pipeline.case import Facts, Orphan, Policy
from conveyor.pipeline.wants import to_its_end


async def orphan(world: World, hub: Hub, record: ItemRecord, item: WorkItem) -> Orphan | None:
    """None where the Repository is there after all. What has begun is ended for want of it: the cache is no proof."""
    key = repository_key(record)
    missing = world.cache.repositories.get(key) is None
    if missing and record.under_way:
        found = await world.cluster.get(Kind.REPOSITORY, key)
        if found is not None:
            hub.repository_seen(found)
            return None
    jobs = await read_jobs(item, to_its_end(item), world.cluster)
    policy = Policy(
        holder=world.leases.holder(item.metadata.uid), ceiling_seconds=world.settings.reaper_max_running_seconds
    )
    return Orphan(item, world.now(), policy, facts=Facts(**jobs), missing=missing)
