"""The kind WorkItem: one ticket on its way. The descriptions here are the CRD's."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from conveyor.api import rules
from conveyor.api.answers import Verdict
from conveyor.api.fields import (
    Branch,
    Condition,
    ForeignTime,
    ItemName,
    Line,
    Model,
    Name,
    RepositoryName,
    Sha,
    Text,
    Time,
    Uid,
    Url,
    Word,
    list_map,
)
from conveyor.api.names import MAX_TICKET_KEY, TICKET_KEY
from conveyor.api.stages import Role, Stage


class WaitingReason(StrEnum):
    """Why an item does not move now."""

    ADMISSION = "Admission"
    EARLIER_ITEM = "EarlierItem"
    DEPENDENCY = "Dependency"
    DEPENDENCY_MISSING = "DependencyMissing"
    REPOSITORY_FROZEN = "RepositoryFrozen"
    MONITOR = "Monitor"
    RUN_SLOT = "RunSlot"
    RUN = "Run"
    APPROVAL = "Approval"
    CI = "CI"
    REVIEW = "Review"
    MERGE = "Merge"
    DEPLOY = "Deploy"
    LEASE = "Lease"
    SUSPENDED = "Suspended"
    FORGE = "Forge"
    TRACKER = "Tracker"
    PERSON = "Person"


class StalledReason(StrEnum):
    """Why an item will not move by itself; the reason of condition Stalled."""

    RETRIES_EXHAUSTED = "RetriesExhausted"
    CI_SILENT = "CISilent"
    PULL_REQUEST_CLOSED = "PullRequestClosed"
    BRANCH_GONE = "BranchGone"
    BASE_RENAMED = "BaseRenamed"
    BASE_MOVED = "BaseMoved"
    MERGED_BY_AGENT = "MergedByAgent"
    MERGED_LATE = "MergedLate"
    EFFECT_UNKNOWN = "EffectUnknown"
    PRIOR_WORK_FOUND = "PriorWorkFound"
    DEPENDENCY_CYCLE = "DependencyCycle"
    DEPENDENCY_CANCELLED = "DependencyCancelled"
    TICKET_CLOSED = "TicketClosed"
    REPOSITORY_MISSING = "RepositoryMissing"
    DEPLOY_FAILED = "DeployFailed"
    ROLLBACK_FAILED = "RollbackFailed"


class Cause(StrEnum):
    """What rework is charged to."""

    ANALYSIS = "Analysis"
    ARCHITECTURE = "Architecture"
    DEVELOPMENT = "Development"
    CI = "CI"
    REVIEW = "Review"
    TESTING = "Testing"
    IMAGE = "Image"
    STAGING = "Staging"
    CONFLICT = "Conflict"
    COVERAGE = "Coverage"
    DEPLOY = "Deploy"
    REJECTED = "Rejected"
    HEAD_MOVED = "HeadMoved"
    BASE_MOVED = "BaseMoved"
    INFRASTRUCTURE = "Infrastructure"


class Effect(StrEnum):
    """A side effect that must happen at most once per intent."""

    CUT_BRANCH = "CutBranch"
    OPEN_PULL_REQUEST = "OpenPullRequest"
    REBASE = "Rebase"
    IMAGE = "Image"
    STAGING = "Staging"
    MERGE = "Merge"
    RATCHET = "Ratchet"
    PRODUCTION = "Production"
    ROLLBACK = "Rollback"


# --- spec


class RepositoryRef(Model):
    name: RepositoryName = Field(description="Name of the Repository, in this namespace.")


class Source(Model):
    tracker: Literal["Plane"] = Field(description="Which tracker.")
    project_id: Word = Field(description="The tracker's id of the project.")
    issue_id: Word = Field(description="The tracker's id of the ticket.")
    key: Annotated[str, Field(pattern=f"^{TICKET_KEY}$", max_length=MAX_TICKET_KEY)] = Field(
        description="The ticket's key, such as ET-17."
    )
    url: Url = Field(default="", description="Address of the ticket, for people.")


class Dependency(Model):
    name: ItemName = Field(description="Name of a WorkItem in this namespace, of any repository.")


class WorkItemSpec(Model):
    """What is wanted: written by people, the ingress and the poll."""

    model_config = ConfigDict(json_schema_extra=rules.WORKITEM_SPEC)

    repository_ref: RepositoryRef = Field(description="The Repository this item changes; immutable.")
    title: Line | None = Field(
        default=None, description="Title of an item made by hand; a ticket's is read from the tracker."
    )
    description: Annotated[str, Field(max_length=32768)] | None = Field(
        default=None, description="What is wanted, for an item made by hand; a ticket's text is read from the tracker."
    )
    source: Source | None = Field(
        default=None, description="The ticket it came from; immutable; absent for items made by hand."
    )
    depends_on: Annotated[tuple[Dependency, ...], Field(max_length=32)] = Field(
        default=(), description="The item starts only when these are done.", json_schema_extra=list_map("name")
    )
    priority: Annotated[int, Field(ge=-(2**31), le=2**31 - 1)] = Field(
        default=0, description="Higher goes first within its repository."
    )
    suspend: bool = Field(default=False, description="Hold: no new step begins; what runs may finish.")
    cancel: bool = Field(
        default=False, description="Cancel: the run is stopped, branch and pull request are left for people."
    )


# --- status


class PullRequestRef(Model):
    number: Annotated[int, Field(ge=1)] = Field(description="Number of the pull request in its repository.")
    url: Url = Field(description="Address of the pull request, for people.")


class WaitingOn(Model):
    kind: Word = Field(description="Kind of what it waits on, such as Job or Repository.")
    name: Line = Field(description="Name of what it waits on.")


class Waiting(Model):
    reason: WaitingReason = Field(description="Why the item does not move now.")
    message: Text = Field(description="The same for people: the cause, on whom, what to do.")
    on: WaitingOn | None = Field(
        default=None, description="What it waits on; the Repository where many wait on the same."
    )


class ActiveRun(Model):
    name: Name = Field(description="Name of the run's Job.")
    uid: Uid | None = Field(default=None, description="The Job's uid, once it is known.")
    role: Role = Field(description="Who works.")
    stage: Stage = Field(description="The stage it works for.")
    attempt: Annotated[int, Field(ge=1)] = Field(description="Which attempt at this stage it is, from 1.")
    token: Word = Field(description="The run's own secret: an answer without it is foreign.")
    started_time: Time = Field(description="When the run was claimed.")
    reason: Text = Field(default="", description="Why the role works again; empty the first time.")


class LastRun(Model):
    name: Name = Field(description="Name of the run's Job.")
    role: Role = Field(description="Who worked.")
    stage: Stage = Field(description="The stage it worked for.")
    verdict: Verdict = Field(description="pass, fail, blocked, retry, or infrastructure where no usable answer came.")
    sha: Sha = Field(default="", description="The commit the answer speaks about.")
    summary: Text = Field(default="", description="What the run says it did, cut.")
    question: Text = Field(default="", description="The open question of a blocked run; cleared by resume.")
    coverage: Annotated[float, Field(ge=0, le=100)] | None = Field(
        default=None, description="Test coverage in percent."
    )
    started_time: Time = Field(description="When the run was claimed.")
    finished_time: Time = Field(description="When its answer was stored.")
    not_before_time: Time | None = Field(default=None, description="The role asked to wait until then.")


class DependencyStatus(Model):
    name: ItemName = Field(description="Name of the WorkItem that must be done first.")
    source: Literal["Spec", "Tracker"] = Field(description="Where it was said: in spec or in the ticket's relations.")


class Attempt(Model):
    cause: Cause = Field(description="What the rework is charged to.")
    count: Annotated[int, Field(ge=0)] = Field(description="How often; goes up, or to 0 by retry.")
    sha: Sha = Field(default="", description="The commit last charged, so that one red fact counts once.")


class Gate(Model):
    name: Word = Field(description="Name of the gate.")
    passed: bool = Field(description="Whether it held when it was last looked at.")
    head_sha: Sha = Field(default="", description="The commit it speaks about.")
    change_id: Sha = Field(default="", description="The change it speaks about, where that was known.")
    text_digest: Sha = Field(default="", description="Of a person's verdict: the ticket's text that it was given for.")
    reason: Line = Field(default="", description="Why it held or did not.")
    checked_time: Time = Field(description="When this word was given.")


class Approval(Model):
    gate: Word = Field(description="The human gate that is open: analysis_approved or deploy_approved.")
    head_sha: Sha = Field(default="", description="The commit that is to be approved.")
    text_digest: Sha = Field(default="", description="SHA-256 of the ticket's title and text as put before the person.")
    opened_time: ForeignTime = Field(
        description="The ticket's updated_at just before the gate opened; our clock without ticket."
    )


class TransitionJob(Model):
    name: Name = Field(description="Name of the effect's Job.")
    uid: Uid | None = Field(
        default=None, description="The Job's uid, once it is known: gone after that is EffectUnknown."
    )


class Precondition(Model):
    head_sha: Sha = Field(default="", description="The head the effect was decided for.")
    base_sha: Sha = Field(default="", description="The base the effect was decided for.")
    change_id: Sha = Field(default="", description="The change the effect was decided for.")


class Transition(Model):
    id: Word = Field(
        description="Hash of uid, edge, effect, commits and runs; once recorded it is read, never computed anew."
    )
    from_stage: Stage = Field(alias="from", description="The stage the item is in.")
    to_stage: Stage = Field(
        alias="to", description="The stage it is on its way to; its own where the effect moves none."
    )
    effect: Effect = Field(description="What is to happen at most once.")
    phase: Literal["Prepared", "Unknown"] = Field(description="Prepared: intended; Unknown: parked, nobody can tell.")
    job: TransitionJob | None = Field(default=None, description="The Job that carries the effect, if one does.")
    lease_used: bool = Field(default=False, description="Whether Leases were on when it began.")
    precondition: Precondition = Field(description="The commits the other side must still have.")
    previous_image: Annotated[str, Field(max_length=512)] = Field(
        default="", description="The image in production when this was intended, where the effect is a Job."
    )
    reason: Text = Field(default="", description="What it answers to, for who works next; empty where nothing failed.")
    fencing_token: Annotated[int, Field(ge=0)] = Field(description="Token of its present owner.")
    holder: Line = Field(description="Who owns it: pod uid, container, process nonce, acquisition.")
    deadline_time: Time = Field(description="When it is parked if nobody can tell what happened.")


class Monitor(Model):
    until_time: Time = Field(description="When the watch after the deploy ends.")
    verdict: Literal["Watching", "Healthy", "Degraded"] = Field(description="What it has found.")
    failures: Annotated[int, Field(ge=0)] = Field(default=0, description="Failed probes in a row.")
    freeze_id: Word = Field(default="", description="The automatic freeze it caused.")
    message: Text = Field(default="", description="What the last failed probe found; empty while all is well.")


class TrackerStatus(Model):
    state: Word = Field(default="", description="Id of the ticket's state as last seen.")
    ticket_updated_time: ForeignTime = Field(default="", description="The ticket's updated_at as last seen.")
    indicated_state: Word = Field(default="", description="Id of the state we last set: never a start or a verdict.")


class HandledRequest(Model):
    verb: Word = Field(description="The verb.")
    id: Word = Field(description="Id of the newest request handled.")
    result: Line = Field(description="Accepted, or Refused: why.")
    time: Time = Field(description="When it was handled.")


class HistoryEntry(Model):
    from_stage: Stage | None = Field(default=None, alias="from", description="The stage it left.")
    to_stage: Stage = Field(alias="to", description="The stage it entered.")
    time: Time = Field(description="When.")
    actor: Line = Field(description="Who moved it: the operator, or a person by name.")
    cause: Line = Field(description="Why.")
    transition_id: Word = Field(default="", description="The side effect it came with.")


class Override(Model):
    id: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        description="Id of the request; a new one opens the edge rule once."
    )
    from_stage: Stage = Field(alias="from", description="The stage it was in.")
    to_stage: Stage = Field(alias="to", description="The stage it was moved to.")
    by: Line = Field(default="", description="Who asked for it.")
    reason: Text = Field(default="", description="Why.")


class WorkItemStatus(Model):
    """Written by the operator alone. Every field but the lists may be absent."""

    model_config = ConfigDict(json_schema_extra=rules.WORKITEM_STATUS)

    observed_generation: int | None = Field(default=None, ge=0, description="metadata.generation that was looked at.")
    conditions: Annotated[tuple[Condition, ...], Field(max_length=8)] = Field(
        default=(),
        description="Succeeded, Reconciling, Stalled, AwaitingApproval, and Frozen on items under way.",
        json_schema_extra=list_map("type"),
    )
    stage: Stage | None = Field(default=None, description="Where the item is.")
    stage_entered_time: Time | None = Field(default=None, description="When it came there.")
    branch: Branch | None = Field(default=None, description="Its branch, fixed at admission.")
    base_branch: Branch | None = Field(default=None, description="The branch it goes to.")
    base_sha: Sha | None = Field(default=None, description="The base commit it was cut from or last rebased on.")
    head_sha: Sha | None = Field(default=None, description="The newest commit of the branch that was looked at.")
    change_id: Sha | None = Field(default=None, description="SHA-256 of the pull request's diff; survives a rebase.")
    pull_request: PullRequestRef | None = Field(default=None, description="The pull request.")
    merge_sha: Sha | None = Field(default=None, description="The commit on the base branch that contains the change.")
    image: Annotated[str, Field(max_length=512)] | None = Field(default=None, description="The image built, by digest.")
    revision: Line | None = Field(default=None, description="What the deploy Job says it deployed.")
    waiting: Waiting | None = Field(default=None, description="Why the item does not move now.")
    runs: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Runs and intents so far; never goes down."
    )
    active_run: ActiveRun | None = Field(default=None, description="The run at work.")
    last_run: LastRun | None = Field(default=None, description="The answer of the newest finished run.")
    dependencies: Annotated[tuple[DependencyStatus, ...], Field(max_length=64)] = Field(
        default=(), description="What must be done first, from spec and ticket.", json_schema_extra=list_map("name")
    )
    attempts: Annotated[tuple[Attempt, ...], Field(max_length=16)] = Field(
        default=(), description="Rework charged per cause.", json_schema_extra=list_map("cause")
    )
    gates: Annotated[tuple[Gate, ...], Field(max_length=16)] = Field(
        default=(), description="The last word of each gate, and for which commit.", json_schema_extra=list_map("name")
    )
    approval: Approval | None = Field(default=None, description="The human gate that is open now.")
    transition: Transition | None = Field(default=None, description="The side effect under way.")
    fencing_token: Annotated[int, Field(ge=0)] | None = Field(default=None, description="Never goes down.")
    monitor: Monitor | None = Field(default=None, description="The watch after the deploy.")
    tracker: TrackerStatus | None = Field(default=None, description="What we last saw and set in the tracker.")
    handled_requests: Annotated[tuple[HandledRequest, ...], Field(max_length=16)] = Field(
        default=(), description="Echo of people's verbs, the newest of each.", json_schema_extra=list_map("verb")
    )
    history: Annotated[tuple[HistoryEntry, ...], Field(max_length=20)] = Field(
        default=(),
        description="How it came here, oldest first.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    override: Override | None = Field(default=None, description="The last break-glass move.")

    def condition(self, name: str) -> Condition | None:
        return next((condition for condition in self.conditions if condition.type == name), None)

    def attempts_of(self, cause: Cause) -> Attempt:
        return next((attempt for attempt in self.attempts if attempt.cause == cause), Attempt(cause=cause, count=0))

    def gate(self, name: str) -> Gate | None:
        return next((gate for gate in self.gates if gate.name == name), None)

    @property
    def stalled(self) -> str | None:
        """The reason of condition Stalled while it is True."""
        found = self.condition("Stalled")
        return found.reason if found is not None and found.status == "True" else None
