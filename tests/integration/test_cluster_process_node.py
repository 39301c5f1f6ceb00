"""Pods on the process node end as a kubelet would end them, and the real Job controller believes it.

Covered: order of containers, environment, mounted files, shared volumes, exit codes, termination messages, what is
missing, deletion, and the outage of the API server. What is expected is said in `tests/cluster/pod_status.py`.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from tests.cluster.api import ApiError, Kube
from tests.cluster.control_plane import ControlPlane
from tests.cluster.node import ImageSpec, ProcessNode

Object = dict[str, Any]


def shell(name: str, script: str, **more: Any) -> Object:
    return {"name": name, "image": "example.invalid/any", "command": ["sh", "-c", script], **more}


def pod(name: str, *containers: Object, **more: Any) -> Object:
    """All but the last are init containers."""
    spec = {"restartPolicy": "Never", "initContainers": list(containers[:-1]), "containers": [containers[-1]], **more}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


class Pods:
    """The pods of one namespace, as a test looks at them."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self._kube, self._path = kube, f"/api/v1/namespaces/{namespace}"

    def create(self, body: Object, kind: str = "pods") -> None:
        self._kube.post(f"{self._path}/{kind}", body)

    def get(self, name: str) -> Object | None:
        try:
            return self._kube.get(f"{self._path}/pods/{name}")
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def delete(self, name: str) -> None:
        self._kube.delete(f"{self._path}/pods/{name}")

    async def until(self, name: str, what: Callable[[Object | None], Any]) -> Any:
        return await until(lambda: what(self.get(name)))

    async def ended(self, name: str) -> Object:
        """Its status in its last phase."""

        def status(found: Object | None) -> Object | None:
            assert found is not None
            return found["status"] if found["status"]["phase"] in ("Succeeded", "Failed") else None

        result: Object = await self.until(name, status)
        return result


async def until(what: Callable[[], Any], seconds: float = 20) -> Any:
    """The first true answer; the node works meanwhile."""
    with anyio.fail_after(seconds):
        while not (result := what()):  # noqa: ASYNC110 (what is awaited happens in other programs)
            await anyio.sleep(0.05)
    return result


def terminated(status: Object, container: str) -> Object:
    statuses = [*status.get("initContainerStatuses", []), *status["containerStatuses"]]
    found: Object = next(entry["state"]["terminated"] for entry in statuses if entry["name"] == container)
    return found


@pytest.fixture
def pods(kube: Kube, namespace: str) -> Pods:
    return Pods(kube, namespace)


async def test_containers_run_in_order_and_share_an_empty_dir(
    process_node: ProcessNode, pods: Pods, namespace: str
) -> None:
    mount = {"volumeMounts": [{"name": "shared", "mountPath": "/shared"}], "workingDir": "/shared"}
    containers = [shell(name, f"echo {name} >>order; cat order", **mount) for name in ("first", "second", "main")]
    pods.create(pod("ordered", *containers, volumes=[{"name": "shared", "emptyDir": {}}]))

    assert (await pods.ended("ordered"))["phase"] == "Succeeded"
    assert process_node.logs(namespace, "ordered", "main").split() == ["first", "second", "main"]


async def test_environment_is_the_pods_own_and_nothing_of_the_hosts(
    process_node: ProcessNode, pods: Pods, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEAKED", "from the test run")
    pods.create({"metadata": {"name": "s"}, "stringData": {"token": "t0ken", "other": "o"}}, "secrets")
    pods.create({"metadata": {"name": "c"}, "data": {"key": "value"}}, "configmaps")
    env = [
        {"name": "PLAIN", "value": "a"},
        {"name": "BUILT", "value": "$(PLAIN)-$$(PLAIN)-$(UNKNOWN)"},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "token"}}},
        {"name": "ABSENT", "valueFrom": {"secretKeyRef": {"name": "none", "key": "x", "optional": True}}},
        {"name": "KEY", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "key"}}},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ]
    pods.create(pod("env", shell("main", "env", env=env, envFrom=[{"prefix": "S_", "secretRef": {"name": "s"}}])))
    await pods.ended("env")

    printed = dict(line.split("=", 1) for line in process_node.logs(namespace, "env", "main").splitlines())
    own = {name: value for name, value in printed.items() if name not in ("PATH", "HOME", "TMPDIR", "PWD", "HOSTNAME")}
    assert own == {
        "PLAIN": "a",
        "BUILT": "a-$(PLAIN)-$(UNKNOWN)",
        "TOKEN": "t0ken",
        "KEY": "value",
        "POD": "env",
        "NODE": process_node.name,
        "S_token": "t0ken",
        "S_other": "o",
    }


async def test_secrets_config_maps_and_downward_api_are_files(
    process_node: ProcessNode, pods: Pods, namespace: str
) -> None:
    pods.create({"metadata": {"name": "s"}, "stringData": {"token": "t0ken"}}, "secrets")
    pods.create({"metadata": {"name": "c"}, "data": {"one": "1", "two": "2"}}, "configmaps")
    volumes: list[Object] = [
        {"name": "secret", "secret": {"secretName": "s"}},
        {"name": "config", "configMap": {"name": "c", "items": [{"key": "two", "path": "deep/two"}]}},
        {
            "name": "task",
            "downwardAPI": {
                "items": [
                    {"path": "task.json", "fieldRef": {"fieldPath": "metadata.annotations['example.com/task']"}},
                    {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
                ]
            },
        },
    ]
    mounts = [
        {"name": "secret", "mountPath": "/secret/one", "subPath": "token"},
        {"name": "config", "mountPath": "/config"},
        {"name": "task", "mountPath": "/conveyor/task"},
    ]
    body = pod(
        "files",
        shell(
            "main",
            'cat /secret/one /config/deep/two "$TASK_FILE" /conveyor/task/labels',
            env=[{"name": "TASK_FILE", "value": "/conveyor/task/task.json"}],
            volumeMounts=mounts,
        ),
        volumes=volumes,
    )
    body["metadata"] |= {"annotations": {"example.com/task": '{"title": "Привет\\n"}'}, "labels": {"a": "b"}}
    pods.create(body)
    await pods.ended("files")

    assert process_node.logs(namespace, "files", "main") == 't0ken2{"title": "Привет\\n"}a="b"'


async def test_main_container_fails_with_its_code_and_message(process_node: ProcessNode, pods: Pods) -> None:
    script = 'printf "%s" "no luck" >"$CONVEYOR_TERMINATION_FILE"; exit 42'
    env = [{"name": "CONVEYOR_TERMINATION_FILE", "value": "/dev/termination-log"}]
    pods.create(pod("fails", shell("before", "true"), shell("main", script, env=env)))
    status = await pods.ended("fails")

    end = terminated(status, "main")
    conditions = {entry["type"]: (entry["status"], entry.get("reason")) for entry in status["conditions"]}
    assert (status["phase"], end["exitCode"], end["reason"], end["message"]) == ("Failed", 42, "Error", "no luck")
    assert terminated(status, "before")["reason"] == "Completed"
    assert conditions == {
        "PodReadyToStartContainers": ("False", None),
        "PodScheduled": ("True", None),
        "Initialized": ("True", None),
        "Ready": ("False", "PodFailed"),
        "ContainersReady": ("False", "PodFailed"),
    }


async def test_init_container_fails_and_the_next_never_starts(process_node: ProcessNode, pods: Pods) -> None:
    pods.create(pod("early", shell("first", "exit 7"), shell("second", "true"), shell("main", "true")))
    status = await pods.ended("early")

    states = [entry["state"] for entry in [*status["initContainerStatuses"], *status["containerStatuses"]]]
    assert status["phase"] == "Failed"
    assert states[0]["terminated"]["exitCode"] == 7
    assert states[1:] == [{"waiting": {"reason": "PodInitializing"}}] * 2


async def test_long_termination_message_keeps_its_last_4096_bytes(process_node: ProcessNode, pods: Pods) -> None:
    script = "{ printf begin; head -c 4093 /dev/zero | tr '\\0' x; printf end; } >/dev/termination-log"
    pods.create(pod("talks", shell("main", script)))
    message = terminated(await pods.ended("talks"), "main")["message"]

    assert message == "x" * 4093 + "end"


async def test_command_that_does_not_exist_is_a_start_error(process_node: ProcessNode, pods: Pods) -> None:
    pods.create(pod("typo", {"name": "main", "image": "any", "command": ["/no/such/program"]}))
    end = terminated(await pods.ended("typo"), "main")

    assert (end["exitCode"], end["reason"]) == (128, "StartError")


async def test_unknown_image_without_command_waits(process_node: ProcessNode, pods: Pods) -> None:
    pods.create(pod("unknown", {"name": "main", "image": "example.invalid/none"}))

    def waiting(found: Object | None) -> bool:
        statuses = (found or {})["status"].get("containerStatuses") or [{"state": {}}]
        return bool(statuses[0]["state"].get("waiting", {}).get("reason") == "ErrImagePull")

    await pods.until("unknown", waiting)


async def test_known_image_runs_its_entrypoint_with_the_pods_arguments(
    kube: Kube, control_plane: ControlPlane, namespace: str, pods: Pods
) -> None:
    tool = ImageSpec(argv=("sh", "-c", 'echo "$GREETING $0"'), env={"GREETING": "hello"})
    async with ProcessNode(control_plane.kubeconfig, images={"tool:1": tool}, namespaces=[namespace]) as node:
        pods.create(pod("known", {"name": "main", "image": "tool:1", "args": ["world"]}))
        await pods.ended("known")
        assert node.logs(namespace, "known") == "==> main <==\nhello world\n"


async def test_missing_secret_is_waited_for(process_node: ProcessNode, pods: Pods) -> None:
    env = [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "late", "key": "token"}}}]
    pods.create(pod("waits", shell("main", 'test "$TOKEN" = t0ken', env=env)))
    await pods.until("waits", lambda found: "CreateContainerConfigError" in str(found))
    pods.create({"metadata": {"name": "late"}, "stringData": {"token": "t0ken"}}, "secrets")

    assert (await pods.ended("waits"))["phase"] == "Succeeded"


async def test_deleted_pod_gets_sigterm_and_is_gone_when_it_has_ended(
    process_node: ProcessNode, pods: Pods, namespace: str
) -> None:
    script = "trap 'echo stopping; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    pods.create(pod("polite", shell("main", script)))
    await until(lambda: "ready" in process_node.logs(namespace, "polite"))
    pods.delete("polite")
    await pods.until("polite", lambda found: found is None)

    assert process_node.logs(namespace, "polite", "main").split() == ["ready", "stopping"]


async def test_deleted_pod_that_ignores_sigterm_is_killed_after_its_grace(
    process_node: ProcessNode, pods: Pods, namespace: str
) -> None:
    script = "trap '' TERM; echo $$; while :; do sleep 0.05; done"
    pods.create(pod("stubborn", shell("main", script), terminationGracePeriodSeconds=1))
    pid = await until(lambda: process_node.logs(namespace, "stubborn", "main").strip())
    began = time.monotonic()
    pods.delete("stubborn")
    await pods.until("stubborn", lambda found: found is None)

    assert time.monotonic() - began >= 1
    assert not runs(pid)


def runs(pid: str) -> bool:
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())  # empty for a zombie
    except OSError:
        return False


async def test_children_of_the_first_process_end_with_it(process_node: ProcessNode, pods: Pods, namespace: str) -> None:
    pods.create(pod("parent", shell("main", "sleep 600 & echo $!")))
    await pods.ended("parent")

    child = process_node.logs(namespace, "parent", "main").strip()
    await until(lambda: not runs(child))


async def test_job_completes_when_its_pod_succeeds(
    process_node: ProcessNode, kube: Kube, namespace: str, pods: Pods
) -> None:
    assert await job_end(kube, namespace, "exit 0") == ("Complete", "CompletionsReached")


async def test_job_with_a_failure_policy_names_the_exit_code(
    process_node: ProcessNode, kube: Kube, namespace: str
) -> None:
    rule = {"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [42]}}
    end = await job_end(kube, namespace, "exit 42", podFailurePolicy={"rules": [rule]})

    assert end == ("Failed", "PodFailurePolicy")


async def test_job_past_its_deadline_fails_and_its_process_is_stopped(
    process_node: ProcessNode, kube: Kube, namespace: str
) -> None:
    end = await job_end(kube, namespace, "sleep 600", activeDeadlineSeconds=1)

    assert end == ("Failed", "DeadlineExceeded")


async def test_pod_past_its_own_deadline_is_stopped_and_says_why(process_node: ProcessNode, pods: Pods) -> None:
    late = shell("main", "trap 'echo too slow >/dev/termination-log; exit 1' TERM; sleep 600 & wait")
    pods.create(pod("late", late, activeDeadlineSeconds=1, terminationGracePeriodSeconds=5))
    status = await pods.ended("late")

    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
    assert terminated(status, "main")["message"].strip() == "too slow"


async def job_end(kube: Kube, namespace: str, script: str, **spec: Any) -> tuple[str, str]:
    """Type and reason of the condition that ends a Job of one pod."""
    template = {"spec": pod("", shell("main", script), terminationGracePeriodSeconds=1)["spec"]}
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    kube.post(path, {"metadata": {"name": "job"}, "spec": {"backoffLimit": 0, "template": template, **spec}})

    def end() -> tuple[str, str] | None:
        conditions = kube.get(f"{path}/job").get("status", {}).get("conditions", [])
        return next(((c["type"], c["reason"]) for c in conditions if c["type"] in ("Complete", "Failed")), None)

    result: tuple[str, str] = await until(end)
    return result


@pytest.mark.slow
async def test_node_goes_on_after_the_api_server_was_killed(
    process_node: ProcessNode, control_plane: ControlPlane, pods: Pods, namespace: str
) -> None:
    pods.create(pod("through", shell("main", "echo ready; sleep 1; exit 5")))
    await until(lambda: "ready" in process_node.logs(namespace, "through"))
    control_plane.kill_apiserver()
    await anyio.sleep(1.5)  # the pod ends while nobody can be told
    await anyio.to_thread.run_sync(control_plane.start_apiserver)

    assert terminated(await pods.ended("through"), "main")["exitCode"] == 5


async def test_paused_node_starts_nothing_until_it_is_resumed(
    process_node: ProcessNode, pods: Pods, namespace: str
) -> None:
    process_node.pause()
    pods.create(pod("later", shell("main", "true")))
    await anyio.sleep(0.3)
    assert pods.get("later")["spec"].get("nodeName") is None  # type: ignore[index]
    process_node.resume()

    assert (await pods.ended("later"))["phase"] == "Succeeded"
