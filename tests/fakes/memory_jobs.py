"""Statuses of Jobs and pods as the Job controller and a kubelet write them (measured on Kubernetes 1.34)."""

from datetime import datetime
from typing import Any

from conveyor.api.fields import rfc3339

Object = dict[str, Any]


def running_pod(job: Object) -> Object:
    return _pod(job, "Running", {name: {"running": {}} for name in _names(job)})


def waiting_pod(job: Object, *, reason: str, message: str) -> Object:
    """Its first container cannot start."""
    first, *_ = _names(job)
    return _pod(job, "Pending", {first: {"waiting": {"reason": reason, "message": message}}})


def ended_pod(job: Object, *, message: str, exit_code: int, container: str | None, now: datetime) -> Object:
    """Containers in order up to the first that fails; `container` (default: the main one) has the exit code."""
    names, states = _names(job), {}
    failing = container or names[-1]
    for name in names:
        code = exit_code if name == failing else 0
        terminated = {"exitCode": code, "reason": "Error" if code else "Completed", "finishedAt": rfc3339(now)}
        states[name] = {"terminated": terminated | ({"message": message} if name == names[-1] and message else {})}
        if code:
            break
    return _pod(job, "Failed" if exit_code else "Succeeded", states)


def disrupted_pod(job: Object, *, reason: str) -> Object:
    """Taken away by a drain, a preemption, a lost node."""
    pod = _pod(job, "Failed", {})
    pod["status"]["conditions"] = [{"type": "DisruptionTarget", "status": "True", "reason": reason}]
    return pod


def ended_status(*, exit_code: int, now: datetime) -> Object:
    if exit_code:
        return failed_status("BackoffLimitExceeded", now=now)
    return {"succeeded": 1, "active": None, "completionTime": rfc3339(now), "conditions": [_condition("Complete", now)]}


def failed_status(reason: str, *, now: datetime) -> Object:
    return {"failed": 1, "active": None, "conditions": [_condition("Failed", now) | {"reason": reason}]}


def _names(job: Object) -> list[str]:
    """Of all containers, in the order in which they run."""
    spec = job["spec"]["template"]["spec"]
    return [entry["name"] for entry in [*spec.get("initContainers", []), *spec["containers"]]]


def _pod(job: Object, phase: str, states: dict[str, Object]) -> Object:
    statuses = [{"name": name, "state": state} for name, state in states.items()]
    metadata = {"name": f"{job['metadata']['name']}-pod", "namespace": job["metadata"]["namespace"]}
    return {"metadata": metadata, "status": {"phase": phase, "containerStatuses": statuses}}


def _condition(kind: str, now: datetime) -> Object:
    return {"type": kind, "status": "True", "lastTransitionTime": rfc3339(now)}
