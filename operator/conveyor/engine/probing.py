"""Asking whether what was deployed is well, beside the items' own passes: a product that hangs holds no worker up.

An item's pass asks for the watch and takes what was found; a probe that has been made wakes the item. When the next
one is due is known from memory: an item that is woken for another reason is not probed, and what was taken once is not
counted twice. A restart forgets that, and probes at once; what was counted is in the item's status.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from conveyor.api.objects import Repository, WorkItem
from conveyor.cluster.protocol import Key, Kind
from conveyor.engine import lanes
from conveyor.engine.hub import Work
from conveyor.engine.outcomes import Again, Done, Outcome
from conveyor.engine.records import ItemRecord
from conveyor.engine.world import World
from conveyor.pipeline.facts import ProbeFact
from conveyor.pipeline.monitoring import seconds_to_probe
from conveyor.probes.protocol import Probes


@dataclass(frozen=True, slots=True)
class _Asked:
    uid: str
    """Of the item: a namesake made later begins anew."""
    time: datetime


class Prober:
    def __init__(
        self, world: World, probes: Probes, *, ask: Callable[[Key], None], wake: Callable[[Work], None]
    ) -> None:
        """`ask` puts an item in line for `reconcile`, `wake` tells that something was found about it."""
        self._world, self._probes, self._ask, self._wake = world, probes, ask, wake
        self._asked: dict[Key, _Asked] = {}
        self._found: dict[Key, tuple[str, tuple[ProbeFact, ...]]] = {}

    def watch(self, record: ItemRecord) -> tuple[ProbeFact, ...] | None:
        """See to it that the item is probed when that is due. Gives what was found since the last call, once."""
        if record.key not in self._asked:
            self._ask(record.key)
        uid, found = self._found.pop(record.key, ("", ()))
        return found if uid == record.uid else None

    async def reconcile(self, key: Key) -> Outcome:
        """Ask all probes if they are due."""
        record = self._world.cache.items.get(key)
        subject = self._subject(record) if record is not None else None
        if record is None or subject is None:
            self._asked.pop(key, None)
            self._found.pop(key, None)
            return Done()
        item, repository = subject
        now, spec = self._world.now(), repository.spec.monitor
        left = self._left(item, repository, now)
        if left > 0:
            return Again(left)
        self._asked[key] = _Asked(record.uid, now)
        found = await asyncio.gather(*(self._probes.ask(probe) for probe in spec.probes))
        self._found[key] = (record.uid, tuple(found))
        self._wake((Kind.WORKITEM, key))
        return Again(float(spec.interval_seconds))

    def _subject(self, record: ItemRecord) -> tuple[WorkItem, Repository] | None:
        """None where nothing is to be asked: its own pass says what becomes of the watch then."""
        if record.watched_until is None:
            return None
        repository = lanes.repository_of(self._world, record)
        try:
            item = WorkItem.model_validate_json(record.body)
        except ValidationError:
            return None
        if isinstance(repository, str) or not repository.spec.monitor.probes:
            return None
        return item, repository

    def _left(self, item: WorkItem, repository: Repository, now: datetime) -> float:
        """Seconds until the probes are due."""
        monitor = item.status.monitor
        if monitor is None:
            return 0.0
        asked = self._asked.get(Key(item.metadata.namespace, item.name))
        mine = asked is not None and asked.uid == item.metadata.uid
        since = asked.time if asked is not None and mine else item.status.stage_entered_time
        return seconds_to_probe(monitor, repository.spec.monitor, since=since or now, now=now)
