"""What the cache says of an item's lane, for one pass."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import datetime
from typing import TypedDict

from pydantic import ValidationError

from conveyor.api.objects import Repository
from conveyor.api.stages import WRITERS, Role
from conveyor.cluster.protocol import Key
from conveyor.engine.cache import repository_key
from conveyor.engine.records import ItemRecord, RepositoryRecord
from conveyor.engine.world import World
from conveyor.pipeline.facts import Fact, Ticket
from conveyor.pipeline.lane import DependencyFact, Lane, Mend, effective_freeze
from conveyor.pipeline.monitoring import GRACE

REPOSITORIES_READ = 2048
"""How many are kept as they were read; some 20 kB each. With fewer than there are, none would be found again."""


class Blockers(TypedDict):
    """Fields of `Facts`."""

    blockers: tuple[str, ...]
    blockers_without_item: int


def repository_of(world: World, record: ItemRecord) -> Repository | str:
    """The item's Repository, or why there is none to work with."""
    found = world.cache.repositories.get(repository_key(record))
    if found is None:
        return f"there is no Repository {record.repository} in namespace {record.key.namespace}"
    repository = read_repository(found)
    return repository if isinstance(repository, str) else with_default_agents(repository, world)


def with_default_agents(repository: Repository, world: World) -> Repository:
    """With the operator's own agent for each role that the Repository names none for."""
    own = {agent.role for agent in repository.spec.agents}
    missing = tuple(agent for role, agent in world.settings.default_agents.items() if role not in own)
    if not missing:
        return repository
    spec = repository.spec.model_copy(update={"agents": (*repository.spec.agents, *missing)})
    return repository.model_copy(update={"spec": spec})


@functools.lru_cache(maxsize=REPOSITORIES_READ)
def read_repository(record: RepositoryRecord) -> Repository | str:
    """A Repository, or why it cannot be read. What was read a moment ago is given again: every pass asks."""
    try:
        return Repository.model_validate_json(record.body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        return f"Repository {record.key.name}: {'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


def lane_of(world: World, record: ItemRecord, repository: Repository) -> Lane:
    cache, settings = world.cache, world.settings
    ready = repository.status.condition("Ready")
    mend = Mend(record.key.name, record.uid, record.created)
    freeze = effective_freeze(repository.metadata.annotations, repository.status, now=world.now(), mend=mend)
    depends = settings.dependencies
    not_ready = f"{ready.reason}: {ready.message}" if ready is not None else "it was not looked at yet"
    deleting = repository.metadata.deletion_timestamp is not None
    return Lane(
        ready=ready is not None and ready.status == "True" and not deleting,
        not_ready="it is being deleted" if deleting else not_ready,
        freeze=freeze if settings.freeze else None,
        occupied_by=_occupied_by(world, record, repository),
        watched_until=_watched_until(world, record, repository),
        first=_is_first(world, record, repository),
        dependencies=_dependencies(world, record) if depends else (),
        cycle=cache.cycle_through(record) if depends and record.dependencies else (),
    )


def _dependencies(world: World, record: ItemRecord) -> tuple[DependencyFact, ...]:
    return tuple(world.cache.dependency(record.key.namespace, name) for name in record.dependencies)


def serial(world: World, repository: Repository) -> bool:
    """Whether one item at a time is under way in this repository."""
    settings = world.settings
    chosen = not settings.serial_gate_repositories or repository.name in settings.serial_gate_repositories
    return settings.serial_gate and chosen and repository.spec.serial_gate.mode == "Enabled"


def _occupied_by(world: World, record: ItemRecord, repository: Repository) -> str:
    """Who keeps the lane: another item under way, or one that was admitted and has not begun yet."""
    if not serial(world, repository):
        return ""
    passing = repository.spec.serial_gate.on_stalled == "Pass"
    others = [other for other in world.cache.under_way(repository_key(record)) if other.key != record.key]
    active = repository.status.active_item
    admitted = world.cache.items.get(Key(record.key.namespace, active.name)) if active is not None else None
    if active is not None and admitted is not None and admitted.uid == active.uid and not admitted.over:
        others += [admitted] if admitted.uid != record.uid else []
    return next((other.key.name for other in others if not (passing and other.stalled)), "")


def _watched_until(world: World, record: ItemRecord, repository: Repository) -> datetime | None:
    """How long the next waits for the verdict on the last deploy at most; None: it need not."""
    if not serial(world, repository) or not repository.spec.serial_gate.wait_for_monitor:
        return None
    ends = (found.watched_until for found in world.cache.watched(repository_key(record)))
    until = max((end + GRACE for end in ends if end is not None), default=None)
    return until if until is not None and until > world.now() else None


def _is_first(world: World, record: ItemRecord, repository: Repository) -> bool:
    """Whether it is next: admitted already, at the head of those waiting, or in a repository without serial gate."""
    active = repository.status.active_item
    if not serial(world, repository) or (active is not None and active.uid == record.uid):
        return True
    head = world.cache.head_of(repository_key(record))
    return head is not None and head.uid == record.uid


def blockers(world: World, record: ItemRecord, ticket: Fact[Ticket | None]) -> Blockers:
    """The items of the tickets that block this one's, and how many of those tickets have none."""
    if not isinstance(ticket, Ticket):
        return Blockers(blockers=(), blockers_without_item=0)
    found = {issue: world.cache.of_issue(record.key.namespace, issue) for issue in ticket.blocked_by}
    newest = (max(items, key=lambda item: (item.created, item.version)) for items in found.values() if items)
    names = tuple(sorted({item.key.name for item in newest} - {record.key.name}))
    return Blockers(blockers=names, blockers_without_item=sum(not items for items in found.values()))


def reviewer_login(logins: Mapping[str, str]) -> str:
    """The reviewer agent's login; empty where it is somebody's who writes the code that is to be reviewed."""
    reviewer = logins.get(Role.REVIEWER, "")
    return "" if reviewer in {logins.get(role) for role in WRITERS} else reviewer
