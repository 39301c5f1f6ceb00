"""The fake Plane's REST API, held against what is known of the real one."""

from typing import Any

import httpx
import pytest

from tests.fakes.clock import ManualClock
from tests.fakes.plane import FakePlane
from tests.fakes.plane_records import Project


def items(project: Project, rest: str = "") -> str:
    return f"/projects/{project.id}/work-items/{rest}"


async def test_own_user_is_told_by_the_key(plane: FakePlane) -> None:
    key = plane.add_key("reviewer")
    async with httpx.AsyncClient(headers={"X-API-Key": key}) as client:
        answer = await client.get(f"{plane.url}/api/v1/users/me/")
    assert answer.json()["display_name"] == "reviewer"


@pytest.mark.parametrize(("headers", "status"), [({}, 401), ({"X-API-Key": "plane_api_other"}, 403)])
async def test_request_without_a_valid_key_is_refused(
    plane: FakePlane, project: Project, *, headers: dict[str, str], status: int
) -> None:
    async with httpx.AsyncClient(headers=headers) as client:
        answer = await client.get(f"{plane.url}/api/v1/workspaces/acme/projects/{project.id}/work-items/")
    assert answer.status_code == status


async def test_path_without_closing_slash_redirects_and_changes_nothing(
    plane: FakePlane, project: Project, api: httpx.AsyncClient
) -> None:
    answer = await api.post(f"/projects/{project.id}/work-items", json={"name": "Retry"})
    assert (answer.status_code, list(plane.ledger)) == (301, [])


@pytest.mark.parametrize("path", ["/projects/unknown/", "/projects/unknown/states/", "/work-items/ET-99/"])
async def test_unknown_record_is_not_found(project: Project, api: httpx.AsyncClient, path: str) -> None:
    answer = await api.get(path)
    assert (answer.status_code, answer.json()) == (404, {"error": "The requested resource does not exist."})


async def test_limit_refuses_the_request_after_the_sixtieth(api: httpx.AsyncClient) -> None:
    answers = [await api.get("/projects/") for _ in range(61)]
    assert [answer.status_code for answer in answers] == [200] * 60 + [429]


async def test_refusal_names_the_seconds_to_wait(api: httpx.AsyncClient, clock: ManualClock) -> None:
    for _ in range(60):
        await api.get("/projects/")
    clock.advance(45)
    answer = await api.get("/projects/")
    assert answer.headers["Retry-After"] == "15"
    assert "X-RateLimit-Remaining" not in answer.headers


async def test_limit_opens_when_the_window_has_passed(api: httpx.AsyncClient, clock: ManualClock) -> None:
    for _ in range(60):
        await api.get("/projects/")
    clock.advance(60)
    answer = await api.get("/projects/")
    assert (answer.status_code, answer.headers["X-RateLimit-Remaining"]) == (200, "59")


async def test_limit_is_counted_per_key(plane: FakePlane, api: httpx.AsyncClient) -> None:
    for _ in range(60):
        await api.get("/projects/")
    answer = await api.get("/projects/", headers={"X-API-Key": plane.add_key("other")})
    assert answer.status_code == 200


async def test_pages_shift_when_a_ticket_changes_between_them(
    plane: FakePlane, project: Project, api: httpx.AsyncClient
) -> None:
    first, second, third = (plane.create_ticket(project.id, name) for name in ("a", "b", "c"))
    await plane.settle()
    query = {"order_by": "-updated_at", "per_page": "2"}
    page = (await api.get(items(project), params=query)).json()
    plane.edit(first.id, name="a2")
    await plane.settle()
    rest = (await api.get(items(project), params=query | {"cursor": page["next_cursor"]})).json()
    seen = [row["id"] for row in page["results"] + rest["results"]]
    assert seen == [third.id, second.id, second.id]


async def test_last_page_says_so_and_still_has_a_next_cursor(
    plane: FakePlane, project: Project, api: httpx.AsyncClient
) -> None:
    plane.create_ticket(project.id, "a")
    page = (await api.get(items(project), params={"per_page": "1"})).json()
    assert (page["next_page_results"], page["next_cursor"]) == (False, "1:1:0")


@pytest.mark.parametrize(
    "query", [{"per_page": "101"}, {"cursor": "x"}, {"pql": "state = x"}, {"filters": "{}"}, {"order_by": "secret"}]
)
async def test_query_that_the_server_lacks_is_refused(
    project: Project, api: httpx.AsyncClient, query: dict[str, str]
) -> None:
    assert (await api.get(items(project), params=query)).status_code == 400


async def test_archived_ticket_is_left_out(plane: FakePlane, project: Project, api: httpx.AsyncClient) -> None:
    ticket = plane.create_ticket(project.id, "a")
    plane.archive(ticket.id)
    listed = (await api.get(items(project))).json()["results"]
    assert (listed, (await api.get(items(project, f"{ticket.id}/"))).status_code) == ([], 404)


@pytest.mark.parametrize(("expand", "kind"), [("", str), ("state", dict)])
async def test_state_is_an_id_unless_expanded(
    plane: FakePlane, project: Project, api: httpx.AsyncClient, *, expand: str, kind: type
) -> None:
    plane.create_ticket(project.id, "a")
    answer = await api.get("/work-items/ET-1/", params={"expand": expand})
    assert isinstance(answer.json()["state"], kind)


async def test_states_are_paged_with_their_groups(project: Project, api: httpx.AsyncClient) -> None:
    page = (await api.get(f"/projects/{project.id}/states/", params={"per_page": "3"})).json()
    groups = [(row["name"], row["group"]) for row in page["results"]]
    assert groups == [("Backlog", "backlog"), ("Todo", "unstarted"), ("To Analyse", "unstarted")]
    assert page["next_page_results"] is True


async def test_state_set_by_api_is_in_the_ledger(plane: FakePlane, project: Project, api: httpx.AsyncClient) -> None:
    ticket = plane.create_ticket(project.id, "a")
    for name in ("Analysis", "Analysis", "In Progress"):
        await api.patch(items(project, f"{ticket.id}/"), json={"state": project.state(name).id})
    assert plane.ledger.states("ET-1", via="api") == ["Analysis", "In Progress"]
    assert plane.state_of("ET-1") == "In Progress"


async def test_state_of_another_project_is_refused(plane: FakePlane, project: Project, api: httpx.AsyncClient) -> None:
    ticket = plane.create_ticket(project.id, "a")
    foreign = plane.create_project("Other", "OT").state("Done").id
    answer = await api.patch(items(project, f"{ticket.id}/"), json={"state": foreign})
    assert (answer.status_code, plane.state_of(ticket.id)) == (400, "Backlog")


async def test_assignee_who_is_no_member_is_dropped(plane: FakePlane, project: Project, api: httpx.AsyncClient) -> None:
    answer = await api.post(items(project), json={"name": "a", "assignees": [plane.person.id, project.id]})
    assert (answer.status_code, answer.json()["assignees"]) == (201, [plane.person.id])


async def times(api: httpx.AsyncClient, path: str, values: dict[str, Any], plane: FakePlane) -> list[str]:
    """`updated_at` before a write, and after the worker has run."""
    before = (await api.get("/work-items/ET-1/")).json()["updated_at"]
    await (api.post if path else api.patch)(items_of_first(plane) + path, json=values)
    await plane.settle()
    return [before, (await api.get("/work-items/ET-1/")).json()["updated_at"]]


def items_of_first(plane: FakePlane) -> str:
    ticket = plane.ticket("ET-1")
    return f"/projects/{ticket.project_id}/work-items/{ticket.id}/"


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("", {"name": "b"}),
        ("comments/", {"comment_html": "<p>Hello</p>"}),
        ("relations/", {"relation_type": "blocking"}),
    ],
    ids=["change", "comment", "relation"],
)
async def test_write_moves_updated_at_though_the_clock_stands(
    plane: FakePlane, project: Project, api: httpx.AsyncClient, *, path: str, values: dict[str, Any]
) -> None:
    plane.create_ticket(project.id, "a")
    await plane.settle()
    before, after = await times(api, path, values, plane)
    assert after > before


async def test_updated_at_moves_once_more_after_the_answer(
    plane: FakePlane, project: Project, api: httpx.AsyncClient
) -> None:
    plane.create_ticket(project.id, "a")
    answer = await api.patch(items_of_first(plane), json={"name": "b"})
    await plane.settle()
    assert (await api.get("/work-items/ET-1/")).json()["updated_at"] > answer.json()["updated_at"]


async def test_comment_with_a_known_external_id_conflicts_and_names_the_first(
    plane: FakePlane, project: Project, api: httpx.AsyncClient
) -> None:
    plane.create_ticket(project.id, "a")
    values = {"comment_html": "<p>Hello</p>", "external_id": "m1", "external_source": "conveyor"}
    first = await api.post(items_of_first(plane) + "comments/", json=values)
    second = await api.post(items_of_first(plane) + "comments/", json=values)
    assert (first.status_code, second.status_code, second.json()["id"]) == (201, 409, first.json()["id"])
    assert plane.ledger.comments("ET-1") == ["<p>Hello</p>"]


async def test_comments_come_newest_first(plane: FakePlane, project: Project, api: httpx.AsyncClient) -> None:
    ticket = plane.create_ticket(project.id, "a")
    for text in ("one", "two"):
        plane.comment(ticket.id, f"<p>{text}</p>")
    rows = (await api.get(items_of_first(plane) + "comments/")).json()["results"]
    assert [row["comment_stripped"] for row in rows] == ["two", "one"]


@pytest.mark.parametrize("as_objects", [False, True])
async def test_relations_show_on_both_sides_in_either_form(
    plane: FakePlane, project: Project, api: httpx.AsyncClient, *, as_objects: bool
) -> None:
    plane.variant.relations_as_objects = as_objects
    blocked, blocker = plane.create_ticket(project.id, "a"), plane.create_ticket(project.id, "b")
    plane.block(blocked.id, by=blocker.id)
    answers = [(await api.get(items(project, f"{ticket.id}/relations/"))).json() for ticket in (blocked, blocker)]
    wanted = [
        {"project_id": project.id, "issue_id": ticket.id} if as_objects else ticket.id for ticket in (blocker, blocked)
    ]
    assert (answers[0]["blocked_by"], answers[1]["blocking"]) == ([wanted[0]], [wanted[1]])


async def test_server_without_relations_answers_not_found(
    plane: FakePlane, project: Project, api: httpx.AsyncClient
) -> None:
    plane.variant.has_relations = False
    plane.create_ticket(project.id, "a")
    assert (await api.get(items_of_first(plane) + "relations/")).status_code == 404
