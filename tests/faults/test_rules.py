"""The audit's rules find what they forbid, and are silent about the way that items go."""

from itertools import pairwise
from typing import Any

import pytest

from conveyor.api.stages import EDGES as PRODUCT_EDGES
from tests.faults.calls import Call, counts, offence
from tests.faults.desk import Write
from tests.faults.matrix import SPACING, cases, together
from tests.faults.rules import EDGES, item_offences, repository_offences
from tests.faults.scenarios import PLAIN

Object = dict[str, Any]
STATUS = "/apis/conveyor.dev/v1alpha1/namespaces/x/workitems/cart/status"


def intent(**changed: Any) -> Object:
    whole = {"id": "a", "effect": "Merge", "from": "deploy-staging", "to": "deploy", "phase": "Prepared"}
    return whole | {"precondition": {"headSHA": "1"}, "fencingToken": 4, "holder": "one"} | changed


def item(transition: Object | None = None, **changed: Any) -> Object:
    status = {"stage": "deploy-staging", "runs": 5, "fencingToken": 4} | changed
    return status | ({"transition": transition} if transition is not None else {})


BAD = {
    "an edge that does not exist": (item(), item(stage="done-ish"), set(), "illegal edge"),
    "a first stage in the middle": ({}, {"stage": "review"}, set(), "first stage"),
    "leaving the end": (item(stage="done"), item(stage="development"), set(), "illegal edge"),
    "a token that goes down": (item(), item(fencingToken=3), set(), "fencingToken went down"),
    "runs that go down": (item(), item(runs=4), set(), "runs went down"),
    "an intent begun again": (item(fencingToken=3), item(intent()), {"a"}, "a second time"),
    "an intent without a new token": (item(), item(intent()), set(), "without a new token"),
    "an intent begun parked": (item(fencingToken=3), item(intent(phase="Unknown")), set(), "not begun as Prepared"),
    "an intent from another stage": (item(fencingToken=3), item(intent(), stage="deploy"), set(), "leaves"),
    "another commit under way": (
        item(intent()),
        item(intent(precondition={"headSHA": "2"})),
        {"a"},
        "precondition changed",
    ),
    "taken over without a new token": (item(intent()), item(intent(holder="two")), {"a"}, "without a new token"),
    "a Job in the place of another": (
        item(intent(job={"name": "j", "uid": "1"})),
        item(intent(job={"name": "j", "uid": "2"})),
        {"a"},
        "another Job",
    ),
    "a parked intent replaced": (
        item(intent(phase="Unknown")),
        item(intent(id="b", fencingToken=5), fencingToken=5),
        {"a"},
        "nobody knows",
    ),
    "another merge": (item(mergeSHA="1", stage="deploy"), item(mergeSHA="2", stage="deploy"), set(), "mergeSHA"),
}

GOOD = {
    "a new intent": (item(fencingToken=3), item(intent()), set()),
    "taken over": (item(intent()), item(intent(holder="two", fencingToken=5), fencingToken=5), {"a"}),
    "the result": (item(intent()), item(stage="deploy", mergeSHA="1"), {"a"}),
    "the uid of the Job": (item(intent(job={"name": "j"})), item(intent(job={"name": "j", "uid": "1"})), {"a"}),
    "the rework of a deploy": (
        item(mergeSHA="1", stage="deploy", fencingToken=3),
        item(intent(**{"effect": "CutBranch", "from": "deploy", "to": "development"}), stage="deploy"),
        set(),
    ),
    "an override": (
        item(),
        item(stage="done", override={"id": "o", "from": "deploy-staging", "to": "done"}),
        set(),
    ),
}


@pytest.mark.parametrize(("old", "new", "known", "wanted"), BAD.values(), ids=BAD)
def test_write_against_the_rules_is_found(old: Object, new: Object, known: set[str], wanted: str) -> None:
    found = list(item_offences(old, new, known=known))
    assert len(found) == 1, found
    assert wanted in found[0]


@pytest.mark.parametrize(("old", "new", "known"), GOOD.values(), ids=GOOD)
def test_write_by_the_rules_is_silent(old: Object, new: Object, known: set[str]) -> None:
    assert list(item_offences(old, new, known=known)) == []


def test_edges_written_down_here_are_those_of_the_product() -> None:
    assert {start.value: frozenset(map(str, ends)) for start, ends in PRODUCT_EDGES.items()} == EDGES


def test_coverage_mark_that_falls_is_found() -> None:
    marks = [{"coverage": {"percent": percent, "sha": "1"}} for percent in (80.0, 79.0)]
    assert list(repository_offences(*marks)) == ["the coverage mark went down from 80.0 to 79.0"]


def test_freeze_that_was_cleared_and_stands_again_is_found() -> None:
    states: list[Object] = [{"freezes": [{"id": "f", "clearedTime": "now"}]}, {"freezes": [{"id": "f"}]}]
    assert list(repository_offences(*states)) == ["freeze f was cleared and stands again"]


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(Call("PATCH", STATUS, body=b'{"status": {"stage": "done"}}'), id="a status without its version"),
        pytest.param(Call("GET", STATUS, {"resourceVersion": "0"}), id="a read from any cache"),
        pytest.param(Call("GET", STATUS, {"watch": "1", "resourceVersion": "0"}), id="a watch from any state"),
    ],
)
def test_request_that_must_not_be_is_found(call: Call) -> None:
    assert offence(call) != ""


def test_conditional_write_is_no_offence() -> None:
    assert offence(Call("PATCH", STATUS, body=b'{"metadata": {"resourceVersion": "7"}, "status": {}}')) == ""


LEASES = "/apis/coordination.k8s.io/v1/namespaces/x/leases"


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        pytest.param(Call("PATCH", STATUS), True, id="a status"),
        pytest.param(Call("POST", "/api/v1/repos/a/b/pulls/3/merge"), True, id="a merge"),
        pytest.param(Call("GET", STATUS), False, id="a read"),
        pytest.param(Call("POST", "/apis/events.k8s.io/v1/namespaces/x/events"), False, id="an Event"),
        pytest.param(Call("PATCH", f"{LEASES}/conveyor-operator-heartbeat"), False, id="the heartbeat"),
        pytest.param(Call("PUT", f"{LEASES}/merge-shop"), True, id="a Lease of a merge"),
        pytest.param(Call("PUT", f"{LEASES}/deploy-shop"), True, id="a Lease of a deploy"),
        pytest.param(Call("POST", LEASES, body=b'{"metadata": {"name": "transition-1"}}'), True, id="a new Lease"),
        pytest.param(Call("POST", LEASES, body=b'{"metadata": {"name": "leader"}}'), False, id="a new leader"),
    ],
)
def test_writes_are_counted_but_not_those_of_the_process_itself(call: Call, wanted: bool) -> None:
    assert counts(call) is wanted


def test_cases_together_are_the_same_cases_with_three_writes_between_two_of_them() -> None:
    writes = [Write(f"write {number}", 1) for number in range(11)]
    whole = list(cases(PLAIN, writes, {}))
    groups = together(whole)
    assert sorted(str(case) for group in groups for case in group) == sorted(map(str, whole))
    numbers = {str(write): number for number, write in enumerate(writes)}
    places = [[numbers[str(case.target)] for case in group] for group in groups if len(group) > 1]
    assert {later - earlier for group in places for earlier, later in pairwise(group)} == {SPACING}
