"""What is read out of a Pod's status."""

from datetime import UTC, datetime
from typing import Any

from conveyor.cluster.pods import ContainerFact, PodFact, pod_fact

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
AT = "2026-11-21T12:00:00Z"


def container(last: Any = None, **state: Any) -> Any:
    entry = {"name": "operator", "restartCount": 1, "state": state, "lastState": last or {}}
    status = {"phase": "Running", "containerStatuses": [entry]}
    (found,) = pod_fact({"metadata": {"uid": "u"}, "status": status}).containers
    return found


def test_container_that_runs_tells_since_when() -> None:
    assert container(running={"startedAt": AT}) == ContainerFact("operator", 1, started=NOON, ended=None)


def test_container_that_has_ended_tells_since_when() -> None:
    ended = {"exitCode": 137, "reason": "Error", "finishedAt": AT}
    assert container(terminated=ended) == ContainerFact("operator", 1, started=None, ended=NOON)


def test_container_that_its_node_lost_has_not_ended_as_far_as_anybody_knows() -> None:
    lost = {"exitCode": 137, "reason": "ContainerStatusUnknown", "finishedAt": AT}
    assert container(terminated=lost) == ContainerFact("operator", 1, started=None, ended=None)


def test_container_that_waits_to_be_started_again_tells_when_it_ended() -> None:
    ended = {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": AT}}
    waits = {"reason": "CrashLoopBackOff"}
    assert container(ended, waiting=waits) == ContainerFact("operator", 1, started=None, ended=NOON)


def test_container_that_waits_for_its_first_start_neither_runs_nor_has_ended() -> None:
    waits = {"reason": "ContainerCreating"}
    assert container(waiting=waits) == ContainerFact("operator", 1, started=None, ended=None)


def test_pod_without_status_is_of_unknown_phase() -> None:
    metadata = {"uid": "u", "deletionTimestamp": AT}
    assert pod_fact({"metadata": metadata}) == PodFact("u", "Unknown", deleting=True)
