"""Whether a Repository's items may be admitted, and what its status says: pure, from what was checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from conveyor.api.fields import Condition
from conveyor.api.objects import Repository
from conveyor.api.repository import NotReadyReason, RepositorySpec, RepositoryStatus, TrackerSeen, WebhookStatus
from conveyor.api.stages import WRITERS, Role
from conveyor.pipeline.facts import NOT_READ, Fact, ForgeSettings, HookState, Unknown
from conveyor.pipeline.indication import StateMap
from conveyor.pipeline.job_kinds import JOB_KINDS, OVERTIME_SECONDS
from conveyor.pipeline.lane import effective_freeze

HOOK_EVENTS = frozenset({"push", "pull_request", "status"})
"""What must be among a hook's events; `pull_request` stands for its whole group (measured with Gitea 1.26)."""


@dataclass(frozen=True, slots=True)
class Checks:
    """What was found out about a Repository. `bad_credentials` names the Secret that is missing or refused."""

    settings: Fact[ForgeSettings] = NOT_READ
    hooks: Fact[tuple[HookState, ...]] = NOT_READ
    identifier: Fact[str | None] = NOT_READ
    states: Fact[StateMap | None] = NOT_READ
    bad_credentials: str = ""
    twin: str = ""
    logins: Mapping[str, str] = field(default_factory=dict)
    """Forge logins of the agents by role, as far as they are known."""
    agents: frozenset[Role] = field(default_factory=frozenset)
    hook_path: str = ""
    """What the address of our webhook ends with."""
    ceiling_seconds: float = 7200
    """After which a transition's Lease is released by force."""


Problem = tuple[NotReadyReason, str]


def problem(spec: RepositorySpec, checks: Checks) -> Problem | None:
    """The first reason for which nothing is admitted; None where all is well."""
    for check in CHECKS:
        found = check(spec, checks)
        if found is not None:
            return found
    return None


def _ceiling(spec: RepositorySpec, checks: Checks) -> Problem | None:
    """What may take longer than a Lease lasts at most would be taken over while it is at work."""
    limits = {kind.limited_by: kind.seconds(spec) for kind in JOB_KINDS.values() if kind.template(spec)}
    limits["merge.retestTimeoutSeconds"] = spec.merge.retest_timeout_seconds
    most = round(checks.ceiling_seconds) - OVERTIME_SECONDS
    long = [f"{name} ({seconds} s)" for name, seconds in limits.items() if seconds > most]
    if not long:
        return None
    text = (
        f"{', '.join(long)}: more than {most} s; lower it, or raise the operator's CONVEYOR_REAPER_MAX_RUNNING_SECONDS"
    )
    return NotReadyReason.CEILING_TOO_SMALL, text


def _twin(_: RepositorySpec, checks: Checks) -> Problem | None:
    if not checks.twin:
        return None
    text = f"the older Repository {checks.twin} has the same forge repository or project: remove one of the two"
    return NotReadyReason.TWIN, text


def _credentials(_: RepositorySpec, checks: Checks) -> Problem | None:
    return (NotReadyReason.BAD_CREDENTIALS, checks.bad_credentials) if checks.bad_credentials else None


def _forge(spec: RepositorySpec, checks: Checks) -> Problem | None:
    match checks.settings:
        case Unknown(reason=reason):
            return NotReadyReason.UNREACHABLE, f"{spec.forge.url} could not be asked: {reason}"
        case ForgeSettings(can_push=False):
            where = f"{spec.forge.owner}/{spec.forge.name}"
            return NotReadyReason.BAD_CREDENTIALS, f"the operator's token may not push to {where}: give it write access"
        case ForgeSettings():
            return None


def _reviewer(_: RepositorySpec, checks: Checks) -> Problem | None:
    """Nobody approves what they wrote themselves, nor what they are about to merge."""
    login = checks.logins.get(Role.REVIEWER, "")
    writers = {checks.logins.get(role, "") for role in WRITERS}
    if isinstance(checks.settings, ForgeSettings):
        writers.add(checks.settings.login)
    if not login or login not in writers:
        return None
    text = f"the reviewer's token is {login}'s, who also writes or merges: give the reviewer a user of its own"
    return NotReadyReason.BAD_CREDENTIALS, text


def _protection(spec: RepositorySpec, checks: Checks) -> Problem | None:
    match checks.settings:
        case ForgeSettings(protected=False) as settings:
            branch = spec.forge.default_branch
            return NotReadyReason.UNPROTECTED, settings.unprotected_reason or f"{branch} is not protected: protect it"
        case _:
            return None


def _merge(_: RepositorySpec, checks: Checks) -> Problem | None:
    match checks.settings:
        case ForgeSettings() as settings:
            off = {
                "fast-forward-only merges": settings.allow_fast_forward,
                "updating a branch by rebase": settings.allow_rebase_update,
                "marking a pull request as manually merged": settings.allow_manual_merge,
            }
            names = [name for name, allowed in off.items() if not allowed]
            if names:
                text = f"the forge's repository does not allow {', '.join(names)}: allow it in its settings"
                return NotReadyReason.MERGE_NOT_ALLOWED, text
            return None
        case _:
            return None


def _tracker(spec: RepositorySpec, checks: Checks) -> Problem | None:
    if spec.tracker is None:
        return None
    match checks.identifier:
        case Unknown(reason=reason):
            return NotReadyReason.UNREACHABLE, f"{spec.tracker.url} could not be asked: {reason}"
        case str() as found if found != spec.tracker.identifier:
            text = (
                f"wanted project {spec.tracker.identifier}, found {found}: mend tracker.identifier or tracker.projectID"
            )
            return NotReadyReason.STATES_MISSING, text
        case _:
            pass
    match checks.states:
        case Unknown(reason=reason):
            return NotReadyReason.UNREACHABLE, f"the states of {spec.tracker.url} could not be read: {reason}"
        case StateMap() as states:
            approval = spec.gates.approval
            lacking = states.lacking(person_gates="Person" in (approval.analysis, approval.deploy))
            if lacking:
                return NotReadyReason.STATES_MISSING, f"the project has no state for {', '.join(lacking)}"
            return None
        case None:
            return None


def _agents(_: RepositorySpec, checks: Checks) -> Problem | None:
    missing = [role.value for role in Role if role not in checks.agents]
    if not missing:
        return None
    text = f"neither the Repository nor the operator's default has an agent for {', '.join(missing)}"
    return NotReadyReason.AGENT_MISSING, text


CHECKS: tuple[Callable[[RepositorySpec, Checks], Problem | None], ...] = (
    _ceiling,
    _twin,
    _credentials,
    _forge,
    _reviewer,
    _protection,
    _merge,
    _tracker,
    _agents,
)


# --- status


def judged(repository: Repository, checks: Checks, *, now: datetime, freeze_enabled: bool = True) -> RepositoryStatus:
    """The Repository's status as these checks have it."""
    found = problem(repository.spec, checks)
    hooks = webhook_statuses(checks)
    old = repository.status
    unhealthy = next((hook for hook in hooks if not hook.healthy), None)
    conditions = {
        "Ready": _condition(
            "Ready",
            holds=found is None,
            reason=found[0].value if found is not None else "Ready",
            message=found[1] if found is not None else "",
        ),
        "WebhooksHealthy": _condition(
            "WebhooksHealthy",
            holds=unhealthy is None,
            reason="Healthy" if unhealthy is None else "Unhealthy",
            message=unhealthy.message if unhealthy is not None else "",
        ),
    }
    seen = old.tracker
    if isinstance(checks.states, StateMap):
        seen = TrackerSeen(start_state_ids=tuple(sorted(checks.states.start_ids)))
    status = old.model_copy(
        update={
            "observed_generation": repository.metadata.generation,
            "conditions": _with(old, conditions, now),
            "tracker": seen,
            "webhooks": hooks,
        }
    )
    return frozen(repository.model_copy(update={"status": status}), now=now, enabled=freeze_enabled)


def frozen(repository: Repository, *, now: datetime, enabled: bool = True) -> RepositoryStatus:
    """The status with the freeze that is in force now."""
    old = repository.status
    freeze = effective_freeze(repository.metadata.annotations, old, now=now) if enabled else None
    condition = _condition(
        "Frozen",
        holds=freeze is not None,
        reason=freeze.source if freeze is not None else "NotFrozen",
        message=freeze.reason if freeze is not None else "",
    )
    conditions = _with(old, {"Frozen": condition}, now)
    return old.model_copy(update={"effective_freeze": freeze, "conditions": conditions})


def webhook_statuses(checks: Checks) -> tuple[WebhookStatus, ...]:
    """Gitea's registration; Plane's cannot be read in its community edition."""
    match checks.hooks:
        case Unknown() as unknown:
            return (WebhookStatus(source="Gitea", healthy=False, message=_unread_hooks(checks, unknown)[:1024]),)
        case hooks:
            ours = [hook for hook in hooks if hook.url.split("?")[0].endswith(checks.hook_path)]
            return (_gitea_hook(ours, checks.hook_path),)


def _unread_hooks(checks: Checks, unknown: Unknown) -> str:
    """What was never asked for has its cause in what was asked before."""
    if unknown is not NOT_READ:
        return f"the hooks could not be read: {unknown.reason}"
    settings = checks.settings.reason if isinstance(checks.settings, Unknown) else ""
    return f"the hooks were not asked for: {checks.bad_credentials or settings}"


def _gitea_hook(ours: list[HookState], path: str) -> WebhookStatus:
    active = [hook for hook in ours if hook.active]
    if not active:
        state = "is not active" if ours else "is missing"
        return WebhookStatus(source="Gitea", healthy=False, message=f"the webhook to …{path} {state}")
    lacking = HOOK_EVENTS - active[0].events
    if lacking:
        text = f"the webhook to …{path} does not send {', '.join(sorted(lacking))}"
        return WebhookStatus(source="Gitea", healthy=False, message=text)
    return WebhookStatus(source="Gitea", healthy=True)


def _condition(name: str, *, holds: bool, reason: str, message: str) -> dict[str, str]:
    return {"type": name, "status": "True" if holds else "False", "reason": reason, "message": message[:1024]}


def _with(old: RepositoryStatus, new: Mapping[str, dict[str, str]], now: datetime) -> tuple[Condition, ...]:
    rest = {condition.type: condition for condition in old.conditions}
    found = rest | {name: _kept(old, condition, now) for name, condition in new.items()}
    return tuple(found[name] for name in sorted(found))


def _kept(old: RepositoryStatus, new: dict[str, str], now: datetime) -> Condition:
    """Its time moves only when its status does."""
    before = old.condition(new["type"])
    since = before.last_transition_time if before is not None and before.status == new["status"] else now
    return Condition.model_validate(new | {"lastTransitionTime": since})
