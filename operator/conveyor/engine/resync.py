"""The relist: first of all, wherever a watch begins anew, and every five minutes, for what no watch has told.

It also wakes whatever may move, so that nothing is stranded by a wake that was lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from conveyor.cluster.protocol import Cluster, JSONObject, Key, Kind
from conveyor.engine.cache import Cache
from conveyor.engine.hub import Hub
from conveyor.engine.records import key_of, version_of
from conveyor.web.errors import OutsideError

logger = logging.getLogger(__name__)

RESYNC_SECONDS = 300.0
AGAIN_SECONDS = 5.0
AT_ONCE = 100
"""Objects that are taken without a pause."""
ONE_BY_ONE = 500
"""Objects that are read one by one at most: of more a listing costs less."""

Tell = Callable[[JSONObject], None]


class Resync:
    def __init__(
        self,
        cluster: Cluster,
        cache: Cache,
        hub: Hub,
        *,
        listed: Callable[[Kind], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """`listed` is told of each kind when it is in the cache as a whole, `failed` of what must not happen."""
        self._cluster, self._cache, self._hub = cluster, cache, hub
        self._listed, self._failed = listed, failed
        self._asked = asyncio.Event()
        self._whole: set[Kind] = set()
        """What was listed once: from then on only news of it are read."""

    def ask(self) -> None:
        """A watch has begun anew: what it did not tell is to be listed."""
        self._asked.set()

    async def run(self, *, sleep: Callable[[float], Awaitable[None]] | None = None) -> None:
        """At once, then when it is asked for and every five minutes; a listing that fails is tried again soon."""
        sleep, rest = (sleep, sleep) if sleep is not None else (asyncio.sleep, self._rest)
        while True:
            self._asked.clear()
            try:
                await self.once()
            except OutsideError as error:
                logger.warning("resync failed", extra={"error": str(error)[:300]})
                await sleep(AGAIN_SECONDS)
            except Exception as error:  # noqa: BLE001 the loop's edge
                self._failed(error)
                await sleep(AGAIN_SECONDS)
            else:
                await rest(RESYNC_SECONDS)

    async def _rest(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._asked.wait()

    async def once(self) -> None:
        """Repositories first, so that no item's first pass finds its Repository missing."""
        await self._list(Kind.REPOSITORY, self._hub.repository_seen, self._hub.repository_gone)
        await self._list(Kind.WORKITEM, self._hub.item_seen, self._hub.item_gone)
        await self._confirm_jobs()
        for table in (self._cache.items, self._cache.repositories, self._cache.jobs):
            table.forget_the_gone()
        self._hub.wake_what_moves()

    async def _list(self, kind: Kind, seen: Tell, gone: Tell) -> None:
        before = self._known(kind)
        present = await (self._compare if kind in self._whole else self._take)(kind, seen)
        for key, (uid, version) in before.items():
            if key not in present:
                await self._confirm_gone(kind, key, uid=uid, version=version, gone=gone)
        self._whole.add(kind)
        self._listed(kind)

    async def _take(self, kind: Kind, seen: Tell) -> set[Key]:
        """All objects. Gives their keys."""
        present = set[Key]()
        async for obj in _unhurried(self._cluster.pages(kind)):
            present.add(key_of(obj))
            self._see(obj, seen)
        return present

    async def _compare(self, kind: Kind, seen: Tell) -> set[Key]:
        """Metadata alone says what is news; next to nothing is, and that is read one by one."""
        table = self._cache.items if kind is Kind.WORKITEM else self._cache.repositories
        present, news = set[Key](), set[Key]()

        def compare(obj: JSONObject) -> None:
            if table.is_news(key_of(obj), uid=obj["metadata"]["uid"], version=version_of(obj)):
                news.add(key_of(obj))

        async for obj in _unhurried(self._cluster.metadata_pages(kind)):
            present.add(key_of(obj))
            self._see(obj, compare)
        if len(news) > ONE_BY_ONE:
            return await self._take(kind, seen)
        for key in sorted(news, key=str):
            found = await self._cluster.get(kind, key)
            if found is not None:
                self._see(found, seen)
            else:
                present.discard(key)
        return present

    def _see(self, obj: JSONObject, seen: Callable[[JSONObject], None]) -> None:
        """One object that nobody thought possible does not keep the others from being seen."""
        try:
            seen(obj)
        except Exception as error:  # noqa: BLE001 the loop's edge
            logger.error("object cannot be taken", extra={"key": str(key_of(obj)), "error": type(error).__name__})  # noqa: TRY400
            self._failed(error)

    async def _confirm_jobs(self) -> None:
        """Of Jobs we know those at work and those to be tidied up: few enough to be asked for one by one.

        The end of a run or effect its item reads. That the Job is to be let go then, only the Job's own event tells.
        """
        for record in list(self._cache.jobs):
            found = await self._cluster.stored_job(record.key)
            if found is None or found["metadata"]["uid"] != record.uid:
                self._hub.job_gone({"metadata": _metadata(record.key, record.uid, record.version)})
            else:
                self._see(found, self._hub.job_seen)

    def _known(self, kind: Kind) -> dict[Key, tuple[str, int]]:
        table = self._cache.items if kind is Kind.WORKITEM else self._cache.repositories
        return {record.key: (record.uid, record.version) for record in table}

    async def _confirm_gone(
        self, kind: Kind, key: Key, *, uid: str, version: int, gone: Callable[[JSONObject], None]
    ) -> None:
        """Made after the listing began, it would be missing from it: ask once more before believing."""
        if await self._cluster.get(kind, key) is not None:
            return
        logger.info("found deleted unseen", extra={"kind": kind.value, "key": str(key)})
        gone({"metadata": _metadata(key, uid, version)})


async def _unhurried(pages: AsyncIterator[list[JSONObject]]) -> AsyncIterator[JSONObject]:
    """Thousands of objects must not hold the loop."""
    async for page in pages:
        for number, obj in enumerate(page):
            yield obj
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)


def _metadata(key: Key, uid: str, version: int) -> JSONObject:
    return {"namespace": key.namespace, "name": key.name, "uid": uid, "resourceVersion": str(version)}
