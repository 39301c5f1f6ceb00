"""What process node and scripted node have in common: they watch pods, and an error of theirs is not lost."""

import asyncio
import contextlib
import logging
from collections.abc import Collection, Coroutine
from pathlib import Path
from typing import Any, Self

from tests.cluster.api import AsyncKube
from tests.cluster.pod_api import PodApi
from tests.cluster.pod_inputs import Object

log = logging.getLogger(__name__)


class NodeBase:
    """`async with`. Hands each change of a pod to `_changed`, its end to `_gone`; raises at the exit what failed.

    `namespaces`: None means all of them.
    """

    def __init__(self, kubeconfig: Path, namespaces: Collection[str] | None) -> None:
        self._kube = AsyncKube(kubeconfig)
        self._namespaces: Collection[str | None] = [None] if namespaces is None else namespaces
        self._api = PodApi(self._kube)
        self._tasks: set[asyncio.Task[None]] = set()
        self._errors: list[Exception] = []
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self._kube)
            stack.push_async_callback(self._end_tasks)
            await self._prepare(stack)
            self._stack = stack.pop_all()
        for namespace in self._namespaces:
            self._spawn(self._watch(namespace))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.resume()
        await self._end_tasks()
        await self._stack.aclose()
        if self._errors:
            raise ExceptionGroup("the node failed", self._errors)

    def pause(self) -> None:
        """Lose the network: processes go on, nothing is heard or said until `resume()`."""
        self._api.awake.clear()

    def resume(self) -> None:
        self._api.awake.set()

    async def _prepare(self, stack: contextlib.AsyncExitStack) -> None:
        """Before the first pod is seen; what is put on the stack ends after the tasks."""

    def _changed(self, pod: Object) -> None:
        raise NotImplementedError

    def _gone(self, uid: str) -> None:
        raise NotImplementedError

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            log.error("a task of the node failed", exc_info=error)
            self._errors.append(error)

    async def _end_tasks(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, namespace: str | None) -> None:
        known: set[str] = set()
        async with contextlib.aclosing(self._api.events(namespace)) as events:
            async for kind, found in events:
                match kind:
                    case "LISTED":
                        present = {pod["metadata"]["uid"] for pod in found}
                        for uid in known - present:
                            self._gone(uid)
                        known.clear()
                        known |= present
                        for pod in found:
                            self._changed(pod)
                    case "DELETED":
                        known.discard(found["metadata"]["uid"])
                        self._gone(found["metadata"]["uid"])
                    case _:
                        known.add(found["metadata"]["uid"])
                        self._changed(found)
