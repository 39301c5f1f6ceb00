"""What every demo run must end in, looked up in Gitea, the cluster and the tracker's ledger."""

from collections import Counter
from pathlib import Path

from examples.demo.tickets import PROJECTS, TICKETS, Ticket, project_of
from examples.demo.world import World
from tests.e2e.rehearsal import expected_history, merged_history

LANDING = {"Image": 1, "Staging": 1, "Production": 1}
JOBS = {
    "ET-1": {"analyst": 1, "architect": 1, "developer": 2, "reviewer": 1, "tester": 1, **LANDING},
    "ET-2": {"analyst": 1, "architect": 1, "developer": 1, "reviewer": 1, "tester": 1, **LANDING},
    "CAT-1": {"analyst": 1, "architect": 1, "developer": 2, "reviewer": 2, "tester": 1, "Production": 1},
}
REVIEWS = {"ET-1": ["APPROVED"], "ET-2": ["APPROVED"], "CAT-1": ["REQUEST_CHANGES", "APPROVED"]}


def jobs(world: World) -> dict[str, dict[str, int]]:
    """How many Jobs each role or effect of a ticket's item had, counted by uid."""
    found: dict[str, Counter[str]] = {ticket.key: Counter() for ticket in TICKETS}
    keys = {ticket.item: ticket.key for ticket in TICKETS}
    for name, job in world.watched.jobs.items():
        labels = job["metadata"]["labels"]
        what = labels.get("conveyor.dev/role") or labels["conveyor.dev/effect"]
        found[keys[labels["conveyor.dev/workitem"]]][what] += len(world.watched.job_uids[name])
    return {key: dict(counted) for key, counted in found.items()}


def assert_merged_as_rehearsed(world: World, directory: Path) -> None:
    for project in PROJECTS:
        url = world.forge.repositories[project.repository].clone_url
        rehearsed = directory / f"{project.repository}-rehearsed"
        rehearsed.mkdir()
        assert merged_history(url, directory / project.repository) == expected_history(project, rehearsed)


def reviews(world: World, ticket: Ticket) -> list[str]:
    """The verdicts on the ticket's only pull request, oldest first."""
    found = world.gitea.api("GET", f"{_pull(world, ticket)}/reviews", limit="50")
    return [review["state"] for review in found]


def reports(world: World, ticket: Ticket) -> list[str]:
    """The comments on the ticket's only pull request: the tester's reports."""
    path = _pull(world, ticket).replace("/pulls/", "/issues/")
    return [comment["body"] for comment in world.gitea.api("GET", f"{path}/comments")]


def _pull(world: World, ticket: Ticket) -> str:
    path = f"{world.forge.repositories[project_of(ticket).repository].path}/pulls"
    found = [pull for pull in world.gitea.api("GET", path, state="all") if f"/{ticket.key}-" in pull["head"]["label"]]
    assert len(found) == 1, f"{ticket.key} has {len(found)} pull requests"
    return f"{path}/{found[0]['number']}"


def comments(world: World, ticket: Ticket) -> list[str]:
    """What the operator said on the ticket."""
    return world.tracker.ledger.comments(ticket.key, via="api")
