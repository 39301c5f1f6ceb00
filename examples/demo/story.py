"""What happened to a ticket, in order: read from its item's history, its pull request, and the deploy's Job."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from examples.demo.tickets import CONTEXT, Ticket, project_of
from examples.demo.world import World
from tests.cluster.gitea import Gitea, Repository

EFFECT_LABEL, ITEM_LABEL = "conveyor.dev/effect", "conveyor.dev/workitem"


@dataclass(frozen=True, order=True)
class Event:
    time: datetime
    text: str


@dataclass(frozen=True)
class Story:
    """`red` and `criticised` are commits on which CI failed, and on which the reviewer asked for changes."""

    ticket: Ticket
    events: tuple[Event, ...]
    red: tuple[str, ...]
    criticised: tuple[str, ...]
    merged: Event | None = None
    pull_request: str = ""
    """Its address."""


def story(world: World, ticket: Ticket) -> Story:
    """Blocks: it asks Gitea."""
    status = world.watched.status(ticket.item)
    events = [*_stages(status), *_effects(world, ticket)]
    pull = status.get("pullRequest")
    if not pull:
        return Story(ticket, tuple(sorted(events)), (), ())
    repository = world.forge.repositories[project_of(ticket).repository]
    commits = f"{status['baseSHA']}...{status['headSHA']}"
    read = PullRequestReader(world.gitea, repository, number=pull["number"], commits=commits)
    events += read.events()
    return Story(
        ticket,
        tuple(sorted(events)),
        red=tuple(read.red),
        criticised=tuple(read.criticised),
        merged=read.merged,
        pull_request=pull["url"],
    )


def _stages(status: dict[str, Any]) -> Iterator[Event]:
    for entry in status.get("history", []):
        yield Event(_time(entry["time"]), f"{entry.get('from', 'nothing')} → {entry['to']} ({entry['cause']})")


def _effects(world: World, ticket: Ticket) -> Iterator[Event]:
    for job in effect_jobs(world, ticket):
        if finished := job.get("status", {}).get("completionTime"):
            effect = job["metadata"]["labels"][EFFECT_LABEL]
            yield Event(_time(finished), f"{effect} done by Job {job['metadata']['name']}")


def effect_jobs(world: World, ticket: Ticket, *effects: str) -> list[dict[str, Any]]:
    """Every one that was ever seen, of these effects or of all."""
    labelled = [(job, job["metadata"]["labels"]) for job in world.watched.jobs.values()]
    ours = [(job, labels) for job, labels in labelled if labels[ITEM_LABEL] == ticket.item and EFFECT_LABEL in labels]
    return [job for job, labels in ours if not effects or labels[EFFECT_LABEL] in effects]


class PullRequestReader:
    """`commits` are its own, as `base...head`: Gitea itself has none for one that was marked as merged.

    The other attributes are filled by `events`.
    """

    def __init__(self, gitea: Gitea, repository: Repository, *, number: int, commits: str) -> None:
        self._gitea, self._repository, self._number, self._commits = gitea, repository, number, commits
        self._path = f"{repository.path}/pulls/{number}"
        self.red: list[str] = []
        self.criticised: list[str] = []
        self.merged: Event | None = None

    def events(self) -> list[Event]:
        pull = self._gitea.api("GET", self._path)
        found = [Event(_time(pull["created_at"]), f"pull request #{self._number} opened")]
        if pull["merged"]:
            text = f"merged as {pull['merge_commit_sha'][:10]} by {pull['merged_by']['login']}"
            self.merged = Event(_time(pull["merged_at"]), text)
            found.append(self.merged)
        return [*found, *self._ci(), *self._reviews()]

    def _ci(self) -> Iterator[Event]:
        for commit in self._gitea.api("GET", f"{self._repository.path}/compare/{self._commits}")["commits"]:
            path = f"{self._repository.path}/commits/{commit['sha']}/statuses"
            for status in self._gitea.api("GET", path, limit="50"):
                if status["context"] == CONTEXT and status["status"] == "failure":
                    self.red.append(commit["sha"])
                    text = f"CI is red on {commit['sha'][:10]}: {status['description']} {status['target_url']}"
                    yield Event(_time(status["created_at"]), text)

    def _reviews(self) -> Iterator[Event]:
        for review in self._gitea.api("GET", f"{self._path}/reviews", limit="50"):
            if review["state"] == "REQUEST_CHANGES":
                self.criticised.append(review["commit_id"])
            if review["state"] in ("REQUEST_CHANGES", "APPROVED"):
                verdict = "asks for changes on" if review["state"] == "REQUEST_CHANGES" else "approves"
                text = f"{review['user']['login']} {verdict} {review['commit_id'][:10]}"
                yield Event(_time(review["submitted_at"]), text)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone()
