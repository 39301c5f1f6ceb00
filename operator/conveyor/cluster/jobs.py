"""A Job and its pods, as the API server gives them, to a JobFact: pure functions.

A Job has ended when it is Complete or Failed and no pod of it is left at work. One that somebody deletes has ended all
the same if our finalizer holds it: it is kept for the very purpose of being read. Deleted before its end, it goes on
under that finalizer, but its controller stops counting (measured on 1.34: the pods run to their end, the status stays),
so its pods are asked. Where none is left, nothing is proved: it stays DELETING.

Whose doing was the end of a failed Job? Sources: kubernetes/api core/v1 and batch/v1; pkg/kubelet/eviction,
pkg/kubelet/images, pkg/kubelet/nodeshutdown.

| evidence, first match | reason | disrupted |
|---|---|---|
| pod condition DisruptionTarget (preemption, taint, drain, node pressure, node lost) | the condition's | yes |
| pod status Evicted for going beyond its own storage limits | Evicted | no |
| other pod status reasons (NodeLost, NodeShutdown, Preempting, OutOfcpu, ...) | that reason | yes |
| a container that still waits for its image or configuration | that reason | yes |
| a container ended as ContainerStatusUnknown: the node lost it | that reason | yes |
| DeadlineExceeded of the pod, or of the Job where a pod is left | DeadlineExceeded | no |
| DeadlineExceeded of the Job, whose controller has deleted the pod: it never started | DeadlineExceeded: ... | yes |
| no pod is left | PodGone | yes |
| the first container that failed, OOMKilled too | `OOMKilled: container x`, `exit 3: container x` | no |
| nothing of these | the Failed condition's | no |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from conveyor.api.annotations import LABEL_WORKITEM_UID, RESULT_FINALIZER
from conveyor.cluster.protocol import JSONObject
from conveyor.pipeline.facts import JobFact, JobState

DEADLINE = "DeadlineExceeded"
POD_GONE = "PodGone"
MAX_REASON = 250
_STARTING = frozenset({"", "ContainerCreating", "PodInitializing"})
"""Waiting reasons of a pod that is on its way."""
_NO_WORD_OF_ITS_OWN = frozenset({"ContainerStatusUnknown", "StartError", "ContainerCannotRun"})
"""Ends whose message is the node's and not the container's."""


@dataclass(frozen=True, slots=True)
class _End:
    complete: bool
    reason: str
    time: datetime | None


@dataclass(frozen=True, slots=True)
class _Cause:
    reason: str
    disrupted: bool = False


def missing_job_fact(pods: Sequence[JSONObject]) -> JobFact:
    """A Job that is not there; a pod of it may still be at work. One that has ended does nothing more."""
    return JobFact(JobState.DELETING if any(_at_work(pod) for pod in pods) else JobState.MISSING)


def job_fact(job: JSONObject, pods: Sequence[JSONObject] | None) -> JobFact:
    """`pods` are the Job's, None where they were not read: then nothing is said of message, pod and disruption."""
    metadata, spec, status = job["metadata"], job.get("spec", {}), job.get("status", {})
    pod, end = newest(pods or ()), _end(job, pods or ())
    state, cause = _state(job, end), _Cause("")
    if state == JobState.ACTIVE:
        cause = _Cause(_waiting(job, pod))
    elif state == JobState.ENDED and end is not None and not end.complete:
        cause = _Cause(end.reason) if pods is None else _cause(end.reason, pod)
    return JobFact(
        state=state,
        uid=metadata["uid"],
        item_uid=str((metadata.get("labels") or {}).get(LABEL_WORKITEM_UID, "")),
        complete=end is not None and end.complete,
        reason=cause.reason[:MAX_REASON],
        message=_message(spec, pod) if state == JobState.ENDED else None,
        disrupted=cause.disrupted,
        finished=end.time if end is not None else None,
        pod_gone=state == JobState.ENDED and pods is not None and end is not None and end.complete and _is_mute(pods),
        suspended=_suspended(job),
        unstarted="startTime" not in status,
        pods_at_work=any(_at_work(each) for each in pods or ()),
        has_ttl="ttlSecondsAfterFinished" in spec,
        has_finalizer=_held(job),
    )


def newest(pods: Sequence[JSONObject]) -> JSONObject | None:
    """The youngest pod; with backoffLimit 0 there is one, or a second after the first was disrupted."""
    return max(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")), default=None)


# --- state


def _end(job: JSONObject, pods: Sequence[JSONObject]) -> _End | None:
    status = job.get("status", {})
    for kind in ("Complete", "Failed"):
        condition = _condition(status, kind)
        if condition is not None:
            time = _time(condition.get("lastTransitionTime"))
            return _End(kind == "Complete", str(condition.get("reason") or ""), time)
    pod = newest(pods)
    if pod is not None and _deleted(job) and _held(job) and not any(_at_work(each) for each in pods):
        return _End(pod["status"]["phase"] == "Succeeded", "", None)
    return None


def _state(job: JSONObject, end: _End | None) -> JobState:
    status = job.get("status", {})
    ended = end is not None and not status.get("active") and not status.get("terminating")
    if _deleted(job) and not (ended and _held(job)):
        return JobState.DELETING
    return JobState.ENDED if ended else JobState.ACTIVE


def _suspended(job: JSONObject) -> bool:
    """By its spec: the condition of that name follows a moment later."""
    return job.get("spec", {}).get("suspend") is True


def _deleted(job: JSONObject) -> bool:
    return bool(job["metadata"].get("deletionTimestamp"))


def _held(job: JSONObject) -> bool:
    return RESULT_FINALIZER in (job["metadata"].get("finalizers") or [])


def _at_work(pod: JSONObject) -> bool:
    return pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")


# --- an end


def _cause(failed: str, pod: JSONObject | None) -> _Cause:
    """The table above, from top to bottom."""
    if pod is not None:
        disruption = _disruption(pod)
        if disruption is not None:
            return disruption
    if pod is None and failed == DEADLINE:
        return _Cause(f"{DEADLINE}: its pod did not end by itself, nor say a word", disrupted=True)
    if DEADLINE in (failed, (pod or {}).get("status", {}).get("reason")):
        return _Cause(DEADLINE)
    if pod is None:
        return _Cause(POD_GONE, disrupted=True)
    return _Cause(_failed_container(pod) or failed)


def _disruption(pod: JSONObject) -> _Cause | None:
    status = pod.get("status", {})
    target = _condition(status, "DisruptionTarget")
    if target is not None:
        return _Cause(str(target.get("reason") or "DisruptionTarget"), disrupted=True)
    reason = str(status.get("reason") or "")
    if reason and reason != DEADLINE:
        return _Cause(reason, disrupted=not _beyond_own_limits(reason, str(status.get("message") or "")))
    for name, state in _container_states(pod):
        waiting, terminated = state.get("waiting"), state.get("terminated")
        if waiting and str(waiting.get("reason") or "") not in _STARTING:
            return _Cause(_detailed(waiting), disrupted=True)
        if terminated and terminated.get("reason") == "ContainerStatusUnknown":
            return _Cause(f"ContainerStatusUnknown: container {name}", disrupted=True)
    return None


def _beyond_own_limits(reason: str, message: str) -> bool:
    """Node pressure sets DisruptionTarget; Evicted without it means the pod's own emptyDir or ephemeral storage."""
    return reason == "Evicted" and "limit" in message


def _failed_container(pod: JSONObject) -> str:
    for name, state in _container_states(pod):
        terminated = state.get("terminated")
        if terminated and terminated.get("exitCode"):
            reason = str(terminated.get("reason") or "Error")
            what = f"exit {terminated['exitCode']}" if reason == "Error" else reason
            return f"{what}: container {name}"
    return ""


def _message(job_spec: JSONObject, pod: JSONObject | None) -> str | None:
    """What the main container left: the last one of the Job's own template, since others may put sidecars into pods."""
    containers = job_spec.get("template", {}).get("spec", {}).get("containers") or []
    if pod is None or not containers:
        return None
    state = dict(_container_states(pod)).get(containers[-1]["name"], {})
    terminated = state.get("terminated") or {}
    if terminated.get("reason") in _NO_WORD_OF_ITS_OWN:
        return None
    return terminated.get("message") or None


# --- waiting


def _waiting(job: JSONObject, pod: JSONObject | None) -> str:
    """What keeps the pod from working, "" where nothing does."""
    ending = _condition(job.get("status", {}), "FailureTarget")
    if ending is not None:
        return str(ending.get("reason") or "")
    if _suspended(job):
        return "Suspended"
    if pod is None or not _at_work(pod):
        return ""
    unscheduled = _condition(pod.get("status", {}), "PodScheduled", value="False")
    if unscheduled is not None:
        return _detailed(unscheduled)
    for _, state in _container_states(pod):
        waiting = state.get("waiting") or {}
        if str(waiting.get("reason") or "") not in _STARTING:
            return _detailed(waiting)
    return ""


# --- reading


def _container_states(pod: JSONObject) -> Iterator[tuple[str, JSONObject]]:
    """In the order in which they run: init containers first."""
    status = pod.get("status", {})
    for entry in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        yield entry["name"], entry.get("state") or {}


def _is_mute(pods: Sequence[JSONObject]) -> bool:
    """Whether none is left of the pods that did the work: its node was removed, or PodGC took it."""
    return not any(pod.get("status", {}).get("phase") == "Succeeded" for pod in pods)


def _condition(status: JSONObject, kind: str, *, value: str = "True") -> JSONObject | None:
    for condition in status.get("conditions") or []:
        if condition.get("type") == kind and condition.get("status") == value:
            found: JSONObject = condition
            return found
    return None


def _detailed(entry: JSONObject) -> str:
    reason, message = str(entry.get("reason") or ""), str(entry.get("message") or "")
    return f"{reason}: {message}" if message else reason


def _time(value: Any) -> datetime | None:  # noqa: ANN401 any JSON value
    return datetime.fromisoformat(value) if isinstance(value, str) else None
