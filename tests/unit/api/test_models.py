"""What is read is what was written, and what is written fits the schema it is written under."""

import pytest
from hypothesis import given
from pydantic import BaseModel, TypeAdapter

from conveyor.api import repository, workitem
from conveyor.api.fields import Model, api_name
from conveyor.api.repository import RepositorySpec, RepositoryStatus
from conveyor.api.stages import Stage
from conveyor.api.workitem import Cause, WorkItemSpec, WorkItemStatus
from tests import strategies

MODELS = sorted(
    {
        each
        for module in (workitem, repository)
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Model) and each is not Model
    },
    key=lambda model: model.__name__,
)


@given(strategies.workitem_specs())
def test_workitem_spec_written_and_read_is_the_same(spec: WorkItemSpec) -> None:
    assert WorkItemSpec.model_validate(spec.dump()) == spec


@given(strategies.workitem_statuses())
def test_workitem_status_written_and_read_is_the_same(status: WorkItemStatus) -> None:
    assert WorkItemStatus.model_validate(status.dump()) == status


@given(strategies.workitem_statuses())
def test_copy_is_as_pydantic_makes_it(status: WorkItemStatus) -> None:
    """Absent fields stay absent, in what is written for the API too."""
    update = {"stage": Stage.REVIEW, "runs": 3}
    ours, theirs = status.model_copy(update=update), BaseModel.model_copy(status, update=update)
    assert (ours, ours.model_fields_set) == (theirs, theirs.model_fields_set)
    assert ours.model_dump(exclude_unset=True) == theirs.model_dump(exclude_unset=True)
    assert status.model_copy(deep=True) == status


@given(strategies.repository_specs())
def test_repository_spec_written_and_read_is_the_same(spec: RepositorySpec) -> None:
    assert RepositorySpec.model_validate(spec.dump()) == spec


@given(strategies.repository_statuses())
def test_repository_status_written_and_read_is_the_same(status: RepositoryStatus) -> None:
    assert RepositoryStatus.model_validate(status.dump()) == status


@pytest.mark.parametrize("model", MODELS)
def test_a_default_is_a_value_that_its_own_field_takes(model: type[BaseModel]) -> None:
    """An absent field is written as its default, so a default outside the limits would make every write fail."""
    for field in model.model_fields.values():
        if not field.is_required():
            TypeAdapter(field.rebuild_annotation()).validate_python(field.default)


@pytest.mark.parametrize(
    ("field", "spelling"),
    [
        ("head_sha", "headSHA"),
        ("issue_id", "issueID"),
        ("start_state_ids", "startStateIDs"),
        ("stage_entered_time", "stageEnteredTime"),
        ("repository_ref", "repositoryRef"),
        ("identifier", "identifier"),
    ],
)
def test_a_field_is_spelled_as_the_api_conventions_want_it(field: str, spelling: str) -> None:
    assert api_name(field) == spelling


def test_time_is_written_in_whole_seconds_of_utc() -> None:
    status = WorkItemStatus.model_validate({"stageEnteredTime": "2026-11-21T08:30:00.75+02:00"})
    assert status.dump()["stageEnteredTime"] == "2026-11-21T06:30:00Z"


def test_a_field_of_a_later_version_is_ignored() -> None:
    assert WorkItemStatus.model_validate({"stage": "review", "mood": "good"}).stage is Stage.REVIEW


def test_caps_come_from_the_spec_else_from_the_default() -> None:
    forge = {"url": "https://git.test", "owner": "acme", "name": "shop", "credentialsSecretRef": {"name": "forge"}}
    spec = RepositorySpec.model_validate({"forge": forge, "retries": {"CI": 1, "total": 4}})
    assert [spec.cap(Cause.CI), spec.cap(Cause.REVIEW), spec.cap_total] == [1, 3, 4]


def test_lookups_in_a_status_find_the_entry_of_that_name() -> None:
    condition = {"type": "Stalled", "status": "True", "reason": "CISilent", "message": "no word", **_AT}
    gate = {"name": "ci_green", "passed": True, "checkedTime": _AT["lastTransitionTime"]}
    status = WorkItemStatus.model_validate(
        {"conditions": [condition], "gates": [gate], "attempts": [{"cause": "CI", "count": 2}]}
    )
    assert status.stalled == "CISilent"
    assert status.gate("review_approved") is None
    assert status.gate("ci_green") == status.gates[0]
    assert [status.attempts_of(Cause.CI).count, status.attempts_of(Cause.REVIEW).count] == [2, 0]


_AT = {"lastTransitionTime": "2026-11-21T06:30:00Z"}
