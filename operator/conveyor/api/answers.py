"""What passes between the operator, the trusted steps and an agent: task file, answer file, termination message."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from conveyor.api.stages import Role, Stage

MAX_TASK_BYTES = 64 * 1024
MAX_ANSWER_BYTES = 256 * 1024
MAX_TERMINATION_BYTES = 4096
"""A kubelet cuts a termination message there."""


class Verdict(StrEnum):
    """How a run ended. `infrastructure` is ours: an answer that is absent, malformed, oversized or foreign."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    BLOCKED = "blocked"
    RETRY = "retry"
    INFRASTRUCTURE = "infrastructure"


class ReviewVerdict(StrEnum):
    APPROVE = "approve"
    REQUEST_CHANGES = "request_changes"
    COMMENT = "comment"


Percent = Annotated[float, Field(strict=True, ge=0, le=100)]
WaitSeconds = Annotated[int, Field(alias="retryAfterSeconds", strict=True, ge=0, le=7 * 86400)]


class _FromOutside(BaseModel):
    """Others write these: unknown fields are ignored, known ones bounded; an error repeats none of the input."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True, hide_input_in_errors=True)


class ReviewComment(_FromOutside):
    path: Annotated[str, Field(max_length=1024)]
    line: Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)] = 1
    body: Annotated[str, Field(max_length=16384)]


class Review(_FromOutside):
    verdict: ReviewVerdict
    body: Annotated[str, Field(max_length=32768)] = ""
    comments: Annotated[tuple[ReviewComment, ...], Field(max_length=100)] = ()


class Answer(_FromOutside):
    """The file an agent writes to CONVEYOR_ANSWER_FILE."""

    verdict: Literal["pass", "fail", "blocked", "retry"]
    summary: Annotated[str, Field(max_length=65536)] = ""
    question: Annotated[str, Field(max_length=16384)] = ""
    retry_after_seconds: WaitSeconds = 0
    coverage: Percent | None = None
    review: Review | None = None


class TerminationMessage(_FromOutside):
    """What `publish` or an effect Job writes to CONVEYOR_TERMINATION_FILE; only this counts.

    `uid` and `run` name the item and the run, `token` is the run's own secret: a message without all three is foreign.
    """

    conveyor: Literal[1]
    uid: Annotated[str, Field(max_length=64)] = ""
    run: Annotated[str, Field(max_length=64)] = ""
    token: Annotated[str, Field(max_length=64)] = ""
    verdict: Literal["pass", "fail", "blocked", "retry"]
    summary: Annotated[str, Field(max_length=2048)] = ""
    question: Annotated[str, Field(max_length=1024)] = ""
    retry_after_seconds: WaitSeconds = 0
    coverage: Percent | None = None
    sha: Annotated[str, Field(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})?$")] = ""
    image: Annotated[str, Field(max_length=512)] = ""
    revision: Annotated[str, Field(max_length=128)] = ""


class RunError(_FromOutside):
    """What a trusted step writes instead of an answer when the run cannot be finished: never a verdict."""

    conveyor: Literal[1] = 1
    error: Annotated[str, Field(max_length=2048)]


class TaskLinks(_FromOutside):
    ticket: str = ""
    pull_request: Annotated[str, Field(alias="pullRequest")] = ""
    repository: str = ""


class TaskComment(_FromOutside):
    author: str
    time: str
    text: str


class Task(_FromOutside):
    """The task file: what an agent is asked to do. Ticket text is data in it, never part of a command."""

    conveyor: Literal[1] = 1
    item: str
    uid: str
    key: str
    run: str
    repository: str
    role: Role
    stage: Stage
    attempt: Annotated[int, Field(ge=1)]
    """Which attempt at this stage it is, from 1."""
    branch: str
    base_branch: Annotated[str, Field(alias="baseBranch")]
    base_sha: Annotated[str, Field(alias="baseSHA")]
    documents: str
    """The folder for the item's documents, relative to the root of the tree."""
    title: str
    description: str = ""
    reason: str = ""
    """Why the role works again, empty the first time."""
    pull_request_number: Annotated[int | None, Field(alias="pullRequestNumber", ge=1)] = None
    """The pull request that a reviewer's review and a tester's report go to."""
    links: TaskLinks = TaskLinks()
    comments: tuple[TaskComment, ...] = ()
