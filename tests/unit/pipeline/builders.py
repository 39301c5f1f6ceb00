"""What a row of a table leaves out: an item that stands well in its stage, its Repository, facts that are all good."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from conveyor.api.annotations import TRANSITION_FINALIZER
from conveyor.api.answers import Verdict
from conveyor.api.objects import Metadata, Repository, WorkItem
from conveyor.api.repository import ActiveItem, Freeze, Production, RepositorySpec, RepositoryStatus
from conveyor.api.stages import ROLE_OF_STAGE, Role, Stage
from conveyor.api.workitem import (
    ActiveRun,
    Approval,
    Attempt,
    Cause,
    Effect,
    Gate,
    LastRun,
    Precondition,
    PullRequestRef,
    Source,
    StalledReason,
    TrackerStatus,
    Transition,
    TransitionJob,
    WorkItemSpec,
    WorkItemStatus,
)
from conveyor.pipeline.actions import Action, Settle
from conveyor.pipeline.case import Case, Facts, Orphan, Policy, settle, stall
from conveyor.pipeline.decide import decide
from conveyor.pipeline.facts import (
    ChangedFile,
    CommitStatus,
    ForgeReview,
    JobFact,
    JobState,
    PullRequest,
    Ticket,
    TrackerState,
    Unknown,
)
from conveyor.pipeline.indication import resolve
from conveyor.pipeline.job_kinds import JOB_KINDS
from conveyor.pipeline.lane import Lane

NOW = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)
ENTERED = NOW - timedelta(minutes=30)
UID = "11111111-2222-3333-4444-555555555555"
HOLDER = "pod/container/nonce"
REVIEWER, DEVELOPER = "reviewer-bot", "developer-bot"
POLICY = Policy(holder=HOLDER, agent_logins=frozenset({REVIEWER, DEVELOPER}), reviewer_login=REVIEWER)
UNKNOWN = Unknown("503 from the forge")
IMAGE, OLD_IMAGE = (f"registry.example/cart@sha256:{digit * 64}" for digit in "12")
BRANCH, NUMBER = "feature/ET-17-a-cart", 7
OPENED = "2026-03-02T11:00:00.000000Z"
LATER = "2026-03-02T11:30:00.000000Z"

HAS_PULL = (Stage.REVIEW, Stage.TESTING, Stage.DEPLOY_STAGING, Stage.DEPLOY, Stage.DONE)


def sha(name: str) -> str:
    return hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()


HEAD, BASE, CHANGE = sha("head"), sha("base"), hashlib.sha256(b"change").hexdigest()

STATES = resolve(
    tuple(
        TrackerState(id=f"id-{name}", name=name, group=group)
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
    ),
    {},
)


def metadata(name: str, *, uid: str = UID, annotations: Mapping[str, str] | None = None) -> Metadata:
    return Metadata(
        name=name,
        namespace="shop",
        uid=uid,
        resource_version="1",
        creation_timestamp=ENTERED,
        annotations=dict(annotations or {}),
    )


def repository(*, active: bool = True, **spec: Any) -> Repository:
    """`spec` in the API's own spelling, over one with Auto approvals and a deploy template."""
    whole = {
        "forge": {
            "url": "https://git.example",
            "owner": "shop",
            "name": "cart",
            "credentialsSecretRef": {"name": "forge"},
        },
        "agents": [{"role": role.value, "image": "agent:1", "timeoutSeconds": 3600} for role in Role],
        "gates": {"approval": {"analysis": "Auto", "deploy": "Auto"}},
        "deploy": {"template": {"spec": {"containers": []}}},
    }
    status = RepositoryStatus(active_item=ActiveItem(name="shop-et-17", uid=UID) if active else None)
    return Repository(
        metadata=metadata("shop", uid="repository"),
        spec=RepositorySpec.model_validate(whole | spec),
        status=status,
    )


def on_record(of: Repository, *, production: Production | None = None, freezes: tuple[Freeze, ...] = ()) -> Repository:
    """The Repository with these in its status."""
    status = of.status.model_copy(update={"production": production, "freezes": freezes})
    return of.model_copy(update={"status": status})


PERSON = repository(gates={"approval": {"analysis": "Person", "deploy": "Person"}})
AUTO = repository()


def last_run(stage: Stage, verdict: Verdict = Verdict.PASS, **fields: Any) -> LastRun:
    role = ROLE_OF_STAGE[stage]
    values: dict[str, Any] = {
        "name": f"shop-et-17-{role.value}-1",
        "role": role,
        "stage": stage,
        "verdict": verdict,
        "sha": HEAD,
        "started_time": ENTERED,
        "finished_time": NOW - timedelta(minutes=1),
    }
    return LastRun(**(values | fields))


def active_run(stage: Stage, **fields: Any) -> ActiveRun:
    role = ROLE_OF_STAGE[stage]
    values: dict[str, Any] = {
        "name": f"shop-et-17-{role.value}-3-abcd",
        "role": role,
        "stage": stage,
        "attempt": 1,
        "token": "token",
        "started_time": NOW - timedelta(minutes=5),
    }
    return ActiveRun(**(values | fields))


FROM_TO: Mapping[Effect, tuple[Stage, Stage]] = {
    Effect.CUT_BRANCH: (Stage.CREATED, Stage.ANALYSIS),
    Effect.OPEN_PULL_REQUEST: (Stage.DEVELOPMENT, Stage.DEVELOPMENT),
    Effect.MERGE: (Stage.DEPLOY_STAGING, Stage.DEPLOY),
    Effect.RATCHET: (Stage.DEPLOY, Stage.DEPLOY),
    Effect.PRODUCTION: (Stage.DEPLOY, Stage.DONE),
    Effect.ROLLBACK: (Stage.DEPLOY, Stage.DEVELOPMENT),
}


def effect_job(effect: Effect, *, uid: str | None = None) -> TransitionJob:
    return TransitionJob(name=f"shop-et-17-{effect.value.lower()}-0123456789", uid=uid)


def transition(effect: Effect, **fields: Any) -> Transition:
    start, end = FROM_TO.get(effect, (Stage.DEPLOY_STAGING, Stage.DEPLOY_STAGING))
    values: dict[str, Any] = {
        "id": "0123456789abcdef",
        "from_stage": start,
        "to_stage": end,
        "effect": effect,
        "phase": "Prepared",
        "job": effect_job(effect) if effect in JOB_KINDS else None,
        "previous_image": OLD_IMAGE if effect in JOB_KINDS else "",
        "precondition": Precondition(head_sha=HEAD, base_sha=BASE, change_id=CHANGE),
        "fencing_token": 4,
        "holder": HOLDER,
        "deadline_time": NOW + timedelta(minutes=2),
    }
    return Transition(**(values | fields))


def gate(name: str, *, passed: bool = True, **fields: Any) -> Gate:
    values = {"head_sha": HEAD, "change_id": CHANGE, "checked_time": ENTERED}
    return Gate(name=name, passed=passed, **(values | fields))


def approval(name: str, **fields: Any) -> Approval:
    values = {"head_sha": HEAD, "text_digest": digest(TICKET), "opened_time": OPENED}
    return Approval(gate=name, **(values | fields))


def attempts(**counts: int) -> tuple[Attempt, ...]:
    return tuple(Attempt(cause=Cause(cause), count=count) for cause, count in sorted(counts.items()))


def status(stage: Stage | None, **fields: Any) -> WorkItemStatus:
    """An item whose role has passed in this stage, all on record as it should be."""
    if stage is None:
        return WorkItemStatus(**fields)
    values: dict[str, Any] = {"stage": stage, "stage_entered_time": ENTERED, "runs": 5, "fencing_token": 4}
    if stage != Stage.CREATED:
        values |= {"branch": BRANCH, "base_branch": "main", "base_sha": BASE}
    if stage in HAS_PULL or stage == Stage.DEVELOPMENT:
        values |= {"head_sha": HEAD, "change_id": CHANGE, "pull_request": PullRequestRef(number=NUMBER, url="u")}
    if stage in ROLE_OF_STAGE:
        values["last_run"] = last_run(stage)
    if stage == Stage.DEPLOY_STAGING:
        values |= {
            "last_run": last_run(Stage.TESTING, started_time=ENTERED - timedelta(minutes=9)),
            "gates": (gate("review_approved"), gate("tests_passed")),
        }
    if stage in (Stage.DEPLOY, Stage.DONE):
        values["merge_sha"] = HEAD
    return WorkItemStatus(**(values | fields))


def item(
    stage: Stage | None,
    *,
    source: bool = False,
    spec: Mapping[str, Any] | None = None,
    annotations: Mapping[str, str] | None = None,
    held: bool = False,
    deleted: datetime | None = None,
    **fields: Any,
) -> WorkItem:
    """`fields` are of the status; `source` makes it a ticket's item, `held` one with our finalizer."""
    origin = Source(tracker="Plane", project_id="p", issue_id="i", key="ET-17") if source else None
    values: dict[str, Any] = {"repository_ref": {"name": "shop"}, "title": "A cart", "source": origin}
    return WorkItem(
        metadata=metadata("shop-et-17", annotations=annotations).model_copy(
            update={"finalizers": (TRANSITION_FINALIZER,) if held else (), "deletion_timestamp": deleted}
        ),
        spec=WorkItemSpec(**(values | dict(spec or {}))),
        status=status(stage, **fields),
    )


def stalled(whole: WorkItem, reason: StalledReason, message: str = "somebody has to look") -> WorkItem:
    """The item with condition Stalled, as the pipeline itself leaves it."""
    done = stall(Case(whole, AUTO, Facts(), POLICY, NOW), reason, message)
    return whole.model_copy(update={"status": done.status})


# --- facts


def digest(ticket: Ticket) -> str:
    return hashlib.sha256(f"{ticket.name}\0{ticket.text}".encode()).hexdigest()


TICKET = Ticket(
    id="i",
    key="ET-17",
    name="A cart",
    text="with wheels",
    state_id="id-In Progress",
    updated=OPENED,
    blocked_by=(),
    url="https://plane.example/ET-17",
)


def ticket(state: str, *, updated: str = LATER, **fields: Any) -> Ticket:
    return replace(TICKET, state_id=f"id-{state}", updated=updated, **fields)


def seen(state: str = "In Progress", *, updated: str = OPENED, indicated: str | None = None) -> TrackerStatus:
    """What `status.tracker` says: last seen in a state, which we set ourselves unless told otherwise."""
    ours = f"id-{state}" if indicated is None else indicated
    return TrackerStatus(state=f"id-{state}", ticket_updated_time=updated, indicated_state=ours)


def pull(**fields: Any) -> PullRequest:
    values: dict[str, Any] = {
        "number": NUMBER,
        "url": "https://git.example/shop/cart/pulls/7",
        "state": "open",
        "merged": False,
        "merged_by": "",
        "head": BRANCH,
        "head_sha": HEAD,
        "base": "main",
        "mergeable": True,
        "merge_sha": "",
    }
    return PullRequest(**(values | fields))


def merged_pull(by: str = "lead", **fields: Any) -> PullRequest:
    return pull(**({"state": "closed", "merged": True, "merged_by": by, "merge_sha": HEAD} | fields))


def green(state: str = "success", *, context: str = "ci", creator: str = "ci-bot") -> CommitStatus:
    return CommitStatus(context=context, creator=creator, state=state, url="")


def review(state: str = "APPROVED", *, author: str = REVIEWER, **fields: Any) -> ForgeReview:
    values: dict[str, Any] = {
        "commit": HEAD,
        "official": True,
        "dismissed": False,
        "stale": False,
        "body": "",
        "url": "",
    }
    return ForgeReview(author=author, state=state, **(values | fields))


def job(state: JobState = JobState.ENDED, **fields: Any) -> JobFact:
    values: dict[str, Any] = {"uid": "job-uid", "item_uid": UID, "complete": state == JobState.ENDED}
    return JobFact(state=state, **(values | fields))


MISSING = JobFact(JobState.MISSING)
FILES = (
    ChangedFile("docs/work-items/ET-17/01-analysis.md", "added"),
    ChangedFile("docs/work-items/SHOP-ET-17/01-analysis.md", "added"),
    ChangedFile("docs/work-items/ET-17/06-adr/0001.md", "added"),
    ChangedFile("docs/work-items/SHOP-ET-17/06-adr/0001.md", "added"),
    ChangedFile("src/cart.py", "modified"),
)
OPEN_LANE = Lane(ready=True, not_ready="", first=True)


def facts(**fields: Any) -> Facts:
    """Everything known and as good as can be: each stage's gates pass."""
    values: dict[str, Any] = {
        "run_job": MISSING,
        "effect_job": MISSING,
        "own_login": "operator",
        "ticket": TICKET,
        "comments": (),
        "branch_head": HEAD,
        "base_head": BASE,
        "changed": FILES,
        "pull": pull(),
        "change_id": CHANGE,
        "statuses": (green(),),
        "reviews": (review(),),
        "head_in_base": False,
        "base_in_head": True,
        "merge_in_production": False,
        "lane": OPEN_LANE,
        "states": STATES,
        "admitted": True,
        "slot_free": True,
        "nonce": "00ff",
    }
    return Facts(**(values | fields))


def case(
    whole: WorkItem, known: Facts | None = None, *, of: Repository = AUTO, now: datetime = NOW, policy: Policy = POLICY
) -> Case:
    return Case(whole, of, known if known is not None else facts(), policy, now)


def orphan(whole: WorkItem, *, now: datetime = NOW, missing: bool = True, **known: Any) -> Orphan:
    return Orphan(whole, now, POLICY, facts=Facts(**known), missing=missing)


def decided(whole: WorkItem, known: Facts | None = None, *, of: Repository = AUTO, now: datetime = NOW) -> Action:
    return decide(case(whole, known, of=of, now=now))


def settled(whole: WorkItem, known: Facts | None = None, *, of: Repository = AUTO, now: datetime = NOW) -> Settle:
    """The decision, where the row is about what is stored."""
    action = decided(whole, known, of=of, now=now)
    assert isinstance(action, Settle), action
    return action


def at_rest(whole: WorkItem) -> WorkItem:
    """With conditions and generation as the pipeline keeps them, so that what changes is the decision's alone."""
    done = settle(Case(whole, AUTO, Facts(), POLICY, NOW), whole.status)
    return whole.model_copy(update={"status": done.status})
