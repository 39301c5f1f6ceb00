"""Container paths become paths of this host where they stand as paths, and nowhere else."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cluster.pod_inputs import PathMap, expand
from tests.cluster.pod_status import Terminated, pod_status

MAP = PathMap({"/work": Path("/host/w"), "/work/task": Path("/host/t"), "/dev/termination-log": Path("/host/end")})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/work", "/host/w"),
        ("/work/a b", "/host/w/a b"),
        ("--in=/work/x,/work", "--in=/host/w/x,/host/w"),
        ("/work/task/file", "/host/t/file"),
        ("echo ok >/dev/termination-log; exit", "echo ok >/host/end; exit"),
        ("/workspace", "/workspace"),
        ("/work-2/x", "/work-2/x"),
        ("/home/work", "/home/work"),
        ("http://host/work", "http://host/work"),
    ],
)
def test_mount_path_is_replaced_as_a_whole_path_only(text: str, expected: str) -> None:
    assert MAP.apply(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("$(A)/$(A)", "1/1"), ("$(B)", "$(B)"), ("$$(A)", "$(A)"), ("$A ${A}", "$A ${A}"), ("$$$(A)", "$1")],
)
def test_variables_are_expanded_as_kubernetes_does(text: str, expected: str) -> None:
    assert expand(text, {"A": "1"}) == expected


def test_more_than_three_containers_share_the_room_for_messages() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    names = ["a", "b", "c", "d"]
    states = {name: Terminated(0, "Completed", now, now, message="x" * 4096) for name in names}
    pod = {"spec": {"containers": [{"name": name} for name in names]}}
    status = pod_status(pod, states, started=now, now=now)

    sizes = {len(entry["state"]["terminated"]["message"]) for entry in status["containerStatuses"]}
    assert sizes == {3 * 4096 // 4}
