"""What the Plane client says and does when the server fails it: drops, hangs, cuts, throttles."""

import pytest

from conveyor.tracker.plane import Plane
from conveyor.web.errors import Ambiguous, RateLimited, Unavailable
from tests.fakes.clock import ManualClock
from tests.fakes.plane import FakePlane, Fault, FaultKind
from tests.fakes.plane_records import Project
from tests.unit.tracker.clients import Connect
from tests.unit.tracker.transports import After

FAILURES = [
    pytest.param(Fault(FaultKind.DROP), id="drop"),
    pytest.param(Fault(FaultKind.STATUS, status=502), id="502"),
]


@pytest.mark.parametrize("fault", FAILURES)
async def test_read_that_fails_once_is_repeated(plane: Plane, fake: FakePlane, fault: Fault) -> None:
    fake.faults.add(fault)
    assert await plane.identifier() == "ET"


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(FaultKind.DROP, times=99), id="drop"),
        pytest.param(Fault(FaultKind.STATUS, times=99, status=500), id="500"),
        pytest.param(Fault(FaultKind.TRUNCATE, times=99), id="truncated JSON"),
    ],
)
async def test_read_that_goes_on_failing_is_unavailable(
    plane: Plane, fake: FakePlane, project: Project, fault: Fault
) -> None:
    ticket = fake.create_ticket(project.id, "Cart")
    fake.faults.add(fault)
    with pytest.raises(Unavailable):
        await plane.ticket(ticket.id)


async def test_read_that_hangs_is_unavailable_after_its_time(connect: Connect, fake: FakePlane) -> None:
    fake.faults.add(Fault(FaultKind.HANG, times=99))
    with pytest.raises(Unavailable):
        await connect(total_seconds=0.05).identifier()


async def test_failure_on_the_second_page_gives_no_half_answer(
    connect: Connect, fake: FakePlane, project: Project
) -> None:
    for number in range(150):
        fake.create_ticket(project.id, f"ticket {number}")
    failing = connect(transport=After(lambda: fake.faults.add(Fault(FaultKind.DROP, times=3))))
    with pytest.raises(Unavailable):
        await failing.changed_since("")


async def test_relations_that_cannot_be_read_are_not_taken_for_none(
    plane: Plane, fake: FakePlane, project: Project
) -> None:
    ticket = fake.create_ticket(project.id, "Cart")
    fake.faults.add(Fault(FaultKind.STATUS, path="*/relations/", times=99, status=500))
    with pytest.raises(Unavailable):
        await plane.ticket(ticket.id, blockers=True)


@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("kind", [FaultKind.DROP, FaultKind.STATUS])
async def test_comment_whose_answer_is_lost_stands_once_after_the_second_call(
    plane: Plane, fake: FakePlane, project: Project, *, kind: FaultKind, applied: bool
) -> None:
    ticket = fake.create_ticket(project.id, "Cart")
    fake.faults.add(Fault(kind, method="POST", applied=applied))
    with pytest.raises(Ambiguous):
        await plane.comment(ticket.id, "What now?", marker="run-1")
    await plane.comment(ticket.id, "What now?", marker="run-1")
    assert fake.ledger.comments("ET-1") == ["<p>What now?</p>"]


@pytest.mark.parametrize("kind", [FaultKind.DROP, FaultKind.STATUS, FaultKind.TRUNCATE])
async def test_state_set_with_an_unclear_answer_is_ambiguous_and_not_repeated(
    plane: Plane, fake: FakePlane, project: Project, kind: FaultKind
) -> None:
    ticket = fake.create_ticket(project.id, "Cart")
    fake.faults.add(Fault(kind, method="PATCH", applied=True))
    with pytest.raises(Ambiguous):
        await plane.set_state(ticket.id, project.state("Blocked").id)
    assert [method for method, _ in fake.requests] == ["PATCH"]


async def test_write_to_a_server_that_is_down_did_not_happen(plane: Plane, fake: FakePlane, project: Project) -> None:
    ticket = fake.create_ticket(project.id, "Cart")
    await fake.close()
    with pytest.raises(Unavailable):
        await plane.comment(ticket.id, "x", marker="m")


async def test_throttled_client_sends_nothing_until_the_time_named(
    plane: Plane, fake: FakePlane, project: Project, clock: ManualClock
) -> None:
    ticket = fake.create_ticket(project.id, "Cart")
    fake.faults.add(Fault(FaultKind.THROTTLE, retry_after=40))
    with pytest.raises(RateLimited) as first:
        await plane.identifier()
    clock.advance(39)
    with pytest.raises(RateLimited) as parked:
        await plane.comment(ticket.id, "x", marker="m")
    assert (first.value.until_seconds, round(parked.value.until_seconds), len(fake.requests)) == (40, 1, 1)


async def test_throttled_client_works_again_after_the_time_named(
    plane: Plane, fake: FakePlane, clock: ManualClock
) -> None:
    fake.faults.add(Fault(FaultKind.THROTTLE, retry_after=40))
    with pytest.raises(RateLimited):
        await plane.identifier()
    clock.advance(40)
    assert await plane.identifier() == "ET"


async def test_throttled_project_parks_the_others_of_its_token(connect: Connect, fake: FakePlane) -> None:
    other = connect(project_id=fake.create_project("Other", "OT").id)
    fake.faults.add(Fault(FaultKind.THROTTLE))
    for plane in (connect(), other):
        with pytest.raises(RateLimited):
            await plane.identifier()
    assert len(fake.requests) == 1
