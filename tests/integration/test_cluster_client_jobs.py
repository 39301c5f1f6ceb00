"""Jobs as the client reads them while the real Job controller runs them."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from conveyor.cluster.client import KubernetesCluster
from conveyor.cluster.connection import from_kubeconfig
from conveyor.cluster.protocol import Key, Lost, Rejected, Won
from conveyor.pipeline.facts import JobFact, JobState
from tests.cluster.api import STRATEGIC, Kube
from tests.cluster.node import Outcome, ScriptedNode

Object = dict[str, Any]
ANSWER = '{"verdict": "pass"}'
STARTED = "2026-11-21T06:30:00Z"


class Jobs:
    def __init__(self, cluster: KubernetesCluster, kube: Kube, namespace: str) -> None:
        self.cluster, self.kube, self.key = cluster, kube, Key(namespace, "run-1")
        self._pods = f"/api/v1/namespaces/{namespace}/pods"

    async def create(self, *, finalizers: tuple[str, ...] = (), **spec: Any) -> str:
        """The new Job's uid."""
        won = await self.cluster.create_job(self.manifest(finalizers=finalizers, **spec))
        assert isinstance(won, Won), won
        return str(won.object["metadata"]["uid"])

    def manifest(self, *, finalizers: tuple[str, ...] = (), **spec: Any) -> Object:
        before = [{"name": name, "image": "example.invalid/x"} for name in ("clone", "agent")]
        main = [{"name": "publish", "image": "example.invalid/x"}]
        template = {"spec": {"restartPolicy": "Never", "initContainers": before, "containers": main}}
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": self.key.name,
                "namespace": self.key.namespace,
                "labels": {"conveyor.dev/workitem-uid": "item-uid"},
                "finalizers": list(finalizers),
            },
            "spec": {"backoffLimit": 0, "template": template} | spec,
        }

    async def until(self, wanted: Callable[[JobFact], bool]) -> JobFact:
        with anyio.fail_after(30):
            while True:
                fact = await self.cluster.job(self.key, with_message=True)
                if wanted(fact):
                    return fact
                await anyio.sleep(0.05)

    async def ended(self) -> JobFact:
        return await self.until(lambda fact: fact.state == JobState.ENDED)

    async def pod(self) -> str:
        """The path of the Job's pod, once it is there."""
        with anyio.fail_after(20):
            while True:
                for pod in self.pods():
                    return f"{self._pods}/{pod['metadata']['name']}"
                await anyio.sleep(0.05)

    def pods(self) -> list[Object]:
        found: list[Object] = self.kube.get(self._pods, labelSelector=f"job-name={self.key.name}")["items"]
        return found

    async def until_no_pod_is_left(self) -> None:
        with anyio.fail_after(20):
            while True:
                if not self.pods():
                    return
                await anyio.sleep(0.05)

    async def pod_says(self, **status: Any) -> None:
        self.kube.patch(f"{await self.pod()}/status", {"status": status}, content_type=STRATEGIC)


@pytest.fixture
async def jobs(kubeconfig: Path, kube: Kube, namespace: str) -> AsyncIterator[Jobs]:
    async with await from_kubeconfig(kubeconfig) as connection:
        yield Jobs(KubernetesCluster(connection), kube, namespace)


def waiting(name: str, reason: str, message: str) -> Object:
    state = {"waiting": {"reason": reason, "message": message}}
    return {"name": name, "image": "x", "imageID": "", "ready": False, "restartCount": 0, "state": state}


async def test_job_that_succeeds_ends_with_its_message(jobs: Jobs, kubeconfig: Path) -> None:
    uid = await jobs.create()
    async with ScriptedNode(kubeconfig, lambda _: Outcome(message=ANSWER), namespaces=[jobs.key.namespace]):
        fact = await jobs.ended()
    assert fact.finished is not None
    assert fact == JobFact(
        JobState.ENDED, uid=uid, item_uid="item-uid", complete=True, message=ANSWER, finished=fact.finished
    )


async def test_job_whose_agent_fails_says_which_container_did(jobs: Jobs, kubeconfig: Path) -> None:
    await jobs.create()
    outcome = Outcome(exit_code=3, container="agent")
    async with ScriptedNode(kubeconfig, lambda _: outcome, namespaces=[jobs.key.namespace]):
        fact = await jobs.ended()
    assert (fact.complete, fact.reason, fact.disrupted, fact.message) == (False, "exit 3: container agent", False, None)


async def test_job_whose_pod_was_drained_ended_by_a_disruption(jobs: Jobs) -> None:
    await jobs.create()
    target = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    await jobs.pod_says(phase="Failed", conditions=[target | {"lastTransitionTime": STARTED}])
    fact = await jobs.ended()
    assert (fact.complete, fact.reason, fact.disrupted) == (False, "EvictionByEvictionAPI", True)


async def test_job_that_waits_for_its_image_says_so(jobs: Jobs) -> None:
    await jobs.create()
    await jobs.pod_says(phase="Pending", initContainerStatuses=[waiting("clone", "ErrImagePull", "not found")])
    fact = await jobs.until(lambda fact: fact.reason.startswith("Err"))
    assert (fact.state, fact.reason) == (JobState.ACTIVE, "ErrImagePull: not found")


async def test_job_whose_pod_never_started_before_its_deadline_was_not_too_slow(jobs: Jobs) -> None:
    await jobs.create(activeDeadlineSeconds=1)
    fact = await jobs.ended()
    assert (fact.complete, fact.disrupted) == (False, True)
    assert fact.reason.startswith("DeadlineExceeded: ")


async def test_job_whose_pod_was_taken_away_ended_by_a_disruption(jobs: Jobs) -> None:
    await jobs.create()
    jobs.kube.delete(await jobs.pod(), grace=0)
    fact = await jobs.ended()
    assert (fact.complete, fact.reason, fact.disrupted) == (False, "PodGone", True)


async def test_deleted_job_is_being_deleted_until_its_pod_has_ended(jobs: Jobs) -> None:
    """A pod on a node goes only when the node says that it ended; here no node ever does."""
    uid = await jobs.create(template=bound(jobs.manifest()["spec"]["template"]))
    pod = await jobs.pod()
    await jobs.cluster.delete_job(jobs.key, uid=uid)
    fact = await jobs.until(lambda fact: not fact.uid)
    assert fact == JobFact(JobState.DELETING)
    jobs.kube.delete(pod, grace=0)
    await jobs.until(lambda fact: fact.state == JobState.MISSING)


def bound(template: Object) -> Object:
    return template | {"spec": template["spec"] | {"nodeName": "nowhere"}}


async def test_finished_job_under_our_finalizer_is_read_though_somebody_deleted_it(
    jobs: Jobs, kubeconfig: Path
) -> None:
    uid = await jobs.create(finalizers=("conveyor.dev/result",))
    async with ScriptedNode(kubeconfig, lambda _: Outcome(message=ANSWER), namespaces=[jobs.key.namespace]):
        await jobs.ended()
    await jobs.cluster.delete_job(jobs.key, uid=uid)
    fact = await jobs.cluster.job(jobs.key, with_message=True)
    assert (fact.state, fact.complete, fact.message, fact.has_finalizer) == (JobState.ENDED, True, ANSWER, True)
    await jobs.cluster.release_job(jobs.key)
    await jobs.until(lambda fact: fact.state == JobState.MISSING)


async def test_running_job_under_our_finalizer_that_somebody_deletes_still_ends(jobs: Jobs, kubeconfig: Path) -> None:
    uid = await jobs.create(finalizers=("conveyor.dev/result",))
    await jobs.pod()
    await jobs.cluster.delete_job(jobs.key, uid=uid)
    assert (await jobs.cluster.job(jobs.key, with_message=True)).state == JobState.DELETING
    async with ScriptedNode(kubeconfig, lambda _: Outcome(message=ANSWER), namespaces=[jobs.key.namespace]):
        fact = await jobs.ended()
    assert (fact.complete, fact.message) == (True, ANSWER)
    await jobs.cluster.release_job(jobs.key)


async def test_job_created_suspended_has_no_pod_until_this_very_one_is_let_begin(jobs: Jobs, kubeconfig: Path) -> None:
    uid = await jobs.create(suspend=True)
    another = await jobs.cluster.start_job(jobs.key, uid="00000000-0000-0000-0000-000000000000")
    assert isinstance(another, Lost), another
    fact = await jobs.cluster.job(jobs.key, with_message=True)
    assert (fact.state, fact.suspended, fact.unstarted, jobs.pods()) == (JobState.ACTIVE, True, True, [])
    async with ScriptedNode(kubeconfig, lambda _: Outcome(message=ANSWER), namespaces=[jobs.key.namespace]):
        assert isinstance(await jobs.cluster.start_job(jobs.key, uid=uid), Won)
        ended = await jobs.ended()
    assert (ended.message, ended.unstarted) == (ANSWER, False)
    assert isinstance(await jobs.cluster.start_job(jobs.key, uid=uid), Won)
    assert (await jobs.cluster.job(jobs.key, with_message=True)) == ended


async def test_job_suspended_after_it_began_is_told_from_one_that_never_did(jobs: Jobs) -> None:
    uid = await jobs.create(suspend=True)
    await jobs.cluster.start_job(jobs.key, uid=uid)
    await jobs.pod()
    path = f"/apis/batch/v1/namespaces/{jobs.key.namespace}/jobs/{jobs.key.name}"
    jobs.kube.patch(path, {"spec": {"suspend": True}})
    await jobs.until_no_pod_is_left()
    fact = await jobs.cluster.job(jobs.key, with_message=True)
    assert (fact.state, fact.suspended, fact.unstarted) == (JobState.ACTIVE, True, False)


async def test_job_let_begin_while_it_is_being_deleted_gets_no_pod(jobs: Jobs) -> None:
    uid = await jobs.create(suspend=True, finalizers=("conveyor.dev/result",))
    await jobs.cluster.delete_job(jobs.key, uid=uid)
    await jobs.cluster.start_job(jobs.key, uid=uid)
    await anyio.sleep(1)  # for a pod that must not come
    fact = await jobs.cluster.job(jobs.key, with_message=True)
    assert (fact.state, jobs.pods()) == (JobState.DELETING, [])  # a startTime its controller may set all the same
    await jobs.cluster.release_job(jobs.key)


async def test_job_that_changed_since_it_was_seen_is_not_deleted(jobs: Jobs) -> None:
    won = await jobs.cluster.create_job(jobs.manifest(suspend=True))
    assert isinstance(won, Won)
    metadata = won.object["metadata"]
    await jobs.cluster.start_job(jobs.key, uid=metadata["uid"])
    await jobs.cluster.delete_job(jobs.key, uid=metadata["uid"], resource_version=metadata["resourceVersion"])
    assert (await jobs.cluster.job(jobs.key, with_message=False)).state == JobState.ACTIVE


async def test_release_leaves_other_finalizers(jobs: Jobs) -> None:
    await jobs.create(finalizers=("example.com/theirs", "conveyor.dev/result"))
    await jobs.cluster.release_job(jobs.key)
    path = f"/apis/batch/v1/namespaces/{jobs.key.namespace}/jobs/{jobs.key.name}"
    assert jobs.kube.get(path)["metadata"]["finalizers"] == ["example.com/theirs"]
    jobs.kube.patch(path, {"metadata": {"finalizers": None}})


async def test_expired_job_goes_with_its_pod(jobs: Jobs, kubeconfig: Path) -> None:
    await jobs.create()
    async with ScriptedNode(kubeconfig, lambda _: Outcome(), namespaces=[jobs.key.namespace]):
        await jobs.ended()
    await jobs.cluster.expire_job(jobs.key, seconds=0)
    await jobs.until(lambda fact: fact.state == JobState.MISSING)
    await jobs.until_no_pod_is_left()


async def test_job_that_is_gone_is_no_error_to_tidy(jobs: Jobs) -> None:
    await jobs.cluster.expire_job(jobs.key, seconds=0)
    await jobs.cluster.release_job(jobs.key)
    await jobs.cluster.delete_job(jobs.key, uid="gone")
    assert await jobs.cluster.job(jobs.key, with_message=True) == JobFact(JobState.MISSING)


async def test_mistyped_field_of_a_job_is_rejected(jobs: Jobs) -> None:
    rejected = await jobs.cluster.create_job(jobs.manifest(backofLimit=0))
    assert isinstance(rejected, Rejected)
    assert 'unknown field "spec.backofLimit"' in rejected.message
