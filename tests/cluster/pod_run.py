"""One pod on a process node, from its binding to the end of its containers."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.cluster.container import Command, Container
from tests.cluster.pod_api import PodApi
from tests.cluster.pod_inputs import (
    NotAvailableError,
    Object,
    PathMap,
    check_present,
    containers,
    environment,
    expand,
    path_map,
    references,
    volume_files,
    volume_sources,
)
from tests.cluster.pod_status import TERMINAL, Running, State, Terminated, Waiting, initial_states, phase, pod_status

CONTAINER_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_AGAIN = 1.0  # seconds until a missing Secret or ConfigMap is looked for again


@dataclass(frozen=True)
class ImageSpec:
    """What an image is on this host: the entrypoint, its environment, and directories put before PATH.

    A container's `command` replaces `argv`, as in a real image; neither is changed by path substitution.
    """

    argv: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    path: tuple[Path, ...] = ()


class PodRun:
    """`run()` is the pod's whole life; `terminate()` may be called while it runs."""

    def __init__(
        self, pod: Object, api: PodApi, images: Mapping[str, ImageSpec], *, directory: Path, logs: Path
    ) -> None:
        self._pod, self._api, self._images, self._directory, self._logs = pod, api, images, directory, logs
        self._states: dict[str, State] = initial_states(pod)
        self._started = datetime.now(UTC)
        self._running: set[Container] = set()
        self._stopping = asyncio.Event()
        self._past_deadline = False
        self._objects: Mapping[tuple[str, str], Object] = {}
        self._volumes: dict[str, Path] = {}

    async def run(self) -> None:
        await self._report()
        limit = self._pod["spec"].get("activeDeadlineSeconds")
        late = asyncio.ensure_future(self._end_after(limit)) if limit is not None else None
        try:
            if await self._prepare():
                await self._run_containers()
        finally:
            if late is not None:
                late.cancel()
        await self._report(ended=True)

    async def _end_after(self, seconds: float) -> None:
        """As a kubelet does it: the pod ends like a deleted one, and says why (pkg/kubelet/active_deadline.go)."""
        await asyncio.sleep(seconds)
        self._past_deadline = True
        await self.terminate(self._pod["spec"].get("terminationGracePeriodSeconds", 30))

    async def terminate(self, grace: float) -> None:
        """SIGTERM, and SIGKILL after `grace` seconds; no other container starts."""
        self._stopping.set()
        for container in self._running:
            container.terminate()
        await asyncio.sleep(grace)
        self.kill()

    def kill(self) -> None:
        self._stopping.set()
        for container in self._running:
            container.kill()

    async def _prepare(self) -> bool:
        """Volumes and their files, waited for as long as something is missing; False when stopped before."""
        self._directory.mkdir(parents=True)
        self._logs.mkdir(parents=True)
        wanted = references(self._pod)
        while not self._stopping.is_set():
            try:
                self._objects = await self._api.fetch(self._pod, wanted)
                check_present(wanted, self._objects)
                await self._write_volumes()
            except NotAvailableError as error:
                await self._set_waiting(Waiting("CreateContainerConfigError", str(error)))
                await self._sleep(_AGAIN)
            else:
                return True
        return False

    async def _write_volumes(self) -> None:
        for volume in self._pod["spec"].get("volumes", []):
            root = self._directory / "volumes" / volume["name"]
            if "hostPath" in volume:
                self._volumes[volume["name"]] = Path(volume["hostPath"]["path"])
                continue
            for source in volume_sources(volume):
                for path, content in (await self._files(source)).items():
                    (root / path).parent.mkdir(parents=True, exist_ok=True)
                    (root / path).write_bytes(content)
            root.mkdir(parents=True, exist_ok=True)
            self._volumes[volume["name"]] = root

    async def _files(self, source: Object) -> dict[str, bytes]:
        if "emptyDir" in source:
            return {}
        if projection := source.get("serviceAccountToken"):
            token = await self._api.service_account_token(self._pod, projection)
            return {projection["path"]: token.encode()}
        if not source.keys() & {"secret", "configMap", "downwardAPI"}:
            raise NotAvailableError(f"the process node does not know the volume {source}")
        return volume_files(source, self._pod, self._objects)

    async def _run_containers(self) -> None:
        for entry in self._pod["spec"].get("initContainers", []):
            await self._run_container(entry)
            if self._over():
                return
        async with asyncio.TaskGroup() as tasks:
            for entry in self._pod["spec"]["containers"]:
                tasks.create_task(self._run_container(entry))

    def _over(self) -> bool:
        return self._stopping.is_set() or phase(self._pod, self._states) in TERMINAL

    async def _run_container(self, entry: Object) -> None:
        name = entry["name"]
        command = await self._command(entry)
        if command is None:
            return
        container = Container(command, container_id=f"process://{self._pod['metadata']['uid']}/{name}")
        self._states[name] = await container.start()
        if isinstance(self._states[name], Running):
            self._running.add(container)
            if self._stopping.is_set():
                container.kill()
            ended = asyncio.ensure_future(container.wait())
            try:
                await self._report()
                self._states[name] = await asyncio.shield(ended)
            finally:
                container.kill()
                await ended
                self._running.discard(container)
        if not self._over():
            await self._report()

    async def _command(self, entry: Object) -> Command | None:
        """None when stopped before the image, or what the environment refers to, was there."""
        while not self._stopping.is_set():
            try:
                return self._build_command(entry)
            except NotAvailableError as error:
                await self._set_waiting(Waiting("CreateContainerConfigError", str(error)), entry["name"])
            except LookupError as error:
                await self._set_waiting(Waiting("ErrImagePull", str(error)), entry["name"])
            await self._sleep(_AGAIN)
            self._objects = await self._api.fetch(self._pod, references(self._pod))
        return None

    def _build_command(self, entry: Object) -> Command:
        name, image = entry["name"], self._images.get(entry.get("image", ""))
        if image is None and not entry.get("command"):
            raise LookupError(f"no such image on this node, and no command given: {entry.get('image')}")
        spec = image or ImageSpec()
        home = self._directory / "homes" / name
        home.mkdir(parents=True, exist_ok=True)
        mapped = path_map(entry, self._volumes, self._directory / "termination" / name)
        declared = environment(entry, self._pod, self._objects)
        command = self._translate(entry.get("command", []), declared, mapped) or list(spec.argv)
        path = ":".join([*map(str, spec.path), CONTAINER_PATH])
        base = {"PATH": path, "HOME": str(home), "TMPDIR": str(home), "HOSTNAME": self._pod["metadata"]["name"]}
        return Command(
            argv=[*command, *self._translate(entry.get("args", []), declared, mapped)],
            env=base | dict(spec.env) | {key: mapped.apply(value) for key, value in declared.items()},
            directory=Path(mapped.apply(entry["workingDir"])) if entry.get("workingDir") else home,
            log=self._logs / f"{name}.log",
            termination_file=self._directory / "termination" / name,
            message_from_log=entry.get("terminationMessagePolicy") == "FallbackToLogsOnError",
        )

    @staticmethod
    def _translate(words: Sequence[str], declared: Mapping[str, str], mapped: PathMap) -> list[str]:
        return [mapped.apply(expand(word, declared)) for word in words]

    async def _set_waiting(self, state: Waiting, name: str | None = None) -> None:
        names = [name] if name else [entry["name"] for entry in containers(self._pod["spec"])]
        if any(self._states[each] != state for each in names):
            self._states |= dict.fromkeys(names, state)
            await self._report()

    async def _report(self, *, ended: bool = False) -> None:
        status = pod_status(self._pod, self._states, started=self._started, now=datetime.now(UTC))
        if ended and status["phase"] not in TERMINAL:
            status["phase"] = "Failed"  # deleted before its containers had started: TerminatePod, status_manager.go
        if ended and self._past_deadline:
            text = "Pod was active on the node longer than the specified deadline"
            status |= {"phase": "Failed", "reason": "DeadlineExceeded", "message": text}
        self._pod = await self._api.set_status(self._pod, status) or self._pod

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return


def lost(pod: Object) -> Object:
    """The status of a pod whose processes ended with an earlier run of the node: nothing is known, so it has failed."""
    now = datetime.now(UTC)
    states: dict[str, State] = initial_states(pod)
    main = pod["spec"]["containers"]
    message = "The container could not be located when the pod was terminated"
    states |= {entry["name"]: Terminated(137, "ContainerStatusUnknown", now, now, message) for entry in main}
    return pod_status(pod, states, started=now, now=now)
