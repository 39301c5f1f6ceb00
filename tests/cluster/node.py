"""Nodes played by a test: `ProcessNode` runs pods as local processes, `ScriptedNode` answers for them at once.

What a process cannot give a pod is left out: images, security contexts, resource limits, networks, probes, lifecycle
hooks, sidecars, read-only mounts, updates of mounted files. Every pod is treated as `restartPolicy: Never`. Container
paths do not exist on this host: a mount path is replaced by the volume's directory wherever it stands in `env`,
`command`, `args` and `workingDir`, as a whole path or as the beginning of one.
"""

import asyncio
import contextlib
import secrets
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.cluster.node_base import NodeBase
from tests.cluster.node_object import NodeObject
from tests.cluster.pod_inputs import Object, containers
from tests.cluster.pod_run import ImageSpec, PodRun, lost
from tests.cluster.pod_status import MAX_MESSAGE, TERMINAL, Running, State, Terminated, initial_states, pod_status
from tests.cluster.processes import temporary_directory

__all__ = ["ImageSpec", "Outcome", "Pod", "ProcessNode", "Script", "ScriptedNode", "scripted_states"]

Pod = Object


@dataclass
class _Held:
    """A pod that is ours to run, and the grace that its deletion has set."""

    pod: Pod
    run: PodRun
    grace: float = 0
    deleted: asyncio.Event = field(default_factory=asyncio.Event)

    def delete(self, pod: Pod | None = None) -> None:
        given = (pod or {}).get("metadata", {}).get("deletionGracePeriodSeconds")
        self.grace = self.pod["spec"].get("terminationGracePeriodSeconds", 30) if given is None else given
        self.deleted.set()


class ProcessNode(NodeBase):
    """Binds pods that nobody has bound and runs those that are bound to it.

    `images` names what an image is here; an image it does not name runs the container's own `command`.
    """

    def __init__(
        self,
        kubeconfig: Path,
        *,
        images: Mapping[str, ImageSpec] | None = None,
        namespaces: Collection[str] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(kubeconfig, namespaces)
        self.name = name or f"process-node-{secrets.token_hex(3)}"
        self._images = images or {}
        self._held: dict[str, _Held] = {}
        self._directory = Path()

    @property
    def logs_directory(self) -> Path:
        """`<namespace>_<pod>_<uid>/<container>.log`. `kubectl logs` cannot read them: it asks a kubelet."""
        return self._directory / "logs"

    def logs(self, namespace: str, pod: str, container: str | None = None) -> str:
        """What one container printed, or all of them with a heading each. Kept until the node ends."""
        files = self.logs_directory.glob(f"{namespace}_{pod}_*/*.log")
        found = sorted(files, key=lambda file: file.stat().st_mtime_ns)
        if container:
            return "".join(file.read_text(errors="replace") for file in found if file.stem == container)
        return "".join(f"==> {file.stem} <==\n{file.read_text(errors='replace')}" for file in found)

    async def _prepare(self, stack: contextlib.AsyncExitStack) -> None:
        self._directory = stack.enter_context(temporary_directory("node"))
        node = NodeObject(self._api, self.name)
        await node.register()
        stack.push_async_callback(node.unregister)
        self._spawn(node.keep_alive())

    def _changed(self, pod: Pod) -> None:
        metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status", {})
        deleted, ours = "deletionTimestamp" in metadata, spec.get("nodeName") == self.name
        if held := self._held.get(metadata["uid"]):
            if deleted and not held.deleted.is_set():
                held.delete(pod)
        elif ours and deleted:
            self._spawn(self._api.finish_deletion(pod))
        elif ours and "startTime" in status and status["phase"] not in TERMINAL:
            self._spawn(self._give_up(pod))
        elif status["phase"] not in TERMINAL and (ours or _unbound(pod)) and not deleted:
            self._hold(pod)

    def _gone(self, uid: str) -> None:
        if uid in self._held:
            self._held[uid].delete()

    def _hold(self, pod: Pod) -> None:
        metadata = pod["metadata"]
        name = f"{metadata['namespace']}_{metadata['name']}_{metadata['uid']}"
        logs = self.logs_directory / name
        run = PodRun(pod, self._api, self._images, directory=self._directory / "pods" / name, logs=logs)
        held = self._held[metadata["uid"]] = _Held(pod, run)
        self._spawn(self._live(held, self._directory / "pods" / name))

    async def _live(self, held: _Held, directory: Path) -> None:
        try:
            if _unbound(held.pod) and not await self._api.bind(held.pod, self.name):
                return
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(held.run.run())
                await held.deleted.wait()
                stopping = tasks.create_task(held.run.terminate(held.grace))
                await running
                stopping.cancel()
            await self._api.finish_deletion(held.pod)
        finally:
            del self._held[held.pod["metadata"]["uid"]]
            shutil.rmtree(directory, ignore_errors=True)

    async def _give_up(self, pod: Pod) -> None:
        await self._api.set_status(pod, lost(pod))


def _unbound(pod: Pod) -> bool:
    return not pod["spec"].get("nodeName") and not pod["spec"].get("schedulingGates")


@dataclass(frozen=True)
class Outcome:
    """A scripted end of `container` (default: the main one), `after` seconds of running.

    An init container with an exit code other than 0 ends the pod; all others succeed.
    """

    exit_code: int = 0
    message: str = ""
    container: str | None = None
    after: float = 0


Script = Callable[[Pod], Outcome | None]


class ScriptedNode(NodeBase):
    """Ends pods as `script(pod)` says, with one write each and without binding them.

    None leaves the pod pending; it is asked again at the pod's next change.
    """

    def __init__(self, kubeconfig: Path, script: Script, *, namespaces: Collection[str] | None = None) -> None:
        super().__init__(kubeconfig, namespaces)
        self._script = script
        self._answered: set[str] = set()

    def _changed(self, pod: Pod) -> None:
        uid = pod["metadata"]["uid"]
        if uid in self._answered or "deletionTimestamp" in pod["metadata"] or not _unbound(pod):
            return
        if pod.get("status", {}).get("phase") not in TERMINAL and (outcome := self._script(pod)):
            self._answered.add(uid)
            self._spawn(self._answer(pod, outcome))

    def _gone(self, uid: str) -> None:
        self._answered.discard(uid)

    async def _answer(self, pod: Pod, outcome: Outcome) -> None:
        started = datetime.now(UTC)
        if outcome.after:
            states = scripted_states(pod, Outcome(), started) | {
                entry["name"]: Running("scripted://", started) for entry in pod["spec"]["containers"]
            }
            await self._api.set_status(pod, pod_status(pod, states, started=started, now=started))
            await asyncio.sleep(outcome.after)
        now = datetime.now(UTC)
        await self._api.set_status(pod, pod_status(pod, scripted_states(pod, outcome, now), started=started, now=now))


def scripted_states(pod: Pod, outcome: Outcome, now: datetime) -> dict[str, State]:
    """Containers in order up to the first that fails; only the named one has message and exit code."""
    states = initial_states(pod)
    name = outcome.container or pod["spec"]["containers"][0]["name"]
    initial = {entry["name"] for entry in pod["spec"].get("initContainers", [])}
    message = outcome.message.encode()[-MAX_MESSAGE:].decode(errors="replace")
    for entry in containers(pod["spec"]):
        code = outcome.exit_code if entry["name"] == name else 0
        reason, text = ("Error" if code else "Completed"), (message if entry["name"] == name else "")
        states[entry["name"]] = Terminated(code, reason, now, now, text, f"scripted://{entry['name']}")
        if code and entry["name"] in initial:
            break
    return states
