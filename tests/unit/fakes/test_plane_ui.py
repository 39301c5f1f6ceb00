"""The board for people, and the UI's doors of a fake Plane that runs as a process."""

import asyncio
import sys
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.fakes.plane import FakePlane
from tests.fakes.plane_records import Project

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
async def process_url() -> AsyncIterator[str]:
    """A fake Plane as a process of its own."""
    command = [sys.executable, "-m", "tests.fakes.plane", "--port", "0"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield (await asyncio.wait_for(process.stdout.readline(), timeout=20)).decode().strip()
    finally:
        process.kill()
        await process.communicate()


async def test_board_shows_tickets_under_their_state(plane: FakePlane, project: Project) -> None:
    ticket = plane.create_ticket(project.id, "Повторять загрузку", state="Done")
    plane.comment(ticket.id, "<p>Fine</p>")
    async with httpx.AsyncClient(base_url=plane.url) as browser:
        board = (await browser.get("/board/ET")).text
    done = board.partition("<h2>Done</h2>")[2].partition("<h2>")[0]
    assert "Повторять загрузку" in done
    assert "1 comment" in done


async def test_ticket_page_shows_text_blockers_and_comments(plane: FakePlane, project: Project) -> None:
    ticket = plane.create_ticket(project.id, "a", description_html="<p>Do it &amp; rest</p>")
    plane.block(ticket.id, by=plane.create_ticket(project.id, "b").id)
    plane.comment(ticket.id, "<p>Fine</p>")
    async with httpx.AsyncClient() as browser:
        page = (await browser.get(plane.ticket_url("ET-1"))).text
    assert [text for text in ("Do it &amp; rest", "Blocked by ET-2", "Fine") if text not in page] == []


async def test_hostile_text_is_escaped_on_every_page(plane: FakePlane) -> None:
    project = plane.create_project(HOSTILE, "ET", states=((HOSTILE, "backlog"),))
    escaped_once = HOSTILE.replace("<", "&lt;").replace(">", "&gt;")
    ticket = plane.create_ticket(project.id, HOSTILE, description_html=escaped_once)
    plane.comment(ticket.id, escaped_once)
    async with httpx.AsyncClient(base_url=plane.url) as browser:
        pages = [(await browser.get(path)).text for path in ("/", "/board/ET", "/board/ET/ET-1")]
    assert ["<script" in page for page in pages] == [False] * 3
    assert [page.count("&lt;script&gt;") >= 1 for page in pages] == [True] * 3


async def test_real_planes_address_of_a_ticket_leads_to_it(plane: FakePlane, project: Project) -> None:
    ticket = plane.create_ticket(project.id, "Discount")
    async with httpx.AsyncClient(base_url=plane.url) as browser:
        found = await browser.get(f"/{plane.workspace}/projects/{project.id}/issues/{ticket.id}")
    assert found.headers["Location"] == "/board/ET/ET-1"


@pytest.mark.parametrize("path", ["/board/XX", "/board/ET/ET-9"])
async def test_page_of_nothing_is_not_found(plane: FakePlane, project: Project, path: str) -> None:
    async with httpx.AsyncClient(base_url=plane.url) as browser:
        assert (await browser.get(path)).status_code == 404


async def test_process_takes_a_ticket_through_the_ui_and_the_api(process_url: str) -> None:
    async with httpx.AsyncClient(base_url=process_url) as client:
        known = (await client.get("/ui/")).json()
        project = (await client.post("/ui/projects", json={"name": "Shop", "identifier": "ET"})).json()
        await client.post(f"/ui/projects/{project['id']}/tickets", json={"name": "a"})
        await client.post(f"/ui/projects/{project['id']}/tickets", json={"name": "b"})
        await client.post("/ui/tickets/ET-1/block", json={"by": "ET-2"})
        await client.post("/ui/tickets/ET-1/comments", json={"html": "<p>Go</p>"})
        await client.patch("/ui/tickets/ET-1", json={"name": "c"})
        moved = (await client.post("/ui/tickets/ET-1/move", json={"state": "To Analyse"})).json()
        path = f"/api/v1/workspaces/{known['workspace']}/work-items/ET-1/"
        row = (await client.get(path, headers={"X-API-Key": known["api_key"]}, params={"expand": "state"})).json()
        page = await client.get(moved["url"])
        effects = [effect["what"] for effect in (await client.get("/ui/ledger")).json()["effects"]]
    assert (row["state"]["name"], row["name"], moved["comments"]) == ("To Analyse", "c", ["<p>Go</p>"])
    assert page.status_code == 200
    assert effects == ["created", "created", "relation", "comment", "name", "state"]


async def test_webhook_made_through_the_ui_tells_its_secret_once(plane: FakePlane) -> None:
    async with httpx.AsyncClient(base_url=plane.url) as client:
        made = (await client.post("/ui/webhooks", json={"url": "http://127.0.0.1:9/hook"})).json()
        listed = (await client.get("/ui/webhooks")).json()["webhooks"]
    assert made["secret"] == plane.webhooks[0].secret
    assert [sorted(row) for row in listed] == [["attempts", "id", "is_active", "url"]]


async def test_fault_added_through_the_ui_strikes(plane: FakePlane, api: httpx.AsyncClient) -> None:
    async with httpx.AsyncClient(base_url=plane.url) as client:
        await client.post("/ui/faults", json={"kind": "status", "status": 500})
    assert (await api.get("/projects/")).status_code == 500


async def test_wrong_request_to_the_ui_is_refused_with_its_reason(plane: FakePlane, project: Project) -> None:
    plane.create_ticket(project.id, "a")
    async with httpx.AsyncClient(base_url=plane.url) as client:
        answer = await client.post("/ui/tickets/ET-1/move", json={"state": "Nowhere"})
    assert answer.status_code == 400
    assert "Nowhere" in answer.json()["error"]
