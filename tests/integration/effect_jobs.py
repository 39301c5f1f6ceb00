"""Items with the intent of one effect Job each, carried to its end by the engine on a real API server.

The Jobs are the real Job controller's, their pods a scripted node's; the forge is in memory.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio

from conveyor.api.annotations import TRANSITION_FINALIZER
from conveyor.api.objects import WorkItem
from conveyor.api.stages import Stage
from conveyor.api.workitem import Effect, TransitionJob, WorkItemStatus
from conveyor.cluster.client import KubernetesCluster
from conveyor.cluster.connection import Connection
from conveyor.cluster.protocol import JSONObject, Key, Kind, Uncertain, Written
from conveyor.engine.identity import Liveness
from conveyor.engine.world import EngineSettings
from tests.cluster.api import STRATEGIC, Kube
from tests.cluster.node import Outcome, Pod, ScriptedNode
from tests.fakes.clock import ManualClock
from tests.fakes.memory_forge import MemoryForge
from tests.fakes.memory_probes import MemoryProbes
from tests.fakes.memory_tracker import MemoryTracker
from tests.integration.crd_objects import FORGE, Objects
from tests.unit.engine.process import Around, Process
from tests.unit.engine.rig import MemoryConnections
from tests.unit.engine.told import Told
from tests.unit.pipeline import builders

Object = dict[str, Any]
POD: Object = {"spec": {"containers": [{"name": "work", "image": "example.invalid/x"}]}}
BUILT = json.dumps({"conveyor": 1, "verdict": "pass", "image": builders.IMAGE})
ON_THE_WAY = list(Stage)[: list(Stage).index(Stage.DEPLOY) + 1]
SECONDS = 60


@dataclass(frozen=True)
class Story:
    """What befalls a Job: `act` is done once `when` is so; `pod` is how its pod ends."""

    when: str = ""
    """created: the Job is there, its uid not on record; recorded: it is; at work: its pod is there."""
    act: Callable[["Case"], None] | None = None
    pod: Outcome | None = None


class Case:
    """One item, and its Job as somebody with kubectl sees it."""

    def __init__(self, kube: Kube, namespace: str, effect: Effect, *, name: str, story: Story) -> None:
        self.kube, self.effect, self.story = kube, effect, story
        self.key, self.job_name = Key(namespace, name), f"{name}-0123456789"
        self.path = f"/apis/batch/v1/namespaces/{namespace}/jobs/{self.job_name}"
        self._pods = f"/api/v1/namespaces/{namespace}/pods"
        self.done = False

    def job(self) -> Object | None:
        listed = self.kube.get(self.path.rsplit("/", 1)[0], fieldSelector=f"metadata.name={self.job_name}")["items"]
        return listed[0] if listed else None

    def pods(self) -> list[Object]:
        found: list[Object] = self.kube.get(self._pods, labelSelector=f"job-name={self.job_name}")["items"]
        return found

    def delete(self) -> None:
        self.kube.delete(self.path)

    def delete_by_force(self) -> None:
        self.kube.patch(self.path, {"metadata": {"finalizers": None}})
        self.kube.delete(self.path)

    def limit(self) -> None:
        self.kube.patch(self.path, {"spec": {"activeDeadlineSeconds": 1}})

    def stop_pod(self) -> None:
        """As a kubelet does with a pod that is at work for too long."""
        status = {"phase": "Failed", "reason": "DeadlineExceeded", "message": "it was active for too long"}
        name = self.pods()[0]["metadata"]["name"]
        self.kube.patch(f"{self._pods}/{name}/status", {"status": status}, content_type=STRATEGIC)

    def is_due(self, item: WorkItem, job: Object | None) -> bool:
        transition = item.status.transition
        if self.done or self.story.act is None or job is None or transition is None or transition.job is None:
            return False
        recorded = transition.job.uid is not None
        match self.story.when:
            case "created":
                return not recorded
            case "recorded":
                return recorded
            case _:
                return bool(self.pods())


class LosesAnswers(KubernetesCluster):
    """Jobs of these names are created, and nobody is told: another pass sees them without a uid on record."""

    lost: frozenset[str] = frozenset()

    async def create_job(self, manifest: JSONObject) -> Written:
        written = await super().create_job(manifest)
        return Uncertain("the answer was lost") if manifest["metadata"]["name"] in self.lost else written


class Carrier:
    """One operator process, and the passes it makes over each case until that one's intent is over or parked."""

    def __init__(self, connection: Connection, kube: Kube, namespace: str) -> None:
        self._kube, self._namespace = kube, namespace
        self.cluster, self.forge = LosesAnswers(connection, namespaces=(namespace,)), MemoryForge()
        self.forge.pulls[builders.NUMBER] = builders.pull()

        async def alive(_: object) -> Liveness:
            return Liveness.ALIVE

        around = Around(
            cluster=self.cluster,
            connections=MemoryConnections(self.forge, MemoryTracker(), self.cluster),
            probes=MemoryProbes(ManualClock()),
            told=Told(),
            judge=alive,
            clock=time.monotonic,
            now=lambda: datetime.now(UTC),
        )
        self.process = Process(around, EngineSettings(holder="process-1", tools_image="tools:1"))

    def begin(self, case: Case) -> None:
        """A Repository of its own, and an item at the intent of the effect."""
        if case.story.when == "created":
            self.cluster.lost |= {case.job_name}
        name, templates = case.key.name, {"template": POD, "timeoutSeconds": SECONDS}
        spec: Object = {
            "forge": FORGE | {"name": name},
            "agents": [{"role": "developer", "image": "example.invalid/x"}],
            "gates": {"image": {"enabled": True, "template": POD}},
            "staging": templates,
            "deploy": templates | {"rollbackTemplate": POD, "onFailure": "Rework"},
        }
        repositories = Objects(self._kube, self._namespace, kind="Repository", plural="repositories")
        repositories.create(name, spec)
        before = {"image": builders.OLD_IMAGE, "sha": builders.BASE, "item": "before"}
        repositories.write_status(name, {"production": before})
        items = Objects(self._kube, self._namespace, kind="WorkItem", plural="workitems")
        items.create(name, {"repositoryRef": {"name": name}, "title": "Mend the login"})
        held = {"metadata": {"finalizers": [TRANSITION_FINALIZER]}}
        self._kube.patch(f"/apis/conveyor.dev/v1alpha1/namespaces/{self._namespace}/workitems/{name}", held)
        status = status_at(case)
        for stage in ON_THE_WAY[: ON_THE_WAY.index(status.stage or Stage.CREATED)]:
            items.write_status(name, {"stage": stage.value, "stageEnteredTime": "2026-11-21T06:30:00Z"})
        items.write_status(name, status.dump())

    async def carry(self, case: Case) -> WorkItem:
        """The item as the end of its Job leaves it."""
        with anyio.fail_after(SECONDS):
            while True:
                item, job = await self._read(case)
                if case.is_due(item, job) and case.story.act is not None:
                    case.story.act(case)
                    case.done = True
                if is_over(item):
                    return item
                await self.process.items.reconcile(case.key)
                await anyio.sleep(0.1)

    async def _read(self, case: Case) -> tuple[WorkItem, Object | None]:
        """As the watches tell it."""
        hub, found = self.process.hub, await self.cluster.get(Kind.WORKITEM, case.key)
        repository = await self.cluster.get(Kind.REPOSITORY, case.key)
        assert found is not None
        assert repository is not None
        hub.item_seen(found)
        hub.repository_seen(repository)
        job = case.job()
        if job is not None:
            hub.job_seen(job)
        return WorkItem.model_validate(found), job


def status_at(case: Case) -> WorkItemStatus:
    job = TransitionJob(name=case.job_name)
    late = datetime.now(UTC) + timedelta(hours=1)
    intent = builders.transition(case.effect, job=job, deadline_time=late, reason="the deploy failed")
    return builders.status(intent.from_stage, transition=intent)


def is_over(item: WorkItem) -> bool:
    transition = item.status.transition
    return transition is None or transition.id != "0123456789abcdef" or transition.phase == "Unknown"


def end_of(item: WorkItem, effect: Effect) -> str:
    """What is on record once the intent is over, in a word."""
    status = item.status
    if status.stalled is not None:
        return status.stalled
    if status.transition is not None:
        return f"{status.transition.effect.value}, then {status.transition.to_stage.value}"
    if status.stage == Stage.DONE:
        return "done"
    charged = [attempt.cause.value for attempt in status.attempts if attempt.count]
    word = status.gate({Effect.IMAGE: "image_fresh", Effect.STAGING: "staging_healthy"}[effect])
    return "passed" if word is not None and word.passed else "failed" if word is not None else f"charged {charged}"


class Pods(ScriptedNode):
    """Ends the pods of each case as its story has it."""

    def __init__(self, kubeconfig: Path, cases: list[Case]) -> None:
        self._stories = {case.key.name: case.story for case in cases}
        super().__init__(kubeconfig, self._end, namespaces=[cases[0].key.namespace])

    def _end(self, pod: Pod) -> Outcome | None:
        return self._stories[pod["metadata"]["labels"]["conveyor.dev/workitem"]].pod
