"""The scripted node ends pods by one write, and the real Job controller believes it as well."""

from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.cluster.api import Kube
from tests.cluster.node import Outcome, Pod, ScriptedNode

Object = dict[str, Any]


def job(name: str) -> Object:
    container = {"name": "publish", "image": "example.invalid/tools"}
    before = [{"name": name, "image": "example.invalid/agent"} for name in ("clone", "agent")]
    template = {"spec": {"restartPolicy": "Never", "initContainers": before, "containers": [container]}}
    return {"metadata": {"name": name}, "spec": {"backoffLimit": 0, "template": template}}


class Jobs:
    def __init__(self, kube: Kube, namespace: str) -> None:
        self._kube = kube
        self._jobs, self._pods = f"/apis/batch/v1/namespaces/{namespace}/jobs", f"/api/v1/namespaces/{namespace}/pods"

    def create(self, name: str) -> None:
        self._kube.post(self._jobs, job(name))

    async def ended(self, name: str) -> str:
        with anyio.fail_after(20):
            while True:
                conditions = self._kube.get(f"{self._jobs}/{name}").get("status", {}).get("conditions", [])
                for condition in conditions:
                    if condition["type"] in ("Complete", "Failed"):
                        return str(condition["type"])
                await anyio.sleep(0.05)

    async def pod_in_phase(self, name: str, phase: str) -> str:
        """The name of the Job's pod, once it is there and in this phase."""
        with anyio.fail_after(10):
            while True:
                for pod in self._kube.get(self._pods, labelSelector=f"job-name={name}")["items"]:
                    if pod["status"]["phase"] == phase:
                        return str(pod["metadata"]["name"])
                await anyio.sleep(0.02)

    def pod_status(self, name: str) -> Object:
        (found,) = self._kube.get(self._pods, labelSelector=f"job-name={name}")["items"]
        status: Object = found["status"]
        return status


@pytest.fixture
def jobs(kube: Kube, namespace: str) -> Jobs:
    return Jobs(kube, namespace)


async def test_scripted_success_completes_the_job_with_its_message(
    kubeconfig: Path, namespace: str, jobs: Jobs
) -> None:
    async with ScriptedNode(kubeconfig, lambda _: Outcome(message='{"verdict": "pass"}'), namespaces=[namespace]):
        jobs.create("good")
        assert await jobs.ended("good") == "Complete"

    (main,) = jobs.pod_status("good")["containerStatuses"]
    assert main["state"]["terminated"]["message"] == '{"verdict": "pass"}'


async def test_scripted_failure_of_an_init_container_fails_the_job(
    kubeconfig: Path, namespace: str, jobs: Jobs
) -> None:
    outcome = Outcome(exit_code=3, container="agent")
    async with ScriptedNode(kubeconfig, lambda _: outcome, namespaces=[namespace]):
        jobs.create("bad")
        assert await jobs.ended("bad") == "Failed"

    status = jobs.pod_status("bad")
    codes = [entry["state"].get("terminated", {}).get("exitCode") for entry in status["initContainerStatuses"]]
    assert codes == [0, 3]
    assert "waiting" in status["containerStatuses"][0]["state"]


async def test_pod_without_an_outcome_stays_until_the_script_has_one(
    kubeconfig: Path, namespace: str, kube: Kube, jobs: Jobs
) -> None:
    def script(pod: Pod) -> Outcome | None:
        return Outcome() if pod["metadata"].get("annotations", {}).get("go") else None

    async with ScriptedNode(kubeconfig, script, namespaces=[namespace]):
        jobs.create("held")
        name = await jobs.pod_in_phase("held", "Pending")
        kube.patch(f"/api/v1/namespaces/{namespace}/pods/{name}", {"metadata": {"annotations": {"go": "now"}}})
        assert await jobs.ended("held") == "Complete"


async def test_pod_runs_for_as_long_as_scripted(kubeconfig: Path, namespace: str, jobs: Jobs) -> None:
    async with ScriptedNode(kubeconfig, lambda _: Outcome(after=0.5), namespaces=[namespace]):
        jobs.create("takes-time")
        await jobs.pod_in_phase("takes-time", "Running")
        assert await jobs.ended("takes-time") == "Complete"


async def test_error_in_the_script_is_raised_at_the_exit(kubeconfig: Path, namespace: str, jobs: Jobs) -> None:
    asked = anyio.Event()

    def script(_: Pod) -> Outcome:
        asked.set()
        raise ZeroDivisionError

    async def run() -> None:
        async with ScriptedNode(kubeconfig, script, namespaces=[namespace]):
            jobs.create("broken")
            with anyio.fail_after(10):
                await asked.wait()

    with pytest.raises(ExceptionGroup, match="the node failed"):
        await run()
