"""What an answer of the API server proves, and what of it may be repeated to people."""

from typing import Any

import pytest

from conveyor.cluster.connection import Reply
from conveyor.cluster.protocol import JSONObject, Lost, Rejected, Uncertain, Won
from conveyor.cluster.replies import MAX_MESSAGE, explanation, failure, written
from conveyor.web.errors import Ambiguous, Conflict, NotFound, Refused, Unavailable

Object = dict[str, Any]


def status(code: int, reason: str, message: str = "", *, name: str = "shop-et-1") -> Reply:
    return Reply(code, {"kind": "Status", "reason": reason, "message": message, "details": {"name": name}})


NOT_SERVED = Reply(404, {"kind": "Status", "reason": "NotFound", "details": {}})
NOT_FOUND_PAGE = Reply(404, {})
GATEWAY_PAGE = Reply(502, {})
TOO_LARGE = status(500, "", "etcdserver: request is too large")


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        pytest.param(status(409, "Conflict"), Lost, id="another version"),
        pytest.param(status(409, "AlreadyExists"), Lost, id="another creator"),
        pytest.param(status(404, "NotFound"), Lost, id="no such object"),
        *(pytest.param(status(code, "x"), Rejected, id=str(code)) for code in (400, 403, 413, 415, 422)),
        pytest.param(TOO_LARGE, Rejected, id="too large for etcd"),
        *(pytest.param(status(code, "x"), Uncertain, id=str(code)) for code in (500, 503, 504)),
        pytest.param(GATEWAY_PAGE, Uncertain, id="a gateway's page"),
    ],
)
def test_outcome_of_a_write(reply: Reply, outcome: type) -> None:
    assert isinstance(written(reply, "PATCH x"), outcome)


def test_stored_object_comes_without_managed_fields() -> None:
    body = {"metadata": {"name": "a", "managedFields": [{"manager": "conveyor"}]}, "spec": {}}
    assert written(Reply(200, body), "PATCH x") == Won({"metadata": {"name": "a"}, "spec": {}})


def test_stored_object_names_those_who_apply_it() -> None:
    fields: JSONObject = {"f:spec": {}}
    managers = [
        {"manager": "gitops", "operation": "Apply", "fieldsV1": fields},
        {"manager": "conveyor", "operation": "Update", "fieldsV1": fields},
    ]
    body = {"metadata": {"name": "a", "managedFields": managers}, "spec": {}}
    kept = {"name": "a", "managedFields": [{"manager": "gitops", "operation": "Apply"}]}
    assert written(Reply(200, body), "PATCH x") == Won({"metadata": kept, "spec": {}})


@pytest.mark.parametrize("reply", [NOT_SERVED, NOT_FOUND_PAGE], ids=["a Status", "a page"])
def test_write_to_a_resource_that_is_not_served_is_unavailable(reply: Reply) -> None:
    with pytest.raises(Unavailable, match="does not serve"):
        written(reply, "PATCH x")


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (status(404, "NotFound"), NotFound),
        (NOT_SERVED, Unavailable),
        (status(409, "Conflict"), Conflict),
        (status(403, "Forbidden"), Refused),
        (status(503, "ServiceUnavailable"), Unavailable),
        (GATEWAY_PAGE, Unavailable),
    ],
    ids=["gone", "not served", "conflict", "forbidden", "unavailable", "a gateway's page"],
)
def test_error_of_a_read(reply: Reply, error: type) -> None:
    assert type(failure(reply, "GET x", reading=True)) is error


def test_error_of_a_deletion_that_nobody_answered_for_is_ambiguous() -> None:
    assert type(failure(status(503, "ServiceUnavailable"), "DELETE x")) is Ambiguous


def test_strict_validation_is_told_without_the_object_it_repeats() -> None:
    message = (
        'WorkItem.conveyor.dev "a" is invalid: patch: Invalid value: "{\\"spec\\":{\\"description\\":\\"private\\"}}":'
        ' strict decoding error: unknown field "status.bogus"'
    )
    assert explanation({"message": message}) == 'strict decoding error: unknown field "status.bogus"'


def test_long_values_that_a_schema_refuses_are_left_out() -> None:
    message = f'WorkItem "a" is invalid: status.waiting.message: Invalid value: "{"private" * 50}": it is too long'
    assert explanation({"message": message}) == (
        'WorkItem "a" is invalid: status.waiting.message: Invalid value: it is too long'
    )


def test_explanation_is_cut() -> None:
    assert len(explanation({"message": "x" * 5000})) == MAX_MESSAGE


def test_nothing_that_the_api_server_says_about_a_secret_is_repeated() -> None:
    told = failure(status(422, "Invalid", "data: Invalid value: hunter2"), "change Secret team/forge", secret=True)
    assert str(told) == "change Secret team/forge: 422 Invalid"
