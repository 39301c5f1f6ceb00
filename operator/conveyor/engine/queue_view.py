"""What `/queue` answers, from the cache alone: nothing here asks anybody, or parses an item.

An item's `position` in its lane is 0 under way and from 1 in the order of those that wait. `ahead` is who must start or
end before it: the nearest one before it that nothing of its own holds back, else the item under way, else nobody.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from conveyor.api.fields import rfc3339
from conveyor.api.stages import Stage
from conveyor.api.workitem import StalledReason
from conveyor.cluster.protocol import JSONObject, Key
from conveyor.engine.cache import Cache, repository_key
from conveyor.engine.records import EPOCH, ItemRecord
from conveyor.engine.world import EngineSettings
from conveyor.pipeline.lane import DependencyState, order

REPOSITORIES_REMEMBERED = 2048
"""Parsed Repositories kept; more are parsed again at each look."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """What looking again has found so far. The default says that nothing looks again."""

    enabled: bool = False
    interval: float = 0.0
    """Seconds between two rounds."""
    last_run_ts: float | None = None
    """Seconds since the epoch."""
    unblocked_total: int = 0
    last_unblocked: str | None = None
    """namespace/name of the item that a round moved last."""
    skipped_terminal_total: int = 0
    deduped_total: int = 0
    """Tickets found changed that say nothing new: they show what we set."""


@dataclass(frozen=True, slots=True)
class _Policy:
    """What of a Repository its lane depends on."""

    serial: bool = True
    passes_stalled: bool = False
    waits_for_monitor: bool = True
    active_uid: str = ""
    freeze: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class _Lane:
    key: Key
    serial: bool
    policy: _Policy
    under_way: tuple[ItemRecord, ...]
    waiting: tuple[ItemRecord, ...]
    """In order."""
    watched: tuple[ItemRecord, ...]
    """What is done and whose deploy is being watched."""

    @property
    def occupant(self) -> str | None:
        """Who keeps the others from starting."""
        if not self.serial:
            return None
        holders = (item for item in self.under_way if not (self.policy.passes_stalled and item.stalled))
        return next((item.key.name for item in holders), None)


def queue_view(
    cache: Cache,
    *,
    settings: EngineSettings,
    repository: str | None = None,
    sweep: Sweep | None = None,
    leases: Iterable[tuple[str, str]] = (),
) -> JSONObject:
    """Every Repository of that name, or all. Only items that have not ended."""
    lanes = _lanes(cache, settings, repository)
    return {
        "items": [entry for lane in lanes for entry in _items(cache, lane, settings)],
        "reconcile": asdict(sweep or Sweep(interval=settings.reconcile_interval_seconds)),
        "serial_gate": {
            "enabled": settings.serial_gate,
            "repositories": sorted(settings.serial_gate_repositories),
            "lanes": [_lane(lane) for lane in lanes],
        },
        "transition_lease": {
            "enabled": settings.transition_lease,
            "repositories": sorted(settings.transition_lease_repositories),
            "held": [{"lease": name, "item": item} for name, item in leases],
            "under_way": list(_transitions(lanes)),
        },
        "dependencies": {
            "enabled": settings.dependencies,
            "source": settings.dependencies_source,
            "waiting": list(_open_dependencies(cache, lanes)) if settings.dependencies else [],
            "cycles": [_name(item) for item in _all(lanes) if item.stalled == StalledReason.DEPENDENCY_CYCLE],
        },
        "freezes": [_freeze(lane) for lane in lanes if lane.policy.freeze and settings.freeze],
        "runs": _runs(cache, lanes, limit=settings.max_concurrent_runs),
    }


def frozen_repositories(cache: Cache) -> int:
    return sum(bool(_policy(record.body).freeze) for record in cache.repositories)


# --- lanes


def _lanes(cache: Cache, settings: EngineSettings, repository: str | None) -> list[_Lane]:
    found: dict[tuple[str, str], list[ItemRecord]] = defaultdict(list)
    for record in cache.repositories:
        if repository in (None, record.key.name):
            found[record.key.namespace, record.key.name] = []
    for item in cache.items:
        if repository in (None, item.repository) and not item.terminal:
            found[item.key.namespace, item.repository].append(item)
    lanes = ((Key(*lane), items) for lane, items in sorted(found.items(), key=lambda entry: entry[0]))
    return [_sorted(cache, key, items, settings=settings) for key, items in lanes]


def _sorted(cache: Cache, key: Key, items: Iterable[ItemRecord], *, settings: EngineSettings) -> _Lane:
    repository = cache.repositories.get(key)
    policy = _policy(repository.body) if repository is not None else _Policy()
    under_way: list[ItemRecord] = []
    waiting: list[ItemRecord] = []
    for item in items:
        admitted = item.uid == policy.active_uid
        (under_way if item.under_way or admitted else waiting).append(item)
    chosen = not settings.serial_gate_repositories or key.name in settings.serial_gate_repositories
    return _Lane(
        key=key,
        serial=settings.serial_gate and chosen and policy.serial,
        policy=policy,
        under_way=tuple(sorted(under_way, key=lambda item: (item.created, item.uid))),
        waiting=tuple(sorted(waiting, key=lambda item: order(item.waiter()))),
        watched=tuple(sorted(cache.watched(key), key=lambda item: (item.created, item.uid))),
    )


@lru_cache(maxsize=REPOSITORIES_REMEMBERED)
def _policy(body: bytes) -> _Policy:
    document = json.loads(body)
    gate, active = _dict(document, "spec", "serialGate"), _dict(document, "status", "activeItem")
    freeze = _dict(document, "status", "effectiveFreeze")
    return _Policy(
        serial=gate.get("mode", "Enabled") == "Enabled",
        passes_stalled=gate.get("onStalled") == "Pass",
        waits_for_monitor=gate.get("waitForMonitor") is not False,
        active_uid=str(active.get("uid", "")),
        freeze=tuple((name, str(freeze[name]) if name in freeze else None) for name in _FREEZE) if freeze else (),
    )


_FREEZE = ("reason", "source", "scope", "sinceTime", "untilTime")


def _dict(document: object, *path: str) -> Mapping[str, Any]:
    """The object at a path; an empty one where there is something else."""
    for part in path:
        document = document.get(part) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else {}


# --- what is shown


def _name(item: ItemRecord) -> JSONObject:
    return {"namespace": item.key.namespace, "name": item.key.name}


def _all(lanes: Iterable[_Lane]) -> Iterator[ItemRecord]:
    for lane in lanes:
        yield from lane.under_way
        yield from lane.waiting


def _items(cache: Cache, lane: _Lane, settings: EngineSettings) -> Iterator[JSONObject]:
    for item in lane.under_way:
        yield _item(item, position=0, ahead=None)
    ahead = lane.occupant
    for position, item in enumerate(lane.waiting, start=1):
        yield _item(item, position=position, ahead=ahead)
        held_back = item.suspended or (settings.dependencies and item.dependencies and _open(cache, item))
        if lane.serial and not held_back:
            ahead = item.key.name


def _item(item: ItemRecord, *, position: int, ahead: str | None) -> JSONObject:
    return {
        "namespace": item.key.namespace,
        "name": item.key.name,
        "key": item.item_key,
        "repository": item.repository,
        "position": position,
        "stage": None if item.invalid else (item.stage or Stage.CREATED).value,
        "waiting": item.waiting or None,
        "stalled": item.stalled or None,
        "invalid": item.invalid or None,
        "ahead": ahead,
    }


def _lane(lane: _Lane) -> JSONObject:
    return {
        "namespace": lane.key.namespace,
        "repository": lane.key.name,
        "enabled": lane.serial,
        "occupied_by": lane.occupant,
        "under_way": [item.key.name for item in lane.under_way],
        "waiting": len(lane.waiting),
        "waits_for_monitor": lane.serial and lane.policy.waits_for_monitor,
        "watched": [{"name": item.key.name, "until": rfc3339(item.watched_until or EPOCH)} for item in lane.watched],
    }


def _transitions(lanes: Iterable[_Lane]) -> Iterator[JSONObject]:
    """The intents of side effects."""
    for item in _all(lanes):
        if item.transition:
            yield _name(item) | {"repository": item.repository, "effect": item.transition}


def _open(cache: Cache, item: ItemRecord) -> list[JSONObject]:
    """What an item depends on and is not done."""
    found = (cache.dependency(item.key.namespace, name) for name in item.dependencies)
    return [{"name": it.name, "state": it.state.value} for it in found if it.state != DependencyState.DONE]


def _open_dependencies(cache: Cache, lanes: Iterable[_Lane]) -> Iterator[JSONObject]:
    for lane in lanes:
        for item in lane.waiting:
            if needed := _open(cache, item):
                yield _name(item) | {"repository": item.repository, "on": needed}


def _freeze(lane: _Lane) -> JSONObject:
    reason, source, scope, since, until = (value for _, value in lane.policy.freeze)
    return {
        "namespace": lane.key.namespace,
        "repository": lane.key.name,
        "reason": reason,
        "source": source,
        "scope": scope,
        "since": since,
        "until": until,
    }


def _runs(cache: Cache, lanes: Iterable[_Lane], *, limit: int) -> JSONObject:
    """`at_work` counts over all Repositories, as `limit` does; the rest is of those asked for."""
    shown = {lane.key for lane in lanes}
    at_work = [item for item in _all(lanes) if item.role]
    slot = [item for item in cache.waiting_for_slot() if repository_key(item) in shown]
    return {
        "limit": limit,
        "at_work": cache.runs_at_work(),
        "active": [_name(item) | {"repository": item.repository, "role": item.role} for item in at_work],
        "waiting_for_slot": [_name(item) | {"repository": item.repository} for item in slot],
    }
