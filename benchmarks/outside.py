"""Forge, tracker and agents' Jobs, answered in memory at once: what the operator meets in a benchmark.

They know everything by an item's number, so that they hold next to nothing and cost next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from benchmarks import naming
from conveyor.api import annotations as labels
from conveyor.api.answers import TerminationMessage
from conveyor.cluster.protocol import JSONObject
from conveyor.engine.manifests import RUN_TOKEN_ANNOTATION
from conveyor.forge.protocol import Forge
from conveyor.pipeline.facts import (
    ChangedFile,
    CommitStatus,
    ForgeReview,
    ForgeSettings,
    HookState,
    JobFact,
    JobState,
    PullRequest,
    Ticket,
    TicketComment,
    TicketSummary,
    TrackerState,
)
from conveyor.tracker.protocol import Tracker


class Mood(Enum):
    """What the forge says of an item: all is well, CI has not ended, or nobody has approved."""

    GREEN = "green"
    CI_AT_WORK = "CI at work"
    UNREVIEWED = "unreviewed"


class Numbers(Protocol):
    """Numbers of items."""

    def __contains__(self, number: object) -> bool: ...

    def add(self, number: int, /) -> None: ...


@dataclass
class Outside:
    """What changes outside while items move; by the item's number, the default for those that are not named."""

    namespace: str = "default"
    mood: Callable[[int], Mood] = lambda _: Mood.GREEN
    merged: Numbers = field(default_factory=set[int])
    """Whose pull request a person has merged."""
    heads: dict[int, str | None] = field(default_factory=dict)
    """Branches that are not there (None), or not yet where the developer leaves them."""
    ticket_states: dict[int, str] = field(default_factory=dict)


STATES = tuple(
    TrackerState(id=f"state-{name.lower().replace(' ', '-')}", name=name, group=group)
    for name, group in {
        "Backlog": "backlog",
        "To Analyse": "unstarted",
        "Analysis": "started",
        "Needs Input": "started",
        "In Progress": "started",
        "Code Review": "started",
        "Awaiting Deploy": "started",
        "Deploying": "started",
        "Approved": "started",
        "Rejected": "started",
        "Blocked": "started",
        "Done": "completed",
        "Cancelled": "cancelled",
    }.items()
)


class InventedForge(Forge):
    """One repository. `login` is whose token it was made with."""

    def __init__(self, outside: Outside, *, repository: str, login: str) -> None:
        self._outside, self._repository, self._login = outside, repository, login

    async def login(self) -> str:
        return self._login

    async def settings(self, *, default_branch: str) -> ForgeSettings:
        return ForgeSettings(
            login=self._login,
            default_branch=default_branch,
            can_push=True,
            allow_fast_forward=True,
            allow_rebase_update=True,
            allow_manual_merge=True,
            protected=True,
        )

    async def branch_head(self, branch: str) -> str | None:
        if branch == "main":
            return naming.BASE_SHA
        number = naming.number_in(branch)
        return self._outside.heads.get(number, naming.head(number))

    async def changed_files(self, base: str, head: str) -> tuple[ChangedFile, ...]:
        folder = f"docs/work-items/{naming.key(naming.number_in(head))}"
        return (
            ChangedFile(f"{folder}/01-analysis.md", "added"),
            ChangedFile(f"{folder}/06-adr/0001-invoices.md", "added"),
            ChangedFile("src/pay.py", "modified"),
        )

    async def contains(self, base: str, commit: str) -> bool:
        return base != "main"  # heads are ahead of main, and nothing else ever lands there

    async def create_branch(self, branch: str, *, at: str) -> None:
        self._outside.heads[naming.number_in(branch)] = at

    async def pull_request(self, number: int) -> PullRequest | None:
        merged = number in self._outside.merged
        return PullRequest(
            number=number,
            url=f"https://git.example/shop/{self._repository}/pulls/{number}",
            state="closed" if merged else "open",
            merged=merged,
            merged_by="lead" if merged else "",
            head=naming.branch(number),
            head_sha=naming.head(number),
            base="main",
            mergeable=True,
            merge_sha=naming.head(number) if merged else "",
        )

    async def open_pull_requests(self, *, head: str, base: str) -> tuple[PullRequest, ...]:
        pull = await self.pull_request(naming.number_in(head))
        return (pull,) if pull is not None and not pull.merged else ()

    async def open_pull_request(self, *, head: str, base: str, title: str, body: str) -> PullRequest:
        return (await self.open_pull_requests(head=head, base=base))[0]

    async def diff(self, number: int, *, head: str | None = None) -> bytes:
        return naming.DIFF

    async def series(self, base: str, head: str) -> tuple[str, ...]:
        return (head,)

    async def statuses(self, commit: str) -> tuple[CommitStatus, ...]:
        at_work = self._outside.mood(naming.number_in(commit)) is Mood.CI_AT_WORK
        state = "pending" if at_work else "success"
        return (CommitStatus(context="ci/tests", creator="ci-bot", state=state, url="https://ci.example/1"),)

    async def reviews(self, number: int) -> tuple[ForgeReview, ...]:
        undecided = self._outside.mood(number) is Mood.UNREVIEWED
        return (
            ForgeReview(
                author=naming.REVIEWER,
                state="COMMENT" if undecided else "APPROVED",
                commit=naming.head(number),
                official=True,
                dismissed=False,
                stale=False,
                body="",
                url="",
            ),
        )

    async def merge(self, number: int, *, head: str) -> None:
        self._outside.merged.add(number)

    async def mark_merged(self, number: int, *, commit: str) -> None:
        self._outside.merged.add(number)

    async def update_by_rebase(self, number: int) -> None:
        return None

    async def comment(self, number: int, body: str) -> None:
        return None

    async def hooks(self) -> tuple[HookState, ...]:
        url = f"https://hooks.example/webhooks/gitea/{self._outside.namespace}/{self._repository}"
        return (HookState(url=url, active=True, events=frozenset({"push", "pull_request", "status"})),)


class InventedTracker(Tracker):
    """One project. A ticket that nobody moved waits for a person."""

    def __init__(self, outside: Outside, *, identifier: str) -> None:
        self._outside, self._identifier = outside, identifier

    async def identifier(self) -> str:
        return self._identifier

    async def states(self) -> tuple[TrackerState, ...]:
        return STATES

    async def ticket(self, issue_id: str, *, blockers: bool = False) -> Ticket | None:
        number = naming.number_in(issue_id)
        return Ticket(
            id=issue_id,
            key=naming.key(number),
            name=naming.TITLE,
            text="An invoice is sent by e-mail and may be paid within 30 days.",
            state_id=self._outside.ticket_states.get(number, "state-needs-input"),
            updated="2026-03-02T11:00:00.000000Z",
            blocked_by=(),
            url=f"https://plane.example/{naming.key(number)}",
        )

    async def comments(self, issue_id: str) -> tuple[TicketComment, ...]:
        return ()

    async def changed_since(self, watermark: str) -> tuple[TicketSummary, ...]:
        return ()

    async def set_state(self, issue_id: str, state_id: str) -> str:
        self._outside.ticket_states[naming.number_in(issue_id)] = state_id
        return "2026-03-02T11:00:00.000000Z"

    async def comment(self, issue_id: str, text: str, *, marker: str) -> None:
        return None


class InstantJobs:
    """Runs' Jobs that have passed as soon as they are created."""

    def __init__(self) -> None:
        self._jobs: dict[str, JobFact] = {}

    def create(self, manifest: JSONObject) -> None:
        """Take a Job as the engine would have it created."""
        about: Mapping[str, str] = manifest["metadata"]["labels"]
        token = manifest["spec"]["template"]["metadata"]["annotations"][RUN_TOKEN_ANNOTATION]
        name = manifest["metadata"]["name"]
        self.add(
            name,
            uid=about[labels.LABEL_WORKITEM_UID],
            token=token,
            number=naming.number_in(about[labels.LABEL_WORKITEM]),
        )

    def add(self, name: str, *, uid: str, token: str, number: int) -> None:
        answer = TerminationMessage(
            conveyor=1,
            uid=uid,
            run=name,
            token=token,
            verdict="pass",
            summary="Invoices can be chosen at the till, are numbered without gaps and sent by e-mail.",
            sha=naming.head(number),
        )
        message = answer.model_dump_json(by_alias=True, exclude_none=True)
        self._jobs[name] = JobFact(
            JobState.ENDED, uid=f"job-{number}", item_uid=uid, complete=True, message=message, has_ttl=True
        )

    def get(self, name: str) -> JobFact:
        return self._jobs.get(name, JobFact(JobState.MISSING))
