"""One item with all that is known of it, and the few ways in which a step may change its status."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from conveyor.api.fields import Condition, rfc3339
from conveyor.api.objects import Repository, WorkItem
from conveyor.api.repository import RepositorySpec
from conveyor.api.stages import EDGES, TERMINAL, Stage
from conveyor.api.workitem import (
    HistoryEntry,
    StalledReason,
    Waiting,
    WaitingOn,
    WaitingReason,
    WorkItemStatus,
)
from conveyor.pipeline.actions import Moved, Note, Settle
from conveyor.pipeline.facts import (
    NOT_READ,
    ChangedFile,
    CommitStatus,
    Fact,
    ForgeReview,
    JobFact,
    ProbeFact,
    PullRequest,
    Ticket,
    TicketComment,
)
from conveyor.pipeline.indication import StateMap
from conveyor.pipeline.lane import Lane, is_under_way

ACTOR = "conveyor"
MAX_HISTORY = 20
SOON = 5.0
"""Seconds: how soon something outside that reports nothing is read again."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was read for this pass; what a stage does not need stays unread."""

    run_job: Fact[JobFact] = NOT_READ
    effect_job: Fact[JobFact] = NOT_READ
    ticket: Fact[Ticket | None] = NOT_READ
    comments: Fact[tuple[TicketComment, ...]] = NOT_READ
    branch_head: Fact[str | None] = NOT_READ
    base_head: Fact[str | None] = NOT_READ
    changed: Fact[tuple[ChangedFile, ...]] = NOT_READ
    pull: Fact[PullRequest | None] = NOT_READ
    """The recorded pull request by its number, else the open one of the branch."""
    own_login: Fact[str] = NOT_READ
    """Whose token ours is, empty where it may not say; read where the pull request is merged and no intent did it."""
    change_id: Fact[str] = NOT_READ
    statuses: Fact[tuple[CommitStatus, ...]] = NOT_READ
    reviews: Fact[tuple[ForgeReview, ...]] = NOT_READ
    head_in_base: Fact[bool] = NOT_READ
    """Whether the base branch contains the head that counts: the intent's, else the pull request's.

    Read after `pull` and `base_head`: where they differ from an intent's, a False then means that it never will.
    """
    base_in_head: Fact[bool] = NOT_READ
    """Whether the head contains the base's newest commit, so that it can be fast-forwarded to."""
    merge_in_production: Fact[bool] = NOT_READ
    """Whether the commit on record as deployed contains the one that we merged."""
    lane: Lane = field(default_factory=Lane)
    states: Fact[StateMap] = NOT_READ
    probes: tuple[ProbeFact, ...] | None = None
    """What each probe of a deployed item has found since the last pass; None: they were not due."""
    admitted: bool = False
    """Whether the Repository, read for this very pass, has the item as its active one."""
    slot_free: bool = False
    blockers: tuple[str, ...] = ()
    """Items of the tickets that block this one's."""
    blockers_without_item: int = 0
    """How many tickets block this one's and were never started."""
    refusal: str = ""
    """Why the forge refused the effect of the recorded intent a moment ago; empty: it did not."""
    conflict: tuple[str, ...] | None = None
    """The files that both sides changed, where it refused a rebase for a conflict; empty: they could not be read."""
    nonce: str = ""
    """Fresh random hexadecimal digits, for tokens."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The operator's own settings that decisions depend on."""

    holder: str
    """Who we are, as recorded in an intent."""
    serial_gate: bool = True
    freeze: bool = True
    dependencies: bool = True
    dependencies_source: str = "both"
    """spec, tracker or both."""
    premerge_rebase: bool = True
    """Whether a branch behind its base is rebased; False overrides every Repository's `alwaysRebase`."""
    transition_lease: bool = False
    ceiling_seconds: float = 7200.0
    """How long anything at all may take: longer than every time limit of a Repository that is Ready."""
    poll_seconds: float = 30.0
    """How often what reports nothing is read again."""
    agent_logins: frozenset[str] = frozenset()
    agents_known: bool = True
    """Whether `agent_logins` has all of them: who is not known to be an agent may be one."""
    reviewer_login: str = ""
    """Empty where it is unknown or somebody's who also writes the code."""


@dataclass(frozen=True, slots=True)
class Case:
    item: WorkItem
    repository: Repository
    facts: Facts
    policy: Policy
    now: datetime

    @property
    def status(self) -> WorkItemStatus:
        return self.item.status

    @property
    def spec(self) -> RepositorySpec:
        return self.repository.spec

    @property
    def stage(self) -> Stage:
        stage = self.item.status.stage
        if stage is None:
            raise ValueError("an item without a stage is begun before anything else is asked of it")
        return stage


@dataclass(frozen=True, slots=True)
class Orphan:
    """An item whose Repository is missing, or cannot be read."""

    item: WorkItem
    now: datetime
    policy: Policy
    facts: Facts = field(default_factory=Facts)
    """Of its Jobs alone."""
    missing: bool = True
    """Whether there is provably none."""

    @property
    def status(self) -> WorkItemStatus:
        return self.item.status


Situation = Case | Orphan
"""What the ways of changing a status need to know."""


def with_status(case: Case, status: WorkItemStatus) -> Case:
    return replace(case, item=case.item.model_copy(update={"status": status}))


def settle(
    case: Situation,
    status: WorkItemStatus,
    *,
    after: float | None = None,
    notes: tuple[Note, ...] = (),
    cause: str = "",
) -> Settle:
    """Store a status, its conditions brought in line with it."""
    moved = None
    if status.stage is not None and status.stage != case.status.stage:
        moved = Moved(from_stage=case.status.stage, to_stage=status.stage, cause=cause)
    return Settle(status=_with_conditions(case, status), after=after, notes=notes, moved=moved)


def wait(
    case: Situation,
    reason: WaitingReason,
    message: str,
    *,
    on: tuple[str, str] | None = None,
    after: float | None = None,
    status: WorkItemStatus | None = None,
    notes: tuple[Note, ...] = (),
) -> Settle:
    """Stay, and say why. A Stalled item that may go on is no longer Stalled."""
    base = unstalled(case, status or case.status)
    waiting = Waiting(
        reason=reason, message=message[:1024], on=WaitingOn(kind=on[0], name=on[1][:256]) if on is not None else None
    )
    return settle(case, base.model_copy(update={"waiting": waiting}), after=after, notes=notes)


def stall(
    case: Situation,
    reason: StalledReason,
    message: str,
    *,
    after: float | None = None,
    status: WorkItemStatus | None = None,
) -> Settle:
    """Stay until a person acts, or until what is named in the reason is mended."""
    base = status or case.status
    waiting = Waiting(reason=WaitingReason.PERSON, message=message[:1024])
    conditions = _put(case, base.conditions, "Stalled", status="True", reason=reason.value, message=message)
    changed = base.model_copy(update={"waiting": waiting, "conditions": conditions})
    new = case.status.stalled != reason.value
    notes = (Note(reason.value, message, warning=True),) if new else ()
    return settle(case, changed, after=after, notes=notes)


def unstalled(case: Situation, status: WorkItemStatus) -> WorkItemStatus:
    if status.stalled is None:
        return status
    conditions = _put(case, status.conditions, "Stalled", status="False", reason="Progressing", message="")
    return status.model_copy(update={"conditions": conditions})


def moved(
    case: Situation, status: WorkItemStatus, to: Stage, *, cause: str, actor: str = ACTOR, override: bool = False
) -> WorkItemStatus:
    """The status after entering a stage: waiting, stall and open gate end, history grows."""
    from_stage = status.stage
    if from_stage is not None and not override and to not in EDGES[from_stage]:
        raise ValueError(f"{from_stage} -> {to} is no edge")
    entry = HistoryEntry(
        from_stage=from_stage,
        to_stage=to,
        time=case.now,
        actor=actor[:256],
        cause=cause[:256],
        transition_id=status.transition.id if status.transition is not None else "",
    )
    return unstalled(case, status).model_copy(
        update={
            "stage": to,
            "stage_entered_time": case.now,
            "waiting": None,
            "approval": None,
            "transition": None,
            "history": (*status.history, entry)[-MAX_HISTORY:],
        }
    )


def advanced(case: Situation, to: Stage, cause: str) -> Note:
    return Note("StageAdvanced", f"{case.status.stage} -> {to}: {cause}")


def on_repository(case: Case) -> tuple[str, str]:
    """What an item waits on, where its Repository is what holds it."""
    return ("Repository", case.repository.name)


def open_time(case: Situation) -> str:
    """Our clock as an opening time, for items without ticket."""
    return rfc3339(case.now)


def _with_conditions(case: Situation, status: WorkItemStatus) -> WorkItemStatus:
    conditions = status.conditions
    for name, state, reason, message in _derived(status):
        conditions = _put(case, conditions, name, status=state, reason=reason, message=message)
    conditions = _frozen(case, status, conditions)
    return status.model_copy(update={"conditions": conditions, "observed_generation": case.item.metadata.generation})


def _frozen(case: Situation, status: WorkItemStatus, conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """Frozen stands on items under way alone, or a freeze would be a write for everybody who waits."""
    freeze = case.facts.lane.freeze if isinstance(case, Case) else None
    if freeze is None or not is_under_way(status.stage):
        return tuple(condition for condition in conditions if condition.type != "Frozen")
    reason = "Merges" if freeze.scope == "merge" else "Admission"
    return _put(case, conditions, "Frozen", status="True", reason=reason, message=freeze.reason)


def _derived(status: WorkItemStatus) -> tuple[tuple[str, str, str, str], ...]:
    """Type, status, reason and message of each condition that follows from the rest of the status."""
    stage = status.stage
    succeeded = {Stage.DONE: ("True", "Done"), Stage.CANCELLED: ("False", "Cancelled")}.get(
        stage or Stage.CREATED, ("Unknown", "UnderWay")
    )
    at_work = stage not in TERMINAL and status.stalled is None and (status.active_run or status.transition) is not None
    never_done = stage not in TERMINAL and status.stalled is None
    approval = status.approval
    working = "AtWork" if at_work else ("Waiting" if never_done else "Resting")
    asked = ("True", "GateOpen", approval.gate) if approval is not None else ("False", "NoGateOpen", "")
    return (
        ("Succeeded", *succeeded, ""),
        ("Reconciling", "True" if never_done else "False", working, ""),
        ("AwaitingApproval", *asked),
    )


def _put(
    case: Situation, conditions: tuple[Condition, ...], name: str, *, status: str, reason: str, message: str
) -> tuple[Condition, ...]:
    """With one condition set; its time moves only when its status does. One that says this already is left alone."""
    message = message[:1024]
    old = next((condition for condition in conditions if condition.type == name), None)
    if old is not None and (old.status, old.reason, old.message) == (status, reason, message):
        return conditions
    since = old.last_transition_time if old is not None and old.status == status else case.now
    new = Condition.model_validate(
        {"type": name, "status": status, "reason": reason, "message": message, "lastTransitionTime": since}
    )
    rest = [condition for condition in conditions if condition.type != name]
    return tuple(sorted([*rest, new], key=lambda condition: condition.type))
