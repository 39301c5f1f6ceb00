"""What the ingress is sent in its benchmark: what the product reads in it, and what it must do with it."""

import pytest

from benchmarks import ingress_objects, naming
from benchmarks.ingress_audit import value_of
from benchmarks.ingress_events import (
    GITEA_SECRET,
    ITEMS,
    MIX,
    ON_ITEMS,
    PLANE_SECRET,
    Event,
    Kind,
    Place,
    mixed,
    on_items,
    request,
    unsigned,
)
from conveyor.api.annotations import HintClass
from conveyor_ingress import senders, signatures
from conveyor_ingress.events import ForgeEvent, Skipped, TicketEvent

NAMESPACE = "shop"
KINDS = [kind for kind in Kind if kind is not Kind.REPEAT]


def read(event: Event) -> ForgeEvent | TicketEvent | Skipped:
    delivery = event.delivery(NAMESPACE)
    found = senders.of_path(delivery.path)
    assert found is not None
    return found[0].parse(delivery.headers, delivery.body)


@pytest.mark.parametrize("kind", KINDS)
def test_delivery_is_signed_as_its_sender_does(kind: Kind) -> None:
    delivery = Event(7, kind).delivery(NAMESPACE)
    found = senders.of_path(delivery.path)
    assert found is not None
    secrets = {GITEA_SECRET.encode(), PLANE_SECRET.encode()}
    assert len(signatures.matching(secrets, delivery.body, found[0].signature(delivery.headers))) == 1


@pytest.mark.parametrize("kind", [Kind.PUSH, Kind.SYNC, Kind.REVIEW])
def test_event_of_the_forge_names_its_items_branch(kind: Kind) -> None:
    event = Event(7, kind)
    found = read(event)
    assert isinstance(found, ForgeEvent)
    assert (found.branch, found.full_name) == (naming.branch(event.number), "shop/lane-0007")
    assert event.place == Place("workitems", "lane-0007-shop-100007", found.hint)


def test_commit_status_is_kept_with_its_repository() -> None:
    event = Event(7, Kind.STATUS)
    found = read(event)
    assert isinstance(found, ForgeEvent)
    assert (found.hint, found.branch) == (HintClass.CI, None)
    assert event.place == Place("repositories", "lane-0007", HintClass.CI)


def test_change_of_a_ticket_names_its_item() -> None:
    found = read(Event(7, Kind.TICKET))
    assert isinstance(found, TicketEvent)
    assert (found.number, found.issue_id, found.project_id) == (100_007, "issue-100007", "project-lane-0007")


def test_started_ticket_has_no_item_yet() -> None:
    event = Event(7, Kind.START)
    found = read(event)
    assert isinstance(found, TicketEvent)
    assert (found.number, found.state_id) == (event.number, "state-to-analyse")
    assert not naming.FIRST_NUMBER <= event.number < naming.FIRST_NUMBER + ITEMS


@pytest.mark.parametrize("kind", [Kind.TAG, Kind.TALK])
def test_event_that_is_nothing_of_ours_is_ignored(kind: Kind) -> None:
    assert isinstance(read(Event(7, kind)), Skipped)
    assert Event(7, kind).expected == "ignored"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if Event(0, kind).place])
def test_two_events_of_a_kind_have_two_values(kind: Kind) -> None:
    assert value_of(Event(7, kind), NAMESPACE) != value_of(Event(8, kind), NAMESPACE)


def test_repeated_delivery_is_the_same_to_the_byte() -> None:
    again = next(event for event in mixed(0, 1000) if event.again)
    assert again.delivery(NAMESPACE) == Event(again.serial, again.kind).delivery(NAMESPACE)
    assert again.expected == "duplicate"


def test_nothing_comes_between_a_delivery_and_its_repetition() -> None:
    last: dict[Place, int] = {}
    repeated = 0
    for event in mixed(0, 5000):
        if event.place is None:
            continue
        if event.again:
            repeated += 1
            assert last[event.place] == event.serial
        last[event.place] = event.serial
    assert repeated > 200


def test_mixed_stream_goes_through_the_mix() -> None:
    kinds = [event.kind for event in mixed(0, len(MIX) * 50) if not event.again]
    assert set(kinds) == set(KINDS)
    assert kinds.count(Kind.STATUS) > kinds.count(Kind.START)


def test_each_place_is_written_once_by_events_on_items() -> None:
    places = [event.place for event in on_items(20_000, ITEMS * len(ON_ITEMS))]
    assert len(set(places)) == len(places)
    assert {place.kind for place in places if place} == {"workitems"}


def test_strangers_sign_with_no_secret_of_ours() -> None:
    for text in unsigned(NAMESPACE):
        head, _, body = text.partition(b"\r\n\r\n")
        signature = next((line for line in head.decode().split("\r\n") if line.startswith("X-Gitea-Signature: ")), "")
        assert not signatures.matching([GITEA_SECRET.encode()], body, signature.partition(": ")[2])


def test_request_tells_its_length() -> None:
    delivery = Event(7, Kind.PUSH).delivery(NAMESPACE)
    head, _, body = request(delivery).partition(b"\r\n\r\n")
    assert body == delivery.body
    assert f"Content-Length: {len(body)}" in head.decode()


async def test_items_have_the_names_under_which_the_ingress_looks_for_them() -> None:
    objects = await ingress_objects.under_way(NAMESPACE)
    names = {item["metadata"]["name"] for item in objects.items}
    assert {event.place.name for event in on_items(0, ITEMS) if event.place} == names
    assert set(objects.active.values()) <= names


async def test_raw_writes_are_two_moves_of_each_item() -> None:
    moves = await ingress_objects.transitions()
    names = [name for name, _ in moves]
    assert names[:ITEMS] == names[ITEMS:]
    assert [moves[0][1]["stage"], moves[ITEMS][1]["stage"]] == ["deploy-staging", "done"]
