"""A Repository as the API server itself has it: before an intent, and before it is written."""

from __future__ import annotations

from pydantic import ValidationError

from conveyor.api.objects import Repository
from conveyor.cluster.protocol import JSONObject, Key, Kind
from conveyor.engine.hub import Hub
from conveyor.engine.outcomes import Again, Outcome, Retry
from conveyor.engine.world import World
from conveyor.pipeline.actions import Action, Settle
from conveyor.pipeline.case import Case
from conveyor.pipeline.leases import DEPLOYS, REGION


def begins_by_repository(case: Case, action: Action) -> bool:
    """Whether it records an intent between rebase and merge, out of no other one; or any to deploy or to go back.

    These two are begun by what the Repository says is deployed.
    """
    old, new = case.status.transition, action.status.transition if isinstance(action, Settle) else None
    if new is None or (old is not None and old.id == new.id):
        return False
    return new.effect in DEPLOYS or (old is None and new.effect in REGION)


async def is_newest(world: World, hub: Hub, case: Case) -> bool:
    """Whether nobody has changed the Repository since: a freeze that is not seen yet stops a merge all the same.

    The item is not asked about: the write is conditional on the very version that was decided upon.
    """
    stored = await _stored(world, hub, Key(case.repository.metadata.namespace, case.repository.name))
    if stored is None:
        return False
    version: str = stored["metadata"]["resourceVersion"]
    return version == case.repository.metadata.resource_version


async def newest_repository(world: World, hub: Hub, key: Key) -> Repository | Outcome:
    """To be written on that very version; else what to do instead."""
    stored = await _stored(world, hub, key)
    if stored is None:
        return Again(1.0)
    try:
        return Repository.model_validate(stored)
    except ValidationError:
        return Retry(f"Repository {key} cannot be read")


async def _stored(world: World, hub: Hub, key: Key) -> JSONObject | None:
    stored = await world.cluster.get(Kind.REPOSITORY, key)
    if stored is not None:
        hub.repository_written(stored)
    return stored
