"""What is left lying about, found once a minute in what the cache knows. Nothing is listed for it.

| found | done |
|---|---|
| a Job whose item is gone, or is a namesake made later | its finalizer is taken off, and it expires |
| a Job created suspended that no intent names | its item is looked at, or gone: it is deleted |
| a finished Job whose answer was not taken, or that was not let go | its item is looked at |
| a Job on record that is not there | its item is looked at |
| an intent past its deadline that nobody has parked | its item is looked at |
| an item that ended long ago and that nobody depends on | it is deleted |

Leases that the dead or the stuck left are `renewing`'s matter, a run past its time is its item's: see `pipeline.runs`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

from conveyor.cluster.protocol import Key, Kind
from conveyor.engine import runs
from conveyor.engine.hub import Hub
from conveyor.engine.records import ItemRecord, JobRecord
from conveyor.engine.world import World
from conveyor.web.errors import OutsideError

logger = logging.getLogger(__name__)

ROUND_SECONDS = 60.0
DELETIONS = 20
"""Items past their retention that one round deletes at most: the API server has other things to do."""
AT_ONCE = 500
"""Records looked at before others have their turn."""


class Reaper:
    def __init__(self, world: World, hub: Hub, *, failed: Callable[[BaseException], None]) -> None:
        """`failed` is told of what must not happen."""
        self._world, self._hub, self._failed = world, hub, failed

    async def run(self, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        while True:
            await sleep(ROUND_SECONDS)
            await self.round()

    async def round(self) -> None:
        """One duty that fails does not keep the others from being done."""
        for duty in (self._jobs, self._items, self._retention):
            try:
                await duty()
            except OutsideError as error:
                logger.warning("reaper held up", extra={"error": f"{type(error).__name__}: {str(error)[:200]}"})
            except Exception as error:  # noqa: BLE001 the loop's edge
                self._failed(error)

    async def _jobs(self) -> None:
        for job in list(self._world.cache.jobs):
            item = self._world.cache.items.get(job.item)
            if item is None or item.uid != job.item_uid:
                await reap(self._world, self._hub, job)
            elif job.finished or job.unstarted:
                self._hub.look_at(job.item)

    async def _items(self) -> None:
        now = self._world.now()
        for number, item in enumerate(list(self._world.cache.items)):
            vanished = item.job and self._world.cache.jobs.get(Key(item.key.namespace, item.job)) is None
            late = item.deadline is not None and item.deadline < now
            if not item.over and (vanished or late):
                self._hub.look_at(item.key)
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)

    async def _retention(self) -> None:
        kept = self._world.settings.retention_days
        if not kept:
            return
        end = self._world.now() - timedelta(days=kept)
        over = [item for item in self._world.cache.items if item.entered < end and self._may_go(item)]
        for item in sorted(over, key=lambda item: item.entered)[:DELETIONS]:
            logger.info("item past its retention", extra={"key": str(item.key), "ended": item.entered.isoformat()})
            await self._world.cluster.delete(Kind.WORKITEM, item.key, uid=item.uid)

    def _may_go(self, item: ItemRecord) -> bool:
        ended = item.terminal and not item.held and not item.deleting and item.watched_until is None
        return ended and all(dependent.over for dependent in self._world.cache.dependents(item.key))


async def reap(world: World, hub: Hub, job: JobRecord) -> None:
    """Let go of a Job whose item is gone; the cache is no proof of that. A deploy at work is left to its end."""
    if not job.left_over:
        return
    found = await world.cluster.get(Kind.WORKITEM, job.item)
    if found is not None and found["metadata"]["uid"] == job.item_uid:
        hub.item_seen(found)
        return
    await runs.tidy(world, [job])
