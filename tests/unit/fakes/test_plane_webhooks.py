"""The fake Plane's webhooks, held against the stored deliveries and what is known of the real sender."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.clock import ManualClock
from tests.fakes.plane import FakePlane
from tests.fakes.plane_records import Project
from tests.fakes.receiver import Receiver

PAYLOADS = Path(__file__).parents[2] / "payloads" / "plane"
AFTER_ANY_DELAY = 601


def bodies(receiver: Receiver) -> list[dict[str, Any]]:
    return [json.loads(body) for _, body in receiver.received]


def key_sets(value: object) -> object:
    """The value with leaves dropped: keys, and per list the shape of its first entry."""
    if isinstance(value, dict):
        return {key: key_sets(entry) for key, entry in value.items()}
    return [key_sets(entry) for entry in value[:1]] if isinstance(value, list) else None


async def deliveries_like_the_stored(plane: FakePlane, project: Project, receiver: Receiver) -> None:
    """Ticket created, moved, commented, one delivery each."""
    plane.add_webhook(receiver.url)
    ticket = plane.create_ticket(project.id, "Retry", labels=("automate",))
    ticket.assignees.append(plane.person)
    await plane.settle()
    plane.move(ticket.id, "To Analyse")
    await plane.settle()
    plane.comment(ticket.id, "<p>Please &amp; thanks</p>")
    await plane.settle()


STORED = ["plane-issue-created", "plane-issue-state-changed", "plane-issue-comment"]


@pytest.mark.parametrize(("index", "stored"), list(enumerate(STORED)), ids=STORED)
async def test_delivery_has_the_keys_of_the_stored_one(
    plane: FakePlane, project: Project, receiver: Receiver, *, index: int, stored: str
) -> None:
    await deliveries_like_the_stored(plane, project, receiver)
    assert key_sets(bodies(receiver)[index]) == key_sets(json.loads((PAYLOADS / f"{stored}.json").read_bytes()))


@pytest.mark.parametrize(("index", "stored"), list(enumerate(STORED)), ids=STORED)
async def test_delivery_has_the_headers_of_the_stored_one(
    plane: FakePlane, project: Project, receiver: Receiver, *, index: int, stored: str
) -> None:
    await deliveries_like_the_stored(plane, project, receiver)
    wanted = dict(line.split(": ", 1) for line in (PAYLOADS / f"{stored}.headers").read_text().splitlines())
    own = {"Host", "Content-Length", "X-Plane-Delivery", "X-Plane-Signature"}
    sent = receiver.received[index][0]
    assert sent.keys() == wanted.keys()
    assert {name: sent[name] for name in sent if name not in own} == {n: wanted[n] for n in wanted if n not in own}


async def test_signature_verifies_over_the_raw_body_with_default_separators(
    plane: FakePlane, project: Project, receiver: Receiver
) -> None:
    hook = plane.add_webhook(receiver.url)
    plane.create_ticket(project.id, "Повторять загрузку — всегда")
    await plane.settle()
    [(headers, body)] = receiver.received
    assert headers["X-Plane-Signature"] == hmac.new(hook.secret.encode(), body, hashlib.sha256).hexdigest()
    assert body == json.dumps(json.loads(body)).encode()


async def test_state_moved_in_the_ui_names_state_id_and_ids(
    plane: FakePlane, project: Project, receiver: Receiver
) -> None:
    ticket = plane.create_ticket(project.id, "Retry")
    await plane.settle()
    plane.add_webhook(receiver.url)
    plane.move(ticket.id, "To Analyse")
    await plane.settle()
    [body] = bodies(receiver)
    changed = (project.state("Backlog").id, project.state("To Analyse").id)
    assert body["activity"]["field"] == "state_id"
    assert (body["activity"]["old_value"], body["activity"]["new_value"]) == changed


async def test_two_quick_changes_both_carry_the_final_state(
    plane: FakePlane, project: Project, receiver: Receiver
) -> None:
    ticket = plane.create_ticket(project.id, "Retry")
    await plane.settle()
    plane.add_webhook(receiver.url)
    plane.move(ticket.id, "To Analyse")
    plane.move(ticket.id, "Analysis")
    await plane.settle()
    assert [body["data"]["state"]["name"] for body in bodies(receiver)] == ["Analysis", "Analysis"]


async def test_patch_of_three_keys_makes_three_deliveries(
    plane: FakePlane, project: Project, receiver: Receiver, api: httpx.AsyncClient
) -> None:
    ticket = plane.create_ticket(project.id, "Retry")
    await plane.settle()
    plane.add_webhook(receiver.url)
    values = {"name": "Retry uploads", "priority": "high", "state": project.state("Done").id}
    await api.patch(f"/projects/{project.id}/work-items/{ticket.id}/", json=values)
    await plane.settle()
    assert sorted(body["activity"]["field"] for body in bodies(receiver)) == ["name", "priority", "state"]


async def test_api_changes_send_nothing_where_the_server_is_old(
    plane: FakePlane, project: Project, receiver: Receiver, api: httpx.AsyncClient
) -> None:
    ticket = plane.create_ticket(project.id, "Retry")
    await plane.settle()
    plane.add_webhook(receiver.url)
    plane.store.api_sends_webhooks = False
    await api.patch(f"/projects/{project.id}/work-items/{ticket.id}/", json={"state": project.state("Done").id})
    await plane.settle()
    assert receiver.received == []


async def test_comment_by_api_fires_a_webhook(
    plane: FakePlane, project: Project, receiver: Receiver, api: httpx.AsyncClient
) -> None:
    ticket = plane.create_ticket(project.id, "Retry")
    await plane.settle()
    plane.add_webhook(receiver.url)
    comments = f"/projects/{project.id}/work-items/{ticket.id}/comments/"
    await api.post(comments, json={"comment_html": "<p>Hello</p>"})
    await plane.settle()
    assert [body["event"] for body in bodies(receiver)] == ["issue_comment"]


async def test_answer_500_is_not_retried(
    plane: FakePlane, project: Project, receiver: Receiver, clock: ManualClock
) -> None:
    receiver.status = 500
    hook = plane.add_webhook(receiver.url)
    plane.create_ticket(project.id, "Retry")
    await plane.settle()
    clock.advance(AFTER_ANY_DELAY)
    await plane.settle()
    assert [attempt.status for attempt in hook.attempts] == [500]


async def test_failed_connection_is_retried_with_a_new_delivery_id_and_the_same_body(
    plane: FakePlane, project: Project, receiver: Receiver, clock: ManualClock
) -> None:
    hook = plane.add_webhook("http://127.0.0.1:9/hook")
    plane.create_ticket(project.id, "Retry")
    await plane.settle()
    hook.url = receiver.url
    clock.advance(AFTER_ANY_DELAY)
    await plane.settle()
    first, second = hook.attempts
    assert (first.status, second.status) == (None, 200)
    assert first.delivery_id != second.delivery_id
    assert first.body == second.body


@pytest.mark.parametrize(("failures", "active"), [(5, True), (6, False)])
async def test_webhook_is_switched_off_by_the_sixth_failure(
    plane: FakePlane, project: Project, clock: ManualClock, *, failures: int, active: bool
) -> None:
    hook = plane.add_webhook("http://127.0.0.1:9/hook")
    plane.create_ticket(project.id, "Retry")
    await plane.settle()
    for _ in range(failures - 1):
        clock.advance(AFTER_ANY_DELAY)
        await plane.settle()
    assert (len(hook.attempts), hook.is_active) == (failures, active)


async def test_retries_end_with_the_sixth_failure(plane: FakePlane, project: Project, clock: ManualClock) -> None:
    hook = plane.add_webhook("http://127.0.0.1:9/hook")
    plane.create_ticket(project.id, "Retry")
    for _ in range(10):
        await plane.settle()
        clock.advance(AFTER_ANY_DELAY)
    assert len(hook.attempts) == 6


async def test_event_while_the_webhook_is_off_is_lost(plane: FakePlane, project: Project, receiver: Receiver) -> None:
    hook = plane.add_webhook(receiver.url)
    hook.is_active = False
    ticket = plane.create_ticket(project.id, "Retry")
    await plane.settle()
    hook.is_active = True
    plane.comment(ticket.id, "<p>Hello</p>")
    await plane.settle()
    assert [body["event"] for body in bodies(receiver)] == ["issue_comment"]


async def test_held_worker_sends_late(plane: FakePlane, project: Project, receiver: Receiver) -> None:
    plane.add_webhook(receiver.url)
    plane.worker.hold()
    plane.create_ticket(project.id, "Retry")
    await plane.settle()
    before = len(receiver.received)
    plane.worker.release()
    await plane.settle()
    assert (before, len(receiver.received)) == (0, 1)
