"""Servers of other versions, and answers of a shape that none should give."""

from collections.abc import Callable
from typing import Any

import pytest

from conveyor.tracker.budget import Budget
from conveyor.tracker.plane_wire import allowance
from conveyor.web.errors import Ambiguous, NotFound, Unavailable
from tests.fakes.plane import FakePlane
from tests.fakes.plane_records import Project
from tests.unit.tracker.clients import Connect
from tests.unit.tracker.transports import OldNames, answers, page, pages

ITEM = {
    "id": "i1",
    "sequence_id": 7,
    "name": "Cart",
    "state": "s1",
    "updated_at": "2026-11-20T09:00:00.000001Z",
    "description_html": "<p>text</p>",
}
NO_RELATIONS: dict[str, Any] = {"blocked_by": []}


# --- the older name of the collection


async def test_older_server_is_spoken_to_by_the_older_name(connect: Connect, fake: FakePlane, project: Project) -> None:
    made = fake.create_ticket(project.id, "Cart")
    plane = connect(transport=OldNames())
    await plane.set_state(made.id, project.state("Blocked").id)
    ticket = await plane.ticket(made.id)
    assert ticket is not None
    assert (ticket.key, ticket.state_id, ticket.blocked_by) == ("ET-1", project.state("Blocked").id, ())


async def test_older_name_is_remembered(connect: Connect, fake: FakePlane, project: Project) -> None:
    fake.create_ticket(project.id, "Cart")
    server = OldNames()
    plane = connect(transport=server)
    await plane.changed_since("")
    missed = server.missed
    assert len(await plane.changed_since("")) == 1
    assert server.missed == missed


async def test_ticket_that_is_gone_on_an_older_server_is_gone(connect: Connect) -> None:
    assert await connect(transport=OldNames()).ticket("gone") is None


async def test_name_is_looked_for_once(connect: Connect, fake: FakePlane) -> None:
    plane = connect()
    for _ in range(2):
        with pytest.raises(NotFound):
            await plane.set_state("gone", "s1")
    assert [method for method, _ in fake.requests] == ["PATCH", "GET", "PATCH"]


# --- forms that some versions give


@pytest.mark.parametrize(
    ("differs", "state_id", "text"),
    [
        pytest.param({}, "s1", "text", id="as usual"),
        pytest.param({"state": {"id": "s2", "name": "x", "group": "started"}}, "s2", "text", id="state expanded"),
        pytest.param({"state": None, "description_html": None}, "", "", id="null"),
        pytest.param({"state": "None", "description_html": "None"}, "", "", id="the word None"),
    ],
)
async def test_ticket_is_read_in_every_form(
    connect: Connect, *, differs: dict[str, Any], state_id: str, text: str
) -> None:
    plane = connect(transport=answers({"/i1/": ITEM | differs, "/relations/": NO_RELATIONS}))
    ticket = await plane.ticket("i1")
    assert ticket is not None
    assert (ticket.state_id, ticket.text) == (state_id, text)


@pytest.mark.parametrize(
    ("relations", "blocked_by"),
    [
        pytest.param({"blocked_by": ["a", {"project_id": "p", "issue_id": "b"}]}, ("a", "b"), id="both forms"),
        pytest.param({"blocked_by": [{"id": "a"}, "a"]}, ("a",), id="named twice"),
        pytest.param({"blocked_by": None}, (), id="null"),
        pytest.param({"blocked_by": "None"}, (), id="the word None"),
        pytest.param({"blocking": ["a"]}, (), id="absent"),
    ],
)
async def test_blockers_are_read_in_every_form(
    connect: Connect, *, relations: dict[str, Any], blocked_by: tuple[str, ...]
) -> None:
    ticket = await connect(transport=answers({"/i1/": ITEM, "/relations/": relations})).ticket("i1", blockers=True)
    assert ticket is not None
    assert ticket.blocked_by == blocked_by


def items(*seconds: int) -> list[dict[str, Any]]:
    """Tickets `ET-<second>`, changed in that second of a minute."""
    return [
        ITEM | {"id": f"i{second}", "sequence_id": second, "updated_at": f"2026-11-20T09:00:{second:02}Z"}
        for second in seconds
    ]


async def test_list_in_another_order_than_asked_for_is_read_to_its_end(connect: Connect) -> None:
    server = pages(page(*items(3, 5, 1), more=True), page(*items(2, 4)))
    found = await connect(transport=server).changed_since("2026-11-20T09:00:03Z")
    assert [row.key for row in found] == ["ET-5", "ET-4", "ET-3"]


async def test_comments_oldest_first_are_read_to_their_end_for_the_newest(connect: Connect) -> None:
    rows = [
        {"id": f"c{number}", "actor": "u", "created_at": f"2026-11-20T{number // 60:02}:{number % 60:02}:00Z"}
        for number in range(150)
    ]
    server = pages(page(*rows[:100], more=True), page(*rows[100:]))
    comments = await connect(transport=server).comments("i1")
    assert [comment.id for comment in comments] == [f"c{number}" for number in range(50, 150)]


async def test_times_with_and_without_a_fraction_or_offset_are_compared_as_times(connect: Connect) -> None:
    times = ["2026-11-20T10:00:00.5+01:00", "2026-11-20T09:00:00Z", "2026-11-20T08:59:59.999Z"]
    rows = [ITEM | {"id": f"i{n}", "updated_at": time} for n, time in enumerate(times)]
    found = await connect(transport=answers({"/work-items/": page(*rows)})).changed_since(times[1])
    assert [row.updated for row in found] == times[:2]


# --- shapes that say nothing


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"<html>", id="no JSON"),
        pytest.param(b"[" * 100_000, id="deeply nested"),
        pytest.param([], id="a list"),
        pytest.param({key: value for key, value in ITEM.items() if key != "sequence_id"}, id="no number"),
        pytest.param(ITEM | {"sequence_id": "7; rm"}, id="a number that is none"),
        pytest.param(ITEM | {"updated_at": "soon"}, id="a time that is none"),
        pytest.param(ITEM | {"updated_at": None}, id="no time"),
        pytest.param(ITEM | {"name": {"a": 1}}, id="a name that is an object"),
        pytest.param(ITEM | {"id": "x" * 65}, id="an id too long"),
    ],
)
async def test_ticket_of_a_wrong_shape_is_unavailable(connect: Connect, body: Any) -> None:
    with pytest.raises(Unavailable, match=r"^GET /api/v1/.* answered something unreadable$"):
        await connect(transport=answers({"/i1/": body, "/relations/": NO_RELATIONS})).ticket("i1")


@pytest.mark.parametrize(
    "relations",
    [[], {"blocked_by": "a"}, {"blocked_by": [None]}, {"blocked_by": [{"project_id": "p"}]}],
)
async def test_relations_of_a_wrong_shape_are_not_taken_for_none(connect: Connect, relations: Any) -> None:
    with pytest.raises(Unavailable):
        await connect(transport=answers({"/i1/": ITEM, "/relations/": relations})).ticket("i1", blockers=True)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(page(), id="no states"),
        pytest.param({"results": []}, id="no word on further pages"),
        pytest.param({"next_page_results": False}, id="no results"),
        pytest.param(page({"id": "s", "name": "x"}), id="a state without group"),
    ],
)
async def test_states_of_a_wrong_shape_are_unavailable(connect: Connect, body: Any) -> None:
    with pytest.raises(Unavailable):
        await connect(transport=answers({"/states/": body})).states()


async def test_list_that_never_ends_is_given_up(connect: Connect, seconds: Callable[[], float]) -> None:
    budget = Budget(1000, clock=seconds)
    endless = page({"id": "s", "name": "x", "group": "started"}, more=True)
    with pytest.raises(Unavailable, match="more than 200 pages"):
        await connect(transport=answers({"/states/": endless}), budget=budget).states()


async def test_list_of_too_many_bytes_is_given_up(
    connect: Connect, seconds: Callable[[], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conveyor.tracker.plane_api.MAX_LIST_BYTES", 300)
    endless = page({"id": "s", "name": "x", "group": "started"}, more=True)
    with pytest.raises(Unavailable, match="more than 300 bytes"):
        await connect(transport=answers({"/states/": endless}), budget=Budget(1000, clock=seconds)).states()


async def test_answer_to_a_write_of_a_wrong_shape_is_ambiguous(connect: Connect) -> None:
    with pytest.raises(Ambiguous):
        await connect(transport=answers({"/i1/": []})).set_state("i1", "s1")


# --- what the server says of its limit


@pytest.mark.parametrize(
    ("headers", "left"),
    [
        pytest.param(
            {"x-ratelimit-remaining": "7", "x-ratelimit-reset": "1795165230", "date": "Fri, 20 Nov 2026 09:00:00 GMT"},
            (7, 30.0),
            id="in the server's own clock",
        ),
        pytest.param({"x-ratelimit-remaining": "7", "x-ratelimit-reset": "1795165230"}, (7, 60.0), id="no date"),
        pytest.param({"x-ratelimit-remaining": "-1", "x-ratelimit-reset": "5"}, None, id="not a number"),
        pytest.param({"x-ratelimit-remaining": "7"}, None, id="no reset"),
        pytest.param({}, None, id="silent"),
    ],
)
def test_allowance_is_read_from_the_headers(headers: dict[str, str], left: tuple[int, float] | None) -> None:
    assert allowance(headers) == left
