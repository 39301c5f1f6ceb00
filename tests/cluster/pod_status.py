"""A pod's status as a kubelet derives it from the states of its containers.

Follows `pkg/kubelet/kubelet_pods.go` (phase) and `pkg/kubelet/status/generate.go` (conditions) of Kubernetes 1.34 for
`restartPolicy: Never`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.cluster.pod_inputs import ADDRESS, containers

Object = dict[str, Any]
MAX_MESSAGE = 4096  # MaxContainerTerminationMessageLength, pkg/kubelet/container/runtime.go
MAX_MESSAGES = 3 * MAX_MESSAGE  # MaxPodTerminationMessageLogLength, shared by the containers of a pod
TERMINAL = ("Succeeded", "Failed")


@dataclass(frozen=True)
class Waiting:
    reason: str
    message: str = ""


@dataclass(frozen=True)
class Running:
    container_id: str
    started: datetime


@dataclass(frozen=True)
class Terminated:
    exit_code: int
    reason: str
    started: datetime
    finished: datetime
    message: str = ""
    container_id: str = ""


State = Waiting | Running | Terminated


def timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def initial_states(pod: Object) -> dict[str, State]:
    reason = "PodInitializing" if pod["spec"].get("initContainers") else "ContainerCreating"
    return {container["name"]: Waiting(reason) for container in containers(pod["spec"])}


def phase(pod: Object, states: Mapping[str, State]) -> str:
    spec = pod["spec"]
    if any(_failed(states[container["name"]]) for container in spec.get("initContainers", [])):
        return "Failed"
    main = [states[container["name"]] for container in spec["containers"]]
    if all(isinstance(state, Terminated) for state in main):
        return "Failed" if any(map(_failed, main)) else "Succeeded"
    return "Pending" if all(isinstance(state, Waiting) for state in main) else "Running"


def pod_status(pod: Object, states: Mapping[str, State], *, started: datetime, now: datetime) -> Object:
    """The content of a strategic merge patch of `status`. Conditions in `pod` that stay as they are keep their time."""
    spec = pod["spec"]
    init, main = spec.get("initContainers", []), spec["containers"]
    share = MAX_MESSAGES // (len(init) + len(main))
    status = {
        "phase": phase(pod, states),
        "conditions": _conditions(pod, states, now),
        "startTime": timestamp(started),
        "hostIP": ADDRESS,
        "hostIPs": [{"ip": ADDRESS}],
        "podIP": ADDRESS,
        "podIPs": [{"ip": ADDRESS}],
        "containerStatuses": [_container_status(entry, states[entry["name"]], share=share) for entry in main],
    }
    if init:
        status["initContainerStatuses"] = [
            _container_status(entry, states[entry["name"]], share=share, init=True) for entry in init
        ]
    return status


def _failed(state: State) -> bool:
    return isinstance(state, Terminated) and state.exit_code != 0


def _container_status(container: Object, state: State, *, share: int, init: bool = False) -> Object:
    ready = isinstance(state, Terminated) and state.exit_code == 0 if init else isinstance(state, Running)
    status = {
        "name": container["name"],
        "image": container.get("image", ""),
        "imageID": "",
        "restartCount": 0,
        "ready": ready,
        "started": isinstance(state, Running),
        "state": _state(state, share),
    }
    if not isinstance(state, Waiting) and state.container_id:
        status["containerID"] = state.container_id
    return status


def _state(state: State, share: int) -> Object:
    match state:
        case Waiting():
            return {"waiting": _filled(reason=state.reason, message=state.message)}
        case Running():
            return {"running": {"startedAt": timestamp(state.started)}}
        case Terminated():
            return {
                "terminated": {
                    "exitCode": state.exit_code,
                    "startedAt": timestamp(state.started),
                    "finishedAt": timestamp(state.finished),
                    # cut a second time, from the other end: normalizeStatus, pkg/kubelet/status/status_manager.go
                    **_filled(reason=state.reason, message=state.message.encode()[:share].decode(errors="ignore")),
                    **_filled(containerID=state.container_id),
                }
            }


def _filled(**values: str) -> dict[str, str]:
    return {key: value for key, value in values.items() if value}


def _conditions(pod: Object, states: Mapping[str, State], now: datetime) -> list[Object]:
    spec, ended = pod["spec"], phase(pod, states)
    incomplete = _names(spec.get("initContainers", []), states, _succeeded)
    unready = _names(spec["containers"], states, lambda state: isinstance(state, Running))
    any_started = any(not isinstance(states[entry["name"]], Waiting) for entry in spec["containers"])
    if ended in TERMINAL:
        ready = ("False", f"Pod{'Completed' if ended == 'Succeeded' else 'Failed'}", "")
    elif unready:
        ready = ("False", "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]")
    else:
        ready = ("True", "", "")
    if incomplete and not any_started:
        message = f"containers with incomplete status: [{' '.join(incomplete)}]"
        initialized = ("False", "ContainersNotInitialized", message)
    else:
        initialized = ("True", "PodCompleted" if ended == "Succeeded" else "", "")
    sandbox = ended not in TERMINAL and any(not isinstance(state, Waiting) for state in states.values())
    wanted = {
        "PodReadyToStartContainers": ("True" if sandbox else "False", "", ""),
        "Initialized": initialized,
        "Ready": ready,
        "ContainersReady": ready,
        "PodScheduled": ("True", "", ""),
    }
    before = {condition["type"]: condition for condition in pod.get("status", {}).get("conditions", [])}
    return [_condition(kind, value, before.get(kind), now) for kind, value in wanted.items()]


def _names(entries: list[Object], states: Mapping[str, State], good: Callable[[State], bool]) -> list[str]:
    return [entry["name"] for entry in entries if not good(states[entry["name"]])]


def _succeeded(state: State) -> bool:
    return isinstance(state, Terminated) and state.exit_code == 0


def _condition(kind: str, value: tuple[str, str, str], before: Object | None, now: datetime) -> Object:
    status, reason, message = value
    unchanged = before is not None and before["status"] == status and before.get("lastTransitionTime")
    return {
        "type": kind,
        "status": status,
        "reason": reason or None,  # null takes the old one away
        "message": message or None,
        "lastTransitionTime": unchanged or timestamp(now),
    }
