"""What the fake Plane refuses in a request, in Plane's words."""

from collections.abc import Mapping, Sequence
from typing import TypeVar
from uuid import UUID

from tests.fakes.plane_records import Comment, Json, Missing, Project, Refused, Ticket

T = TypeVar("T")


def found(records: Mapping[str, T], key: str) -> T:
    if key not in records:
        raise Missing
    return records[key]


def state_of_project(project: Project, wanted: object) -> str:
    """The id of a state of this project; a foreign one is refused."""
    try:
        UUID(str(wanted))
    except ValueError:
        raise Refused({"state": [f"“{wanted}” is not a valid UUID."]}) from None
    if all(state.id != wanted for state in project.states):
        raise Refused({"non_field_errors": ["State is not valid please pass a valid state_id"]})
    return str(wanted)


def twin_of(values: Json, records: Sequence[Ticket | Comment]) -> str | None:
    """The id of the record that has the same `external_id` and `external_source`, where both are given."""
    wanted = (values.get("external_id"), values.get("external_source"))
    if not all(wanted):
        return None
    return next((record.id for record in records if (record.external_id, record.external_source) == wanted), None)
