"""The kind Repository: where the code is and how it is carried. The descriptions here are the CRD's."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from conveyor.api import rules
from conveyor.api.fields import (
    Branch,
    Condition,
    ItemName,
    ItemNameOrNone,
    Line,
    Model,
    Sha,
    Text,
    Time,
    Uid,
    Url,
    Word,
    bounded_map,
    list_map,
)
from conveyor.api.stages import Role, Stage
from conveyor.api.workitem import Cause, HandledRequest

Seconds = Annotated[int, Field(ge=1, le=7 * 86400)]
OPEN_OBJECT = {"x-kubernetes-preserve-unknown-fields": True, "maxProperties": 32}
TOTAL = "total"
"""Key of `retries` for all causes together."""
PodTemplate = Annotated[dict[str, Any], Field(json_schema_extra=OPEN_OBJECT)]


class NotReadyReason(StrEnum):
    """Why no item of a repository is admitted; the reason of condition Ready."""

    BAD_CREDENTIALS = "BadCredentials"
    UNREACHABLE = "Unreachable"
    UNPROTECTED = "Unprotected"
    MERGE_NOT_ALLOWED = "MergeNotAllowed"
    STATES_MISSING = "StatesMissing"
    AGENT_MISSING = "AgentMissing"
    CEILING_TOO_SMALL = "CeilingTooSmall"
    TWIN = "Twin"


class SecretRef(Model):
    name: Annotated[str, Field(min_length=1, max_length=253)] = Field(description="Name of a Secret in this namespace.")


class Forge(Model):
    model_config = ConfigDict(json_schema_extra=rules.FORGE)

    type: Literal["Gitea"] = Field(default="Gitea", description="Which forge.")
    url: Annotated[str, Field(min_length=1, max_length=512, pattern=r"^https?://")] = Field(
        description="Address of the forge; immutable."
    )
    owner: Annotated[str, Field(min_length=1, max_length=100)] = Field(description="User or organization; immutable.")
    name: Annotated[str, Field(min_length=1, max_length=100)] = Field(
        description="Name of the repository there; immutable."
    )
    default_branch: Branch = Field(default="main", description="The branch that work is merged to.")
    credentials_secret_ref: SecretRef = Field(
        description="Secret with `token` and `url`; the token goes to no other host."
    )
    webhook_secret_ref: SecretRef | None = Field(
        default=None, description="Secret with `secret`, and `previous` if rotated."
    )


class Tracker(Model):
    type: Literal["Plane"] = Field(default="Plane", description="Which tracker.")
    url: Annotated[str, Field(min_length=1, max_length=512, pattern=r"^https?://")] = Field(
        description="Address of the tracker."
    )
    workspace: Annotated[str, Field(min_length=1, max_length=100)] = Field(description="Slug of the workspace.")
    project_id: Word = Field(description="The tracker's id of the project; immutable.")
    identifier: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]{0,11}$", max_length=12)] = Field(
        description="Prefix of the project's keys, such as ET; checked against the tracker."
    )
    credentials_secret_ref: SecretRef = Field(description="Secret with `token` and `url`.")
    webhook_secret_ref: SecretRef | None = Field(
        default=None, description="Secret with `secret`, and `previous` if rotated."
    )
    states: dict[str, Line] = Field(
        default={},
        description="Logical state to the name or id of the project's state.",
        json_schema_extra={"maxProperties": 32},
    )


class Agent(Model):
    role: Role = Field(description="Which role this agent plays.")
    image: Annotated[str, Field(min_length=1, max_length=512)] = Field(description="Its container image.")
    command: Annotated[tuple[Text, ...], Field(max_length=32)] = Field(
        default=(), description="Its command, not in a shell."
    )
    args: Annotated[tuple[Text, ...], Field(max_length=64)] = Field(default=(), description="Its arguments.")
    env: Annotated[tuple[PodTemplate, ...], Field(max_length=64)] = Field(
        default=(), description="Environment, as in a container."
    )
    env_from: Annotated[tuple[PodTemplate, ...], Field(max_length=16)] = Field(
        default=(), description="Environment from Secrets and ConfigMaps, as in a container."
    )
    resources: PodTemplate = Field(default={}, description="Requests and limits, as in a container.")
    timeout_seconds: Seconds = Field(default=3600, description="A run of this role is stopped after this time.")
    pod_template: PodTemplate = Field(default={}, description="Pod template merged under the run's own.")


class CIGate(Model):
    mode: Literal["Required", "None"] = Field(default="Required", description="None lets every commit pass.")
    contexts: Annotated[tuple[Line, ...], Field(max_length=32)] = Field(
        default=(), description="Status contexts that must be green."
    )
    creators: Annotated[tuple[Line, ...], Field(max_length=16)] = Field(
        default=(), description="Logins whose statuses count; empty: everybody's but the agents'."
    )
    timeout_seconds: Seconds = Field(
        default=3600, description="Without a word for so long the item is Stalled, CISilent."
    )


class ReviewGate(Model):
    approvals: Annotated[int, Field(ge=1, le=16)] = Field(default=1, description="How many approvals are needed.")
    reviewers: Annotated[tuple[Line, ...], Field(max_length=32)] = Field(
        default=(), description="People whose reviews count beside the reviewer agent's."
    )


class CoverageGate(Model):
    enabled: bool = Field(default=False, description="Whether coverage may not fall.")
    tolerance: Annotated[float, Field(ge=0, le=100)] = Field(
        default=0, description="By how many percentage points it may fall."
    )


class ImageGate(Model):
    enabled: bool = Field(default=False, description="Whether an image is built before the merge.")
    repository: Annotated[str, Field(max_length=512)] = Field(default="", description="Image repository.")
    template: PodTemplate = Field(default={}, description="Pod template of the build Job.")


class ApprovalGates(Model):
    analysis: Literal["Person", "Auto"] = Field(default="Person", description="Who lets the analysis pass.")
    deploy: Literal["Person", "Auto"] = Field(default="Person", description="Who lets the deploy begin.")


class Gates(Model):
    ci: CIGate = Field(default=CIGate(), description="CI on the head commit.")
    review: ReviewGate = Field(default=ReviewGate(), description="Reviews on the forge.")
    coverage: CoverageGate = Field(default=CoverageGate(), description="Coverage ratchet.")
    image: ImageGate = Field(default=ImageGate(), description="Image build.")
    approval: ApprovalGates = Field(default=ApprovalGates(), description="Human gates.")


class Merge(Model):
    style: Literal["fast-forward-only"] = Field(
        default="fast-forward-only", description="The one style that lands what was tested."
    )
    retest_timeout_seconds: Seconds = Field(
        default=900, description="CI must be green again on the rebased commit within it."
    )
    always_rebase: bool = Field(default=True, description="False: a moved base is Stalled, BaseMoved.")


class Staging(Model):
    template: PodTemplate = Field(default={}, description="Pod template of the staging Job; empty: none.")
    timeout_seconds: Seconds = Field(default=1800, description="The Job is stopped after this time.")


class Deploy(Model):
    template: PodTemplate = Field(default={}, description="Pod template of the production Job; empty: none.")
    timeout_seconds: Seconds = Field(default=1800, description="The Job is stopped after this time.")
    rollback_template: PodTemplate = Field(default={}, description="Pod template of the rollback Job; empty: none.")
    on_failure: Literal["Rework", "Hold"] = Field(default="Rework", description="What follows a rollback.")


class Probe(Model):
    model_config = ConfigDict(json_schema_extra=rules.PROBE)

    url: Url | None = Field(default=None, description="Healthy if it answers 2xx.")
    prometheus: Url | None = Field(default=None, description="Address of a Prometheus.")
    query: Text | None = Field(default=None, description="Healthy if the query gives a result other than 0.")


class MonitorSpec(Model):
    window_seconds: Annotated[int, Field(ge=0, le=86400)] = Field(
        default=0, description="How long to watch after a deploy; 0: not."
    )
    interval_seconds: Seconds = Field(default=15, description="Time between probes.")
    failure_threshold: Annotated[int, Field(ge=1, le=100)] = Field(
        default=3, description="Failures in a row that mean degraded."
    )
    probes: Annotated[tuple[Probe, ...], Field(max_length=16)] = Field(default=(), description="What is asked.")
    on_degraded: Literal["Freeze", "AlertOnly"] = Field(default="Freeze", description="What follows.")


class SerialGate(Model):
    mode: Literal["Enabled", "Disabled"] = Field(
        default="Enabled", description="Whether one item at a time is under way."
    )
    on_stalled: Literal["Hold", "Pass"] = Field(default="Hold", description="Whether a Stalled item holds the lane.")
    wait_for_monitor: bool = Field(default=True, description="Whether the next waits for the last deploy's verdict.")


class RepositorySpec(Model):
    """The policy of one code repository."""

    model_config = ConfigDict(json_schema_extra=rules.REPOSITORY_SPEC)

    forge: Forge = Field(description="Where the code is.")
    tracker: Tracker | None = Field(default=None, description="Where the tickets are; absent: items are made by hand.")
    agents: Annotated[tuple[Agent, ...], Field(max_length=8)] = Field(
        default=(),
        description="Who works; a missing role falls back to the operator's default.",
        json_schema_extra=list_map("role"),
    )
    agent_credentials_secret_ref: SecretRef | None = Field(
        default=None, description="Forge tokens of the trusted steps: key `token`, or one per role."
    )
    queue_name: Annotated[str, Field(max_length=253)] | None = Field(
        default=None, description="Kueue queue of the runs."
    )
    gates: Gates = Field(default=Gates(), description="What must hold.")
    merge: Merge = Field(default=Merge(), description="How work is merged.")
    staging: Staging = Field(default=Staging(), description="The staging Job.")
    deploy: Deploy = Field(default=Deploy(), description="The production Job.")
    monitor: MonitorSpec = Field(default=MonitorSpec(), description="The watch after a deploy.")
    serial_gate: SerialGate = Field(default=SerialGate(), description="How many items are under way.")
    max_concurrent_runs: Annotated[int, Field(ge=1, le=1000)] | None = Field(default=None, description="Runs at once.")
    retries: dict[str, Annotated[int, Field(ge=0, le=100)]] = Field(
        default={},
        description="Cause, or total, to how often rework is charged to it.",
        json_schema_extra=bounded_map([*Cause, TOTAL]),
    )
    grace_seconds: dict[str, Seconds] = Field(
        default={},
        description="Stage to how long it may stand still before it is looked at again. Not read by this version.",
        json_schema_extra=bounded_map(Stage),
    )

    def cap(self, cause: Cause) -> int:
        return self.retries.get(cause.value, 3)

    @property
    def cap_total(self) -> int:
        return self.retries.get(TOTAL, 6)


# --- status


class ActiveItem(Model):
    name: ItemName = Field(description="The WorkItem under way.")
    uid: Uid = Field(description="Its uid: a namesake made later is another.")


class Freeze(Model):
    id: Word = Field(description="Id of the transition that caused it.")
    reason: Text = Field(description="Why.")
    item: ItemNameOrNone = Field(default="", description="The item whose deploy caused it; it passes the freeze.")
    item_uid: Uid | None = Field(default=None, description="Its uid: a namesake made later is another and is held.")
    scope: Literal["admission", "merge"] = Field(default="merge", description="What stops.")
    since_time: Time = Field(description="Since when.")
    cleared_time: Time | None = Field(default=None, description="When it was cleared.")
    cleared_by: Line | None = Field(default=None, description="Who cleared it.")


class EffectiveFreeze(Model):
    reason: Text = Field(description="Why the repository is frozen.")
    source: Word = Field(description="Annotation, or Automatic.")
    scope: Literal["admission", "merge"] = Field(description="What stops.")
    since_time: Time = Field(description="Since when.")
    until_time: Time | None = Field(default=None, description="When it ends by itself.")


class Coverage(Model):
    percent: Annotated[float, Field(ge=0, le=100)] = Field(description="The highest coverage merged.")
    sha: Sha = Field(description="The commit that has it.")


class Production(Model):
    image: Annotated[str, Field(max_length=512)] = Field(default="", description="The image deployed.")
    sha: Sha = Field(description="The commit deployed.")
    revision: Line = Field(default="", description="What the deploy Job said.")
    item: ItemNameOrNone = Field(default="", description="The item that deployed it.")


class TrackerSeen(Model):
    start_state_ids: Annotated[tuple[Word, ...], Field(max_length=16)] = Field(
        default=(),
        description="Ids of the states that start work.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )


class WebhookStatus(Model):
    source: Word = Field(description="Gitea or Plane.")
    healthy: bool = Field(description="Whether it exists, is active and has the right address and events.")
    message: Text = Field(default="", description="What is wrong.")


class RepositoryStatus(Model):
    """Written by the operator alone. Every field but the lists may be absent."""

    observed_generation: int | None = Field(default=None, ge=0, description="metadata.generation that was looked at.")
    conditions: Annotated[tuple[Condition, ...], Field(max_length=8)] = Field(
        default=(),
        description="Ready, WebhooksHealthy, Frozen, and Deleting while a deletion waits.",
        json_schema_extra=list_map("type"),
    )
    active_item: ActiveItem | None = Field(
        default=None,
        description="The item admitted last. It may have ended since: the next admission tells, not this field.",
    )
    freezes: Annotated[tuple[Freeze, ...], Field(max_length=32)] = Field(
        default=(), description="Automatic freezes.", json_schema_extra=list_map("id")
    )
    effective_freeze: EffectiveFreeze | None = Field(default=None, description="The freeze in force.")
    coverage: Coverage | None = Field(default=None, description="The ratchet's last mark.")
    production: Production | None = Field(default=None, description="What was deployed last.")
    tracker: TrackerSeen | None = Field(default=None, description="What the ingress needs to know of the tracker.")
    webhooks: Annotated[tuple[WebhookStatus, ...], Field(max_length=4)] = Field(
        default=(), description="Health of the senders' registrations.", json_schema_extra=list_map("source")
    )
    handled_requests: Annotated[tuple[HandledRequest, ...], Field(max_length=16)] = Field(
        default=(), description="Echo of people's verbs, the newest of each.", json_schema_extra=list_map("verb")
    )

    def condition(self, name: str) -> Condition | None:
        return next((condition for condition in self.conditions if condition.type == name), None)
