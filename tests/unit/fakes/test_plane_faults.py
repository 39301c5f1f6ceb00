"""Faults on demand: each is seen by the client, and applied or not as it says."""

import httpx
import pytest

from tests.fakes.plane import FakePlane, Fault, FaultKind
from tests.fakes.plane_records import Project


async def set_done(api: httpx.AsyncClient, project: Project, ticket_id: str) -> httpx.Response:
    path = f"/projects/{project.id}/work-items/{ticket_id}/"
    return await api.patch(path, json={"state": project.state("Done").id}, timeout=0.5)


@pytest.mark.parametrize(("applied", "state"), [(False, "Backlog"), (True, "Done")])
@pytest.mark.parametrize(
    ("kind", "error"),
    [(FaultKind.DROP, httpx.RemoteProtocolError | httpx.ReadError), (FaultKind.HANG, httpx.ReadTimeout)],
)
async def test_lost_answer_leaves_the_change_applied_or_not(
    plane: FakePlane,
    project: Project,
    api: httpx.AsyncClient,
    *,
    kind: FaultKind,
    error: object,
    applied: bool,
    state: str,
) -> None:
    ticket = plane.create_ticket(project.id, "a")
    plane.faults.add(Fault(kind, method="PATCH", applied=applied))
    with pytest.raises(httpx.TransportError) as raised:
        await set_done(api, project, ticket.id)
    assert isinstance(raised.value, error)  # type: ignore[arg-type]
    assert plane.state_of(ticket.id) == state


@pytest.mark.parametrize(("applied", "state"), [(False, "Backlog"), (True, "Done")])
async def test_status_fault_answers_with_it(
    plane: FakePlane, project: Project, api: httpx.AsyncClient, *, applied: bool, state: str
) -> None:
    ticket = plane.create_ticket(project.id, "a")
    plane.faults.add(Fault(FaultKind.STATUS, status=503, applied=applied))
    answer = await set_done(api, project, ticket.id)
    assert (answer.status_code, plane.state_of(ticket.id)) == (503, state)


async def test_truncated_answer_is_no_json(plane: FakePlane, project: Project, api: httpx.AsyncClient) -> None:
    plane.faults.add(Fault(FaultKind.TRUNCATE))
    answer = await api.get("/projects/")
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        answer.json()


async def test_throttle_fault_names_its_seconds(plane: FakePlane, api: httpx.AsyncClient) -> None:
    plane.faults.add(Fault(FaultKind.THROTTLE, retry_after=7))
    answer = await api.get("/projects/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")


async def test_fault_strikes_as_often_as_told_and_only_what_matches(
    plane: FakePlane, project: Project, api: httpx.AsyncClient
) -> None:
    plane.faults.add(Fault(FaultKind.STATUS, method="GET", path="*/states/", times=2, status=500))
    paths = ["/projects/", *[f"/projects/{project.id}/states/"] * 3]
    assert [(await api.get(path)).status_code for path in paths] == [200, 500, 500, 200]


async def test_closed_plane_refuses_connections_until_opened(plane: FakePlane, api: httpx.AsyncClient) -> None:
    await plane.close()
    with pytest.raises(httpx.ConnectError):
        await api.get("/projects/")
    await plane.open()
    assert (await api.get("/projects/")).status_code == 200
