"""The look before an intent: what it was decided upon is still what the API server itself has (design 7, step 1)."""

from __future__ import annotations

from conveyor.cluster.protocol import Key, Kind
from conveyor.engine.hub import Hub
from conveyor.engine.world import World
from conveyor.pipeline.actions import Action, Settle
from conveyor.pipeline.case import Case
from conveyor.pipeline.leases import REGION


def begins_in_region(case: Case, action: Action) -> bool:
    """Whether it records an intent between rebase and merge, out of no other one."""
    intent = action.status.transition if isinstance(action, Settle) else None
    return case.status.transition is None and intent is not None and intent.effect in REGION


async def is_newest(world: World, hub: Hub, case: Case) -> bool:
    """Whether nobody has changed the Repository since: a freeze that is not seen yet stops a merge all the same.

    The item is not asked about: the write is conditional on the very version that was decided upon.
    """
    key = Key(case.repository.metadata.namespace, case.repository.name)
    stored = await world.cluster.get(Kind.REPOSITORY, key)
    if stored is None:
        return False
    hub.repository_written(stored)
    version: str = stored["metadata"]["resourceVersion"]
    return version == case.repository.metadata.resource_version
