"""The one way in which an item's pass writes to its Repository's status: on the version just read, and only forward."""

from __future__ import annotations

from conveyor.api.objects import Repository, WorkItem
from conveyor.cluster.merge_patch import model_patch
from conveyor.cluster.protocol import JSONObject, Key, Kind, Lost, Rejected, Uncertain, Won, Written
from conveyor.engine.holding import hold
from conveyor.engine.hub import Hub
from conveyor.engine.newest import newest_repository
from conveyor.engine.outcomes import Again, Outcome, Retry
from conveyor.engine.world import World
from conveyor.pipeline.actions import Amend
from conveyor.pipeline.amending import amended


async def apply_amend(world: World, hub: Hub, item: WorkItem, amend: Amend) -> Outcome:
    """Read the Repository itself, write on that very version; whoever else wrote in between is noticed by it."""
    key = Key(item.metadata.namespace, item.spec.repository_ref.name)
    fresh = await newest_repository(world, hub, key)
    if not isinstance(fresh, Repository):
        return fresh
    patch = model_patch(fresh.status, amended(fresh.status, amend))
    if patch is None:
        return Again(0.0)
    match await _write(world, fresh, amend, patch):
        case Won(written):
            hub.repository_seen(written)  # its own pass has to show what a freeze means
            return Again(0.0)
        case Lost() | Uncertain():
            world.telemetry.conflict()
            return Again(0.1)
        case Rejected(message):
            world.telemetry.invariant_violated("WriteRejected")
            return Retry(f"the API server rejects the Repository's next status: {message[:200]}")


async def _write(world: World, fresh: Repository, amend: Amend, patch: JSONObject) -> Written:
    """A Repository that is to be frozen is held first: made anew, it would not be."""
    version = fresh.metadata.resource_version if amend.freeze is None else await hold(world, fresh)
    if not isinstance(version, str):
        return version
    key = Key(fresh.metadata.namespace, fresh.name)
    return await world.cluster.patch_status(Kind.REPOSITORY, key, resource_version=version, status=patch)
