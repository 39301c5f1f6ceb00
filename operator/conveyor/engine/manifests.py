"""The Jobs: a run is clone, agent, publish in one pod; an effect is the Repository's own template with our variables.

The agent shares nothing with the trusted steps but the workspace and the directory of its answer. Source:
kubernetes/api batch/v1 for what a Job's controller reads.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from conveyor.api import annotations as names
from conveyor.api.objects import API_VERSION, Repository, WorkItem
from conveyor.api.repository import Agent
from conveyor.api.workitem import ActiveRun, Effect, Transition
from conveyor.cluster.protocol import JSONObject
from conveyor.engine.templates import pod_template
from conveyor.pipeline.job_gates import built_image
from conveyor.pipeline.job_kinds import JOB_KINDS, OVERTIME_SECONDS

RUN_TOKEN_ANNOTATION = f"{names.GROUP}/run-token"
TERMINATION_FILE = "/dev/termination-log"
USER = 10001
STORAGE = "ephemeral-storage"
TREE_SIZE = "8Gi"
"""Room for the tree and what a build leaves in it; an agent's own limit of ephemeral storage replaces it."""
RESOURCES: JSONObject = {
    "requests": {"cpu": "100m", "memory": "256Mi", STORAGE: "1Gi"},
    "limits": {"memory": "1Gi", STORAGE: TREE_SIZE},
}
ROOM: Mapping[str, str] = {"state": "4Gi", "tmp": "4Gi", "answer": "64Mi", "task": "16Mi"}
"""Of the other volumes: our copy of the repository, our steps' scratch space, an answer, a task (64 KiB at most)."""
_WORKSPACE, _STATE, _ANSWER = "/conveyor/workspace", "/conveyor/state", "/conveyor/answer"
_TASK, _TASK_SOURCE, _TOKENS, _RUN = "/conveyor/task", "/conveyor/task-source", "/conveyor/forge", "/conveyor/run"


@dataclass(frozen=True, slots=True)
class RunPlan:
    """All that a run's Job is made of. `token_key` is the key in the agents' Secret that holds this role's token."""

    item: WorkItem
    repository: Repository
    run: ActiveRun
    agent: Agent
    task: str
    token_key: str
    tools_image: str


def run_job(plan: RunPlan) -> JSONObject:
    """Raises Refused where the agent's podTemplate cannot be built on."""
    item, run = plan.item, plan.run
    labels = _labels(item, plan.repository) | {names.LABEL_STAGE: run.stage.value, names.LABEL_ROLE: run.role.value}
    labels |= {names.LABEL_ATTEMPT: str(run.attempt)}
    if plan.repository.spec.queue_name:
        labels["kueue.x-k8s.io/queue-name"] = plan.repository.spec.queue_name
    under = pod_template(plan.agent.pod_template, f"podTemplate of the agent {run.role.value}")
    template = _merged(under, {"metadata": {"labels": labels}, "spec": _run_pod(plan)})
    template["metadata"]["annotations"] = {
        **template["metadata"].get("annotations", {}),
        names.TASK_ANNOTATION: plan.task,
        RUN_TOKEN_ANNOTATION: run.token,
    }
    metadata = _metadata(run.name, item, labels) | {"ownerReferences": [_owner(item)]}
    return _job(metadata, template, seconds=plan.agent.timeout_seconds)


def effect_job(item: WorkItem, repository: Repository, transition: Transition) -> JSONObject:
    """No owner reference: a deleted item must not kill a deploy half way. The finalizer goes after the result.

    Suspended, so that one created late, by a request that travelled or whose sender slept, does nothing.

    Raises Refused where the template cannot be built on.
    """
    if transition.job is None:
        raise ValueError(f"transition {transition.id} names no Job")
    kind = JOB_KINDS[transition.effect]
    labels = _labels(item, repository) | {names.LABEL_EFFECT: transition.effect.value}
    pod = pod_template(kind.template(repository.spec), f"the template of {transition.effect.value}")
    pod.setdefault("metadata", {}).setdefault("labels", {}).update(labels)
    spec = pod.setdefault("spec", {})
    spec["restartPolicy"] = "Never"
    spec.setdefault("securityContext", _pod_security())
    for container in [*spec.get("initContainers", []), *spec.get("containers", [])]:
        _add_env(container, _effect_env(item, repository, transition))
        container["terminationMessagePath"] = TERMINATION_FILE
    metadata = _metadata(transition.job.name, item, labels) | {"finalizers": [names.RESULT_FINALIZER]}
    job = _job(metadata, pod, seconds=kind.seconds(repository.spec))
    return job | {"spec": job["spec"] | {"suspend": True}}


def _effect_env(item: WorkItem, repository: Repository, transition: Transition) -> dict[str, str]:
    building = transition.effect == Effect.IMAGE
    return {
        "CONVEYOR_SHA": transition.precondition.head_sha,
        "CONVEYOR_IMAGE": repository.spec.gates.image.repository if building else built_image(item.status),
        "CONVEYOR_PREVIOUS_IMAGE": transition.previous_image,
        "CONVEYOR_TRANSITION_ID": transition.id,
        "CONVEYOR_WORKITEM": item.name,
        "CONVEYOR_TERMINATION_FILE": TERMINATION_FILE,
    }


def _job(metadata: JSONObject, template: JSONObject, *, seconds: int) -> JSONObject:
    """The time limit is the pod's: at a Job's own its pods are deleted, and with them what they could have said.

    The Job's is for a pod that never starts. A shorter limit of the template's own stands.
    """
    own = template["spec"].get("activeDeadlineSeconds")
    template["spec"]["activeDeadlineSeconds"] = min(own, seconds) if isinstance(own, int) else seconds
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {"backoffLimit": 0, "activeDeadlineSeconds": seconds + OVERTIME_SECONDS, "template": template},
    }


def _metadata(name: str, item: WorkItem, labels: Mapping[str, str]) -> JSONObject:
    return {"name": name, "namespace": item.metadata.namespace, "labels": dict(labels)}


def _labels(item: WorkItem, repository: Repository) -> dict[str, str]:
    return {
        "app.kubernetes.io/managed-by": "conveyor",
        names.LABEL_WORKITEM: item.name,
        names.LABEL_WORKITEM_UID: item.metadata.uid,
        names.LABEL_REPOSITORY: repository.name,
    }


def _owner(item: WorkItem) -> JSONObject:
    return {
        "apiVersion": API_VERSION,
        "kind": "WorkItem",
        "name": item.name,
        "uid": item.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


# --- the run's pod


def _run_pod(plan: RunPlan) -> JSONObject:
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        # One process must not see another container's: its environment and files hold the forge token.
        "shareProcessNamespace": False,
        "hostPID": False,
        "enableServiceLinks": False,
        "securityContext": _pod_security(),
        "initContainers": [_clone(plan), _agent(plan)],
        "containers": [_publish(plan)],
        "volumes": _volumes(plan),
    }


def _clone(plan: RunPlan) -> JSONObject:
    env = _common_env(plan) | _trusted_env(plan) | {"CONVEYOR_TASK_FILE": f"{_TASK}/task.json"}
    mounts = {"workspace": _WORKSPACE, "state": _STATE, "task": _TASK, "task-source": _TASK_SOURCE, "forge": _TOKENS}
    return _tools_container("clone", plan, env, mounts)


def _publish(plan: RunPlan) -> JSONObject:
    env = _common_env(plan) | _trusted_env(plan)
    env |= {
        "CONVEYOR_ANSWER_FILE": f"{_ANSWER}/answer.json",
        "CONVEYOR_TERMINATION_FILE": TERMINATION_FILE,
        "CONVEYOR_RUN_TOKEN_FILE": f"{_RUN}/token",
    }
    mounts = {"workspace": _WORKSPACE, "state": _STATE, "answer": _ANSWER, "task-source": _TASK_SOURCE}
    container = _tools_container("publish", plan, env, mounts | {"forge": _TOKENS, "run": _RUN})
    return container | {"terminationMessagePath": TERMINATION_FILE, "terminationMessagePolicy": "File"}


def _tools_container(name: str, plan: RunPlan, env: Mapping[str, str], mounts: Mapping[str, str]) -> JSONObject:
    return {
        "name": name,
        "image": plan.tools_image,
        "command": ["conveyor-agent", name],
        "env": _env(env),
        "volumeMounts": _mounts({**mounts, "tmp": "/tmp"}),  # noqa: S108 - an emptyDir of the pod's own
        "resources": RESOURCES,
        "securityContext": {**_container_security(), "readOnlyRootFilesystem": True},
    }


def _agent(plan: RunPlan) -> JSONObject:
    """The user's image. Our variables come last, so that no setting of the Repository replaces one."""
    own = _common_env(plan) | {
        "CONVEYOR_TASK_FILE": f"{_TASK}/task.json",
        "CONVEYOR_ANSWER_FILE": f"{_ANSWER}/answer.json",
    }
    given = [entry for entry in plan.agent.env if not str(entry.get("name", "")).startswith("CONVEYOR_")]
    container: JSONObject = {
        "name": "agent",
        "image": plan.agent.image,
        "workingDir": _WORKSPACE,
        "env": [*given, *_env(own)],
        "envFrom": list(plan.agent.env_from),
        "volumeMounts": _mounts({"workspace": _WORKSPACE, "answer": _ANSWER, "task": _TASK}),
        "resources": _agent_resources(plan.agent),
        "securityContext": _container_security(),
    }
    if plan.agent.command:
        container["command"] = list(plan.agent.command)
    if plan.agent.args:
        container["args"] = list(plan.agent.args)
    return container


def _agent_resources(agent: Agent) -> JSONObject:
    """What it asks for, with limits of its storage where it names none: a node's disk is everybody's."""
    if not agent.resources:
        return RESOURCES
    given: JSONObject = copy.deepcopy(agent.resources)
    if not any(STORAGE in (given.get(part) or {}) for part in ("requests", "limits")):
        for part in ("requests", "limits"):
            given[part] = (given.get(part) or {}) | {STORAGE: RESOURCES[part][STORAGE]}
    return given


def _common_env(plan: RunPlan) -> dict[str, str]:
    return {
        "CONVEYOR_WORKSPACE": _WORKSPACE,
        "CONVEYOR_ROLE": plan.run.role.value,
        "CONVEYOR_STAGE": plan.run.stage.value,
        "CONVEYOR_WORKITEM": plan.item.name,
        "CONVEYOR_ATTEMPT": str(plan.run.attempt),
    }


def _trusted_env(plan: RunPlan) -> dict[str, str]:
    forge = plan.repository.spec.forge
    return {
        "CONVEYOR_TASK_SOURCE_FILE": f"{_TASK_SOURCE}/task.json",
        "CONVEYOR_STATE_DIR": _STATE,
        "CONVEYOR_FORGE_URL": forge.url,
        "CONVEYOR_FORGE_REPOSITORY": f"{forge.owner}/{forge.name}",
        "CONVEYOR_FORGE_TOKEN_FILE": f"{_TOKENS}/token",
        "CONVEYOR_RUN": plan.run.name,
        "CONVEYOR_WORKITEM_UID": plan.item.metadata.uid,
    }


def _volumes(plan: RunPlan) -> list[JSONObject]:
    credentials = plan.repository.spec.agent_credentials_secret_ref or plan.repository.spec.forge.credentials_secret_ref
    room = {"workspace": (_agent_resources(plan.agent).get("limits") or {}).get(STORAGE, TREE_SIZE), **ROOM}
    return [
        *({"name": name, "emptyDir": {"sizeLimit": size}} for name, size in room.items()),
        _annotation_volume("task-source", names.TASK_ANNOTATION, "task.json"),
        _annotation_volume("run", RUN_TOKEN_ANNOTATION, "token"),
        {
            "name": "forge",
            "secret": {"secretName": credentials.name, "items": [{"key": plan.token_key, "path": "token"}]},
        },
    ]


def _annotation_volume(name: str, annotation: str, path: str) -> JSONObject:
    item = {"path": path, "fieldRef": {"fieldPath": f"metadata.annotations['{annotation}']"}}
    return {"name": name, "downwardAPI": {"items": [item]}}


def _pod_security() -> JSONObject:
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _container_security() -> JSONObject:
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def _env(values: Mapping[str, str]) -> list[JSONObject]:
    return [{"name": name, "value": value} for name, value in values.items()]


def _add_env(container: JSONObject, values: Mapping[str, str]) -> None:
    given = [entry for entry in container.get("env", []) if entry.get("name") not in values]
    container["env"] = [*given, *_env(values)]


def _mounts(mounts: Mapping[str, str]) -> list[JSONObject]:
    return [{"name": name, "mountPath": path} for name, path in mounts.items()]


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Objects merged, everything else as `over` has it; volumes and containers of both are kept."""
    result = copy.deepcopy(dict(under))
    for key, value in over.items():
        old = result.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            result[key] = _merged(old, value)
        elif key in ("volumes", "imagePullSecrets", "tolerations") and isinstance(old, list):
            result[key] = [*value, *old]
        else:
            result[key] = copy.deepcopy(value)
    return result
