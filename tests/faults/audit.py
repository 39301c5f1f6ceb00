"""An independent watch, straight on the API server, that sees every state an object was ever in and judges it."""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from tests.cluster.api import ApiError, AsyncKube
from tests.faults.rules import item_offences, repository_offences

Object = dict[str, Any]
OURS = "/apis/conveyor.dev/v1alpha1/namespaces/{}/{}"
PATHS = {
    "workitems": OURS,
    "repositories": OURS,
    "jobs": "/apis/batch/v1/namespaces/{}/{}",
    "leases": "/apis/coordination.k8s.io/v1/namespaces/{}/{}",
}
REPOSITORY = "shop"
"""The one Repository of a lane."""
OF_THE_PROCESS = ("transition-", "merge-", "deploy-")
"""Leases with other names are the process's own."""


@dataclass
class Intent:
    id: str
    effect: str
    precondition: Object
    branch: str
    owners: list[str] = field(default_factory=list)
    """Holders in their order."""


@dataclass
class Story:
    """All that is known of one item."""

    uid: str
    now: Object
    writes: int = 0
    intents: dict[str, Intent] = field(default_factory=dict)
    stages: list[str] = field(default_factory=list)
    offences: list[str] = field(default_factory=list)
    gone: bool = False


class Audit:
    """`async with`. Items are by name, since each case makes a name of its own."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self._kube, self._namespace = AsyncKube(kubeconfig), namespace
        self.items: dict[str, Story] = {}
        self.repositories: dict[str, Object] = {}
        self.jobs: dict[str, list[Object]] = {}
        """Every Job there ever was, by its item: the newest state of each uid, in the order of their making."""
        self.jobs_gone: set[str] = set()
        """The uids of those that were deleted."""
        self.leases: dict[str, Object] = {}
        self.offences: list[str] = []
        """Of Repositories."""
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self._kube.__aenter__()
        try:
            for resource, place in PATHS.items():
                path = place.format(self._namespace, resource)
                version = await self._version(path)
                self._tasks.append(asyncio.create_task(self._watch(resource, path, version)))
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        failed = [task.exception() for task in self._tasks if task.done() and not task.cancelled()]
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._kube.__aexit__(kind, error, traceback)
        for problem in failed:
            if problem is not None and error is None:
                raise problem

    async def _version(self, path: str) -> str:
        """Of the list now. Just after its CRD was installed, the API server asks to come again."""
        async with asyncio.timeout(30):
            while True:
                try:
                    return str((await self._kube.request("GET", path))["metadata"]["resourceVersion"])
                except ApiError as error:
                    if error.code != 429:
                        raise
                    await asyncio.sleep(0.2)

    async def _watch(self, resource: str, path: str, version: str) -> None:
        """A gap would be an audit that has not seen everything, so a history too short for it is an error."""
        while True:
            try:
                async with contextlib.aclosing(self._kube.watch(path, resource_version=version)) as stream:
                    async for event in stream:
                        version = event["object"]["metadata"]["resourceVersion"]
                        if event["type"] != "BOOKMARK":
                            self._changed(resource, event["object"], deleted=event["type"] == "DELETED")
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(0.1)

    def _changed(self, resource: str, found: Object, *, deleted: bool) -> None:
        match resource:
            case "workitems":
                self._item(found)
                self.items[found["metadata"]["name"]].gone = deleted
            case "repositories" if not deleted:
                self._repository(found)
            case "jobs":
                self._job(found)
                if deleted:
                    self.jobs_gone.add(found["metadata"]["uid"])
            case "leases":
                self.leases[found["metadata"]["name"]] = {} if deleted else found
            case _:
                pass

    def _item(self, found: Object) -> None:
        name, uid, status = found["metadata"]["name"], found["metadata"]["uid"], found.get("status") or {}
        story = self.items.get(name)
        if story is None or story.uid != uid:
            story = self.items[name] = Story(uid, {})
        old = story.now.get("status") or {}
        if story.now and status != old:
            story.writes += 1
            story.offences += item_offences(old, status, known=set(story.intents))
        story.now = found
        if status.get("stage") not in (None, *story.stages[-1:]):
            story.stages.append(status["stage"])
        transition = status.get("transition")
        if transition is not None:
            branch = str(status.get("branch") or "")
            begun = Intent(transition["id"], transition["effect"], transition["precondition"], branch)
            intent = story.intents.setdefault(begun.id, begun)
            if transition["holder"] not in intent.owners[-1:]:
                intent.owners.append(transition["holder"])

    def _repository(self, found: Object) -> None:
        name = found["metadata"]["name"]
        old = self.repositories.get(name, {}).get("status") or {}
        self.offences += repository_offences(old, found.get("status") or {})
        self.repositories[name] = found

    def _job(self, found: Object) -> None:
        item = found["metadata"].get("labels", {}).get("conveyor.dev/workitem", "")
        jobs = self.jobs.setdefault(item, [])
        for number, job in enumerate(jobs):
            if job["metadata"]["uid"] == found["metadata"]["uid"]:
                jobs[number] = found
                return
        jobs.append(found)

    # --- what is asked of it

    def jobs_there(self, item: str) -> Iterator[Object]:
        """Of an item's Jobs those that were not deleted."""
        return (job for job in self.jobs.get(item, []) if job["metadata"]["uid"] not in self.jobs_gone)

    def status(self, item: str) -> Object:
        story = self.items.get(item)
        found: Object = (story.now.get("status") if story is not None else None) or {}
        return found

    def is_gone(self, item: str) -> bool:
        return item in self.items and self.items[item].gone

    def repository(self, name: str = REPOSITORY) -> Object:
        """Its status."""
        found: Object = self.repositories.get(name, {}).get("status") or {}
        return found

    def ready(self, name: str = REPOSITORY) -> str:
        """Its condition Ready: "True", or why not."""
        conditions = self.repository(name).get("conditions", [])
        found: Object = next((one for one in conditions if one["type"] == "Ready"), {})
        if found.get("status") == "True":
            return "True"
        return f"{found.get('reason', 'not looked at')}: {found.get('message', '')}"

    def owned_leases(self) -> Iterator[str]:
        """Leases of side effects that somebody still holds."""
        for name, lease in self.leases.items():
            holder = (lease.get("spec") or {}).get("holderIdentity")
            if name.startswith(OF_THE_PROCESS) and holder:
                yield f"{name} held by {holder}"


def purpose(job: Object) -> str:
    labels = job["metadata"].get("labels", {})
    return str(labels.get("conveyor.dev/role") or labels.get("conveyor.dev/effect") or "")
