"""What `/queue` shows of one lane, from the cache alone: nothing here asks anybody, or parses an item.

An item's `position` in its lane is 0 under way and from 1 in the order of those that wait. `ahead` is who must start or
end before it: the nearest one before it that nothing of its own holds back, else the item under way, else nobody.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from conveyor.api.fields import rfc3339
from conveyor.api.stages import Stage
from conveyor.api.workitem import StalledReason
from conveyor.cluster.protocol import JSONObject, Key
from conveyor.engine.cache import Cache
from conveyor.engine.records import EPOCH, ItemRecord
from conveyor.engine.world import EngineSettings
from conveyor.pipeline.lane import DependencyState, order

REPOSITORIES_REMEMBERED = 2048
"""Parsed Repositories kept; more are parsed again at each look."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What of a Repository its lane depends on."""

    serial: bool = True
    passes_stalled: bool = False
    waits_for_monitor: bool = True
    active_uid: str = ""
    freeze: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class LaneView:
    """Its entries in each list of the answer, as JSON without brackets; empty: none."""

    items: bytes
    lanes: bytes
    under_way: bytes
    """Intents of side effects."""
    waiting: bytes
    """Open dependencies."""
    cycles: bytes
    freezes: bytes
    active: bytes
    """Runs at work."""


@dataclass(frozen=True, slots=True)
class _Lane:
    key: Key
    serial: bool
    policy: Policy
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


def lane_view(cache: Cache, key: Key, settings: EngineSettings) -> LaneView | None:
    """None where there is neither a Repository nor an item that has not ended."""
    items = [item for item in cache.of_repository(key) if not item.terminal]
    if not items and cache.repositories.get(key) is None:
        return None
    lane = _sorted(cache, key, items, settings=settings)
    every = (*lane.under_way, *lane.waiting)
    cycles = [_name(item) for item in every if item.stalled == StalledReason.DEPENDENCY_CYCLE]
    active = [_name(item) | {"repository": item.repository, "role": item.role} for item in every if item.role]
    return LaneView(
        items=entries(list(_items(cache, lane, settings))),
        lanes=entries([_shown(lane)]),
        under_way=entries(list(_transitions(every))),
        waiting=entries(list(_open_dependencies(cache, lane)) if settings.dependencies else []),
        cycles=entries(cycles),
        freezes=entries([_freeze(lane)] if lane.policy.freeze and settings.freeze else []),
        active=entries(active),
    )


def encode(value: object) -> bytes:
    """JSON that no browser takes for markup, whatever a person wrote into a name or a reason."""
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").encode("ascii")


def entries(values: list[JSONObject]) -> bytes:
    """A list without its brackets, to be joined with others."""
    return encode(values)[1:-1]


@lru_cache(maxsize=REPOSITORIES_REMEMBERED)
def policy_of(body: bytes) -> Policy:
    document = json.loads(body)
    gate, active = _dict(document, "spec", "serialGate"), _dict(document, "status", "activeItem")
    freeze = _dict(document, "status", "effectiveFreeze")
    return Policy(
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


def _sorted(cache: Cache, key: Key, items: list[ItemRecord], *, settings: EngineSettings) -> _Lane:
    repository = cache.repositories.get(key)
    policy = policy_of(repository.body) if repository is not None else Policy()
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


# --- entries


def _name(item: ItemRecord) -> JSONObject:
    return {"namespace": item.key.namespace, "name": item.key.name}


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


def _shown(lane: _Lane) -> JSONObject:
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


def _transitions(items: tuple[ItemRecord, ...]) -> Iterator[JSONObject]:
    for item in items:
        if item.transition:
            yield _name(item) | {"repository": item.repository, "effect": item.transition}


def _open(cache: Cache, item: ItemRecord) -> list[JSONObject]:
    """What an item depends on and is not done."""
    found = (cache.dependency(item.key.namespace, name) for name in item.dependencies)
    return [{"name": it.name, "state": it.state.value} for it in found if it.state != DependencyState.DONE]


def _open_dependencies(cache: Cache, lane: _Lane) -> Iterator[JSONObject]:
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
