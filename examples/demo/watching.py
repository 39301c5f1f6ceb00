"""What the API server has told since the demo began: every work item's newest state, and every Job ever seen."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable

import aiohttp

from examples.demo.tickets import NAMESPACE
from tests.cluster.api import ApiError, AsyncKube, Object

ITEMS = f"/apis/conveyor.dev/v1alpha1/namespaces/{NAMESPACE}/workitems"
JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
AGAIN_SECONDS = 0.1


class Watched:
    """Filled by `follow`. A Job that was deleted is still in `jobs` as it was last seen."""

    def __init__(self) -> None:
        self.items: dict[str, Object] = {}
        self.jobs: dict[str, Object] = {}
        self.job_uids: dict[str, set[str]] = {}
        """By name: more than one uid means that a Job was made twice."""
        self._changed = asyncio.Event()

    async def follow(self, kube: AsyncKube) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow(kube, ITEMS, self._item_seen))
            tasks.create_task(self._follow(kube, JOBS, self._job_seen))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Asks again after every change."""
        while not condition():
            await self._changed.wait()

    def status(self, item: str) -> Object:
        found: Object = self.items.get(item, {}).get("status", {})
        return found

    async def _follow(self, kube: AsyncKube, path: str, seen: Callable[[Object], None]) -> None:
        async with contextlib.aclosing(_changes(kube, path)) as changes:
            async for obj in changes:
                seen(obj)
                self._changed.set()
                self._changed = asyncio.Event()

    def _item_seen(self, item: Object) -> None:
        self.items[item["metadata"]["name"]] = item

    def _job_seen(self, job: Object) -> None:
        name = job["metadata"]["name"]
        self.jobs[name] = job
        self.job_uids.setdefault(name, set()).add(job["metadata"]["uid"])


async def _changes(kube: AsyncKube, path: str) -> AsyncGenerator[Object]:
    """Every object there is, then every change; from the start again when the server ends the watch."""
    while True:
        try:
            listed = await kube.request("GET", path)
            for obj in listed["items"]:
                yield obj
            watch = kube.watch(path, resource_version=listed["metadata"]["resourceVersion"])
            async with contextlib.aclosing(watch) as events:
                async for event in events:
                    if event["type"] != "BOOKMARK":
                        yield event["object"]
        except (ApiError, aiohttp.ClientError, TimeoutError):
            await asyncio.sleep(AGAIN_SECONDS)
