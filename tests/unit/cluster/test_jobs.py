"""A Job and its pods become one fact: whether it ended, what it left, and whose doing a failure was."""

from datetime import UTC, datetime
from typing import Any

import pytest

from conveyor.cluster.jobs import job_fact, missing_job_fact
from conveyor.pipeline.facts import JobFact, JobState

Object = dict[str, Any]

AT = "2026-11-21T06:30:00Z"
COMPLETE: Object = {"conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": AT}]}


def failed(reason: str = "BackoffLimitExceeded") -> Object:
    return {"conditions": [{"type": "Failed", "status": "True", "reason": reason, "lastTransitionTime": AT}]}


def job(status: Object, **metadata: Any) -> Object:
    containers = [{"name": "helper"}, {"name": "publish"}]
    labels = {"conveyor.dev/workitem-uid": "item-uid"}
    return {
        "metadata": {"name": "run", "uid": "job-uid", "labels": labels} | metadata,
        "spec": {"template": {"spec": {"containers": containers}}},
        "status": status,
    }


def pod(*, phase: str = "Failed", init: Object | None = None, main: Object | None = None, **status: Any) -> Object:
    return {
        "metadata": {"name": "run-x", "creationTimestamp": AT},
        "status": {
            "phase": phase,
            "initContainerStatuses": [{"name": name, "state": state} for name, state in (init or {}).items()],
            "containerStatuses": [{"name": name, "state": state} for name, state in (main or {}).items()],
        }
        | status,
    }


def exited(code: int, reason: str = "Error", message: str = "") -> Object:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


def waits(reason: str, message: str = "") -> Object:
    return {"waiting": {"reason": reason, "message": message}}


STATES = [
    ("a new Job", {}, {}, JobState.ACTIVE),
    ("a running Job", {"active": 1}, {}, JobState.ACTIVE),
    ("a Job that failed while a pod of it is still ending", failed() | {"terminating": 1}, {}, JobState.ACTIVE),
    ("a complete Job that counts an active pod", COMPLETE | {"active": 1}, {}, JobState.ACTIVE),
    ("a complete Job", COMPLETE, {}, JobState.ENDED),
    ("a failed Job", failed(), {}, JobState.ENDED),
    ("a running Job being deleted", {"active": 1}, {"deletionTimestamp": AT}, JobState.DELETING),
    ("a complete Job being deleted", COMPLETE, {"deletionTimestamp": AT}, JobState.DELETING),
    (
        "a complete Job being deleted, held by our finalizer",
        COMPLETE,
        {"deletionTimestamp": AT, "finalizers": ["conveyor.dev/result"]},
        JobState.ENDED,
    ),
    (
        "a running Job being deleted, held by our finalizer",
        {"active": 1},
        {"deletionTimestamp": AT, "finalizers": ["conveyor.dev/result"]},
        JobState.DELETING,
    ),
    (
        "a complete Job being deleted, held by another finalizer",
        COMPLETE,
        {"deletionTimestamp": AT, "finalizers": ["foregroundDeletion"]},
        JobState.DELETING,
    ),
]


@pytest.mark.parametrize(("status", "metadata", "state"), [row[1:] for row in STATES], ids=[row[0] for row in STATES])
def test_state_of_a_job(status: Object, metadata: Object, state: JobState) -> None:
    assert job_fact(job(status, **metadata), []).state == state


HELD: Object = {"deletionTimestamp": AT, "finalizers": ["conveyor.dev/result"]}


def test_job_deleted_before_its_end_ends_with_its_pod_under_our_finalizer() -> None:
    done = pod(phase="Succeeded", main={"publish": exited(0, "Completed", '{"verdict": "pass"}')})
    fact = job_fact(job({}, **HELD), [done])
    assert (fact.state, fact.complete, fact.message) == (JobState.ENDED, True, '{"verdict": "pass"}')


def test_job_deleted_before_its_end_fails_with_its_pod_under_our_finalizer() -> None:
    fact = job_fact(job({}, **HELD), [pod(main={"publish": exited(1)})])
    assert (fact.state, fact.complete, fact.reason) == (JobState.ENDED, False, "exit 1: container publish")


@pytest.mark.parametrize(
    "pods",
    [[], None, [pod(phase="Running")], [pod(phase="Succeeded"), pod(phase="Running")]],
    ids=["no pod is left", "pods were not read", "its pod is at work", "one of its pods is at work"],
)
def test_job_deleted_before_its_end_proves_nothing_without_ended_pods(pods: list[Object] | None) -> None:
    assert job_fact(job({}, **HELD), pods).state == JobState.DELETING


@pytest.mark.parametrize(
    ("pods", "at_work"),
    [([], False), ([pod(phase="Succeeded")], False), ([pod(phase="Failed"), pod(phase="Running")], True)],
    ids=["none is left", "it has ended", "one of them has not"],
)
def test_fact_says_whether_a_pod_is_at_work(pods: list[Object], at_work: bool) -> None:
    assert job_fact(job({}, deletionTimestamp=AT), pods).pods_at_work is at_work


def test_job_deleted_before_its_end_is_being_deleted_without_our_finalizer() -> None:
    assert job_fact(job({}, deletionTimestamp=AT), [pod(phase="Succeeded")]).state == JobState.DELETING


@pytest.mark.parametrize(
    ("pods", "state"),
    [
        pytest.param([], JobState.MISSING, id="no pod is left"),
        pytest.param([pod(phase="Running")], JobState.DELETING, id="a pod is at work"),
        pytest.param([pod(phase="Unknown")], JobState.DELETING, id="a pod's node is lost"),
        pytest.param([pod(phase="Failed"), pod(phase="Succeeded")], JobState.MISSING, id="orphans that ended"),
    ],
)
def test_job_that_is_not_there_is_missing_once_its_pods_are_not_at_work(pods: list[Object], state: JobState) -> None:
    assert missing_job_fact(pods) == JobFact(state)


TARGET = [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}]
OWN_DISK = 'Usage of EmptyDir volume "workspace" exceeds the limit "1Gi". '
LATE = "DeadlineExceeded"
ENDS = [
    ("drained", failed(), [pod(conditions=TARGET)], "EvictionByEvictionAPI", True),
    ("drained, whatever its containers say", failed(), [pod(conditions=TARGET, main={"publish": exited(137)})],
     "EvictionByEvictionAPI", True),
    ("a pod that is gone", failed(), [], "PodGone", True),
    ("a pod whose node is lost", failed(), [pod(reason="NodeLost")], "NodeLost", True),
    ("refused by a node that shuts down", failed(), [pod(reason="NodeShutdown")], "NodeShutdown", True),
    ("refused by a full node", failed(), [pod(reason="OutOfcpu")], "OutOfcpu", True),
    ("evicted for its own disk usage", failed(), [pod(reason="Evicted", message=OWN_DISK)], "Evicted", False),
    ("evicted under node pressure", failed(), [pod(reason="Evicted", message="The node was low on resource: memory. ",
     conditions=TARGET)], "EvictionByEvictionAPI", True),
    ("still without its image at the deadline", failed(LATE), [pod(reason=LATE, main={"publish": waits("ErrImagePull",
     "not found")})], "ErrImagePull: not found", True),
    ("an impossible image name", failed(), [pod(init={"agent": waits("InvalidImageName")})], "InvalidImageName", True),
    ("a Secret that is missing", failed(LATE), [pod(main={"publish": waits("CreateContainerConfigError")})],
     "CreateContainerConfigError", True),
    ("lost by its node", failed(), [pod(main={"publish": exited(137, "ContainerStatusUnknown")})],
     "ContainerStatusUnknown: container publish", True),
    ("never started, its pod deleted by the Job's controller", failed(LATE), [],
     "DeadlineExceeded: its pod did not end by itself, nor say a word", True),
    ("too slow, ended by the kubelet", failed(), [pod(reason=LATE, main={"publish": exited(137)})], LATE, False),
    ("out of memory", failed(), [pod(init={"agent": exited(137, "OOMKilled")}, main={"publish":
     waits("PodInitializing")})], "OOMKilled: container agent", False),
    ("an init container's exit code", failed(), [pod(init={"clone": exited(0, "Completed"), "agent": exited(3)},
     main={"publish": waits("PodInitializing")})], "exit 3: container agent", False),
    ("the main container's exit", failed(), [pod(main={"publish": exited(1)})], "exit 1: container publish", False),
    ("nothing that tells", failed(), [pod()], "BackoffLimitExceeded", False),
]  # fmt: skip


@pytest.mark.parametrize(("status", "pods", "reason", "disrupted"), [r[1:] for r in ENDS], ids=[r[0] for r in ENDS])
def test_cause_of_a_failure(status: Object, pods: list[Object], reason: str, disrupted: bool) -> None:
    fact = job_fact(job(status), pods)
    assert (fact.complete, fact.reason, fact.disrupted) == (False, reason, disrupted)


WAITS = [
    ("unschedulable", pod(phase="Pending", conditions=[{"type": "PodScheduled", "status": "False",
     "reason": "Unschedulable", "message": "0/3 nodes are available"}]), "Unschedulable: 0/3 nodes are available"),
    ("without its image", pod(phase="Pending", init={"clone": waits("ImagePullBackOff", "Back-off")}),
     "ImagePullBackOff: Back-off"),
    ("being started", pod(phase="Pending", main={"publish": waits("ContainerCreating")}), ""),
    ("at work", pod(phase="Running", main={"publish": {"running": {}}}), ""),
]  # fmt: skip


@pytest.mark.parametrize(("waiting", "reason"), [row[1:] for row in WAITS], ids=[row[0] for row in WAITS])
def test_reason_of_an_active_job_is_what_its_pod_waits_for(waiting: Object, reason: str) -> None:
    assert job_fact(job({"active": 1}), [waiting]).reason == reason


@pytest.mark.parametrize(("status", "unstarted"), [({}, True), ({"startTime": AT}, False)], ids=["before", "after"])
def test_job_suspended_before_or_after_its_start_says_so(status: Object, unstarted: bool) -> None:
    """Measured on 1.34: a Job created suspended has no start time, and one suspended later keeps it."""
    held = job(status)
    held["spec"]["suspend"] = True
    fact = job_fact(held, [])
    assert (fact.reason, fact.suspended, fact.unstarted) == ("Suspended", True, unstarted)


def test_job_let_begin_whose_condition_is_old_is_not_suspended() -> None:
    fact = job_fact(job({"conditions": [{"type": "Suspended", "status": "True"}]}), [])
    assert (fact.reason, fact.suspended) == ("", False)


def test_reason_of_a_job_about_to_fail_is_why() -> None:
    ending = {"terminating": 1, "conditions": [{"type": "FailureTarget", "status": "True", "reason": LATE}]}
    assert job_fact(job(ending), [pod(phase="Running")]).reason == LATE


def test_message_is_the_last_container_of_the_jobs_own_template() -> None:
    done = pod(
        phase="Succeeded",
        init={"agent": exited(0, "Completed", "not me")},
        main={
            "publish": exited(0, "Completed", '{"verdict": "pass"}'),
            "helper": exited(0, "Completed", "nor me"),
            "injected-sidecar": exited(0, "Completed", "nor me"),
        },
    )
    assert job_fact(job(COMPLETE), [done]).message == '{"verdict": "pass"}'


def test_message_of_the_newest_pod_counts() -> None:
    old, new = pod(main={"publish": exited(0, message="old")}), pod(main={"publish": exited(0, message="new")})
    new["metadata"]["creationTimestamp"] = "2026-11-21T07:00:00Z"
    assert job_fact(job(COMPLETE), [new, old]).message == "new"


@pytest.mark.parametrize(
    "state", [exited(0), exited(128, "StartError", "exec: not found"), waits("PodInitializing")], ids=str
)
def test_no_word_of_the_container_itself_is_no_message(state: Object) -> None:
    assert job_fact(job(failed()), [pod(main={"publish": state})]).message is None


def test_message_of_a_job_at_work_is_not_told() -> None:
    early = pod(phase="Running", main={"publish": exited(0, message="early")})
    assert job_fact(job({"active": 1}), [early]).message is None


MUTE: list[tuple[str, Object, list[Object] | None, bool]] = [
    ("its pod is there", COMPLETE, [pod(phase="Succeeded", main={"publish": exited(0)})], False),
    ("its pod is gone", COMPLETE, [], True),
    ("only a pod that failed before is left", COMPLETE, [pod()], True),
    ("its pods were not read", COMPLETE, None, False),
    ("it is at work", {"active": 1}, [], False),
    ("it failed", failed(), [], False),
]


@pytest.mark.parametrize(("status", "pods", "gone"), [row[1:] for row in MUTE], ids=[row[0] for row in MUTE])
def test_word_of_a_complete_job_is_lost_with_its_pod(status: Object, pods: list[Object] | None, *, gone: bool) -> None:
    assert job_fact(job(status), pods).pod_gone is gone


def test_pods_that_were_not_read_say_nothing_about_the_end() -> None:
    fact = job_fact(job(failed()), None)
    assert (fact.state, fact.reason, fact.message, fact.disrupted) == (
        JobState.ENDED,
        "BackoffLimitExceeded",
        None,
        False,
    )


def test_fact_carries_identity_time_and_what_holds_the_job() -> None:
    kept = job(COMPLETE | {"startTime": AT}, finalizers=["conveyor.dev/result"])
    kept["spec"]["ttlSecondsAfterFinished"] = 0
    assert job_fact(kept, [pod(phase="Succeeded")]) == JobFact(
        JobState.ENDED,
        uid="job-uid",
        item_uid="item-uid",
        complete=True,
        finished=datetime(2026, 11, 21, 6, 30, tzinfo=UTC),
        has_ttl=True,
        has_finalizer=True,
    )


def test_long_reason_is_cut() -> None:
    waiting = pod(phase="Pending", main={"publish": waits("ErrImagePull", "x" * 5000)})
    assert len(job_fact(job({"active": 1}), [waiting]).reason) == 250
