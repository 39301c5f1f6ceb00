"""What is read of Plane's deliveries: both envelopes, both spellings, states as objects and as ids."""

from typing import Any

import pytest

from conveyor_ingress import plane_events
from conveyor_ingress.events import Malformed, Skipped, TicketEvent
from tests.unit.ingress import deliveries
from tests.unit.ingress.deliveries import ISSUE, PROJECT, STARTING, Delivery


def parsed(delivery: Delivery) -> TicketEvent:
    event = plane_events.parse(delivery.headers, delivery.body)
    assert isinstance(event, TicketEvent)
    return event


def v1(**data: Any) -> Delivery:
    delivery = deliveries.ticket()
    return delivery.edited(data=delivery.payload["data"] | data)


def v2(event: str = "workitem.updated", **fields: Any) -> Delivery:
    data = {"id": ISSUE, "project_id": PROJECT, "state_id": STARTING, "sequence_id": 42}
    plain = {
        "version": "v2",
        "event": event,
        "event_id": "e1",
        "delivery_id": "d1",
        "entity_id": ISSUE,
        "entity_type": "issue",
        "webhook_id": deliveries.WEBHOOK,
        "workspace_id": deliveries.WORKSPACE,
        "data": data,
        "previous_attributes": {"state_id": "None"},
    }
    return deliveries.ticket().with_json(plain | fields)


@pytest.mark.parametrize("state", [{"id": STARTING, "name": "x"}, STARTING], ids=["object", "id"])
def test_state_is_read_as_object_and_as_id(state: object) -> None:
    assert parsed(v1(state=state)).state_id == STARTING


@pytest.mark.parametrize("state", [None, "None", {"id": None}, {"id": "None"}, {}], ids=str)
def test_state_that_is_none_starts_nothing(state: object) -> None:
    assert parsed(v1(state=state)).state_id is None


@pytest.mark.parametrize(("old", "new"), [("create", "created"), ("update", "updated"), ("delete", "deleted")])
def test_both_spellings_of_an_action_are_one_event(old: str, new: str) -> None:
    delivery = deliveries.ticket()
    assert parsed(delivery.edited(action=old)).identity == parsed(delivery.edited(action=new)).identity


def test_three_deliveries_of_one_change_are_one_event() -> None:
    delivery = deliveries.ticket()
    fields = ("state", "state_id", "priority")
    activities = [delivery.payload["activity"] | {"field": field} for field in fields]
    assert len({parsed(delivery.edited(activity=activity)).identity for activity in activities}) == 1


def test_later_change_is_another_event() -> None:
    assert parsed(v1(updated_at="2026-11-21T00:00:00Z")).identity != parsed(v1()).identity


def test_changes_without_a_time_are_told_apart_by_their_bodies() -> None:
    assert parsed(v1(updated_at=None, name="a")).identity != parsed(v1(updated_at=None, name="b")).identity


def test_comment_names_its_ticket_and_starts_nothing() -> None:
    event = parsed(deliveries.load("plane", "plane-issue-comment"))
    assert (event.issue_id, event.number, event.state_id) == (ISSUE, None, None)


def test_deleted_ticket_names_no_project() -> None:
    delivery = deliveries.ticket().edited(action="deleted", data={"id": ISSUE})
    assert isinstance(plane_events.parse(delivery.headers, delivery.body), Skipped)


@pytest.mark.parametrize("event", ["project", "cycle", "module", "cycle_issue", "module_issue", "intake_issue", "x"])
def test_event_about_something_else_is_skipped(event: str) -> None:
    delivery = deliveries.ticket().edited(event=event)
    assert isinstance(plane_events.parse(delivery.headers, delivery.body), Skipped)


@pytest.mark.parametrize("number", ["42", 0, -1, True, 1.5, 2**40])
def test_number_that_is_none_is_malformed(number: object) -> None:
    with pytest.raises(Malformed):
        parsed(v1(sequence_id=number))


@pytest.mark.parametrize("issue", ["../x", "a b", "x" * 65, "", "<script>"])
def test_id_that_is_none_is_malformed(issue: str) -> None:
    with pytest.raises(Malformed):
        parsed(v1(id=issue))


@pytest.mark.parametrize("event", ["workitem.updated", "WebhookScope.ScopeChoices.WORK_ITEM_UPDATED"])
def test_newer_envelope_is_read_in_both_spellings(event: str) -> None:
    found = parsed(v2(event))
    assert (found.project_id, found.issue_id, found.number, found.state_id) == (PROJECT, ISSUE, 42, STARTING)


def test_retry_of_the_newer_envelope_is_the_same_event() -> None:
    assert parsed(v2(delivery_id="d2")).identity == parsed(v2()).identity


@pytest.mark.parametrize("event", ["workitem.comment.created", "workitem.relation.created", "workitem.link.deleted"])
def test_comment_or_relation_of_the_newer_envelope_starts_nothing(event: str) -> None:
    assert parsed(v2(event)).state_id is None


def test_ticket_deleted_in_the_newer_envelope_is_found_by_its_old_record() -> None:
    old = {"id": ISSUE, "project_id": PROJECT, "sequence_id": 42}
    assert parsed(v2("workitem.deleted", data={}, previous_attributes=old)).project_id == PROJECT


def test_event_header_is_not_believed() -> None:
    delivery = deliveries.ticket().changed(X_Plane_Event="project")
    assert parsed(delivery).event == "issue"
