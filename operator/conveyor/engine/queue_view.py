"""What `/queue` answers, from the cache alone: nothing here asks anybody, or parses an item.

What is shown of a lane is kept until something in it changes: an answer costs what has changed since the last one, and
not what there is. `lane_view` says what the entries mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

from conveyor.cluster.protocol import Key
from conveyor.engine.cache import Cache, repository_key
from conveyor.engine.lane_view import LaneView, encode, entries, lane_view, policy_of
from conveyor.engine.world import EngineSettings


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


class QueueView:
    def __init__(self, cache: Cache, settings: EngineSettings) -> None:
        self._cache, self._settings = cache, settings
        self._seen: dict[Key, tuple[int, LaneView | None]] = {}
        """What is shown of each lane, and the version of it that this was made of."""

    def answer(
        self, *, repository: str | None = None, sweep: Sweep | None = None, leases: Iterable[tuple[str, str]] = ()
    ) -> bytes:
        """Every Repository of that name, or all, as JSON. Only items that have not ended."""
        cache, settings = self._cache, self._settings
        lanes = dict(self._lanes(repository))
        views = lanes.values()
        slot = [item for item in cache.waiting_for_slot() if repository_key(item) in lanes]
        return _object(
            items=_list(view.items for view in views),
            reconcile=encode(asdict(sweep or Sweep(interval=settings.reconcile_interval_seconds))),
            serial_gate=_object(
                enabled=encode(settings.serial_gate),
                repositories=encode(sorted(settings.serial_gate_repositories)),
                lanes=_list(view.lanes for view in views),
            ),
            transition_lease=_object(
                enabled=encode(settings.transition_lease),
                repositories=encode(sorted(settings.transition_lease_repositories)),
                held=encode([{"lease": name, "item": item} for name, item in leases]),
                under_way=_list(view.under_way for view in views),
            ),
            dependencies=_object(
                enabled=encode(settings.dependencies),
                source=encode(settings.dependencies_source),
                waiting=_list(view.waiting for view in views),
                cycles=_list(view.cycles for view in views),
            ),
            freezes=_list(view.freezes for view in views),
            runs=_object(
                limit=encode(settings.max_concurrent_runs),
                at_work=encode(cache.runs_at_work()),  # over all Repositories, as the limit is
                active=_list(view.active for view in views),
                waiting_for_slot=_list(
                    entries([{"namespace": item.key.namespace, "name": item.key.name, "repository": item.repository}])
                    for item in slot
                ),
            ),
        )

    def _lanes(self, repository: str | None) -> Iterator[tuple[Key, LaneView]]:
        """In the order of their names."""
        lanes = self._cache.lanes()
        for gone in self._seen.keys() - lanes:
            del self._seen[gone]
        asked = lanes if repository is None else {lane for lane in lanes if lane.name == repository}
        for lane in sorted(asked, key=lambda key: (key.namespace, key.name)):
            view = self._view(lane)
            if view is not None:
                yield lane, view

    def _view(self, lane: Key) -> LaneView | None:
        version = self._cache.version_of_lane(lane)
        known = self._seen.get(lane)
        if known is not None and known[0] == version:
            return known[1]
        view = lane_view(self._cache, lane, self._settings)
        self._seen[lane] = (version, view)
        return view


def frozen_repositories(cache: Cache) -> int:
    return sum(bool(policy_of(record.body).freeze) for record in cache.repositories)


def _list(parts: Iterable[bytes]) -> bytes:
    return b"[" + b",".join(filter(None, parts)) + b"]"


def _object(**fields: bytes) -> bytes:
    return b"{" + b",".join(b'"%s":%s' % (name.encode(), value) for name, value in fields.items()) + b"}"
