"""The operator's own settings, as a decision about one item sees them."""

from __future__ import annotations

from zlib import crc32

from conveyor.api.objects import Repository, WorkItem
from conveyor.api.stages import Role
from conveyor.engine import lanes
from conveyor.engine.world import World
from conveyor.pipeline.case import Policy


async def policy_of(world: World, item: WorkItem, repository: Repository) -> Policy:
    settings = world.settings
    logins = await world.connections.agent_logins(repository)
    return Policy(
        holder=world.leases.holder(item.metadata.uid),
        transition_lease=_has_leases(world, repository),
        ceiling_seconds=settings.reaper_max_running_seconds,
        poll_seconds=settings.reconcile_interval_seconds * share_of_interval(item.metadata.uid),
        premerge_rebase=settings.premerge_rebase,
        freeze=settings.freeze,
        dependencies=settings.dependencies,
        dependencies_source=settings.dependencies_source,
        agent_logins=frozenset(logins.values()),
        agents_known=repository.spec.agent_credentials_secret_ref is None or set(logins) == set(Role),
        reviewer_login=lanes.reviewer_login(logins),
    )


def share_of_interval(uid: str) -> float:
    """From three quarters to the whole, the same for one item each time.

    After a start all items are looked at together; asked again after the same time, they would come together for ever.
    """
    return 0.75 + 0.25 * crc32(uid.encode()) / 2**32


def _has_leases(world: World, repository: Repository) -> bool:
    scope = world.settings.transition_lease_repositories
    return world.settings.transition_lease and (not scope or repository.name in scope)
