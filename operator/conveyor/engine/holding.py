"""The finalizer of a Repository: set before the first item is admitted, taken off when nobody needs it any more."""

from __future__ import annotations

from conveyor.api.annotations import ITEMS_FINALIZER
from conveyor.api.objects import Repository
from conveyor.cluster.protocol import Key, Kind, Lost, Rejected, Uncertain, Won, Written
from conveyor.engine.world import World
from conveyor.pipeline.freezes import standing


def why_held(world: World, repository: Repository) -> str:
    """What a Repository must not go without; empty where nothing keeps it."""
    if _under_way(world, repository):
        return "ItemsUnderWay"
    return "Frozen" if standing(repository.status.freezes) else ""


def should_hold(world: World, repository: Repository) -> bool:
    """One that is held stays so while others wait for their turn, or each of them would set the finalizer anew."""
    if why_held(world, repository):
        return repository.held or repository.metadata.deletion_timestamp is None  # what is going takes no new one
    waiting = world.cache.waiting(Key(repository.metadata.namespace, repository.name))
    return repository.held and bool(waiting) and repository.metadata.deletion_timestamp is None


def _under_way(world: World, repository: Repository) -> bool:
    """Whether an item of it is on its way, or was admitted and has not begun yet."""
    key = Key(repository.metadata.namespace, repository.name)
    active = repository.status.active_item
    admitted = world.cache.items.get(Key(key.namespace, active.name)) if active is not None else None
    waits = admitted is not None and active is not None and admitted.uid == active.uid and not admitted.over
    return waits or bool(world.cache.under_way(key))


async def hold(world: World, repository: Repository) -> str | Lost | Rejected | Uncertain:
    """The version at which it is held: the one that was read, or ours after it."""
    if repository.held:
        return repository.metadata.resource_version
    match await set_held(world, repository, held=True):
        case Won(stored):
            return str(stored["metadata"]["resourceVersion"])
        case other:
            return other


async def set_held(world: World, repository: Repository, *, held: bool) -> Written:
    others = tuple(name for name in repository.metadata.finalizers if name != ITEMS_FINALIZER)
    return await world.cluster.set_finalizers(
        Kind.REPOSITORY,
        Key(repository.metadata.namespace, repository.name),
        resource_version=repository.metadata.resource_version,
        finalizers=(*others, ITEMS_FINALIZER) if held else others,
    )
