"""Which facts a decision about an item will ask for, so that nothing else is read."""

from __future__ import annotations

from enum import StrEnum

from conveyor.api.answers import Verdict
from conveyor.api.objects import Repository, WorkItem
from conveyor.api.stages import ROLE_OF_STAGE, TERMINAL, Stage
from conveyor.api.workitem import Effect, StalledReason
from conveyor.pipeline.lane import Lane
from conveyor.pipeline.overtaken import later_deploy
from conveyor.pipeline.proposal import is_unproposed
from conveyor.pipeline.requests import is_overridden
from conveyor.pipeline.superseding import NEVER_SUPERSEDED
from conveyor.pipeline.words import approved_by_a_person


class Want(StrEnum):
    """A fact of `Facts`; BRANCH is the branch's head, BASE the base's."""

    RUN_JOB = "run_job"
    EFFECT_JOB = "effect_job"
    TICKET = "ticket"
    STATES = "states"
    BRANCH = "branch_head"
    BASE = "base_head"
    CHANGED = "changed"
    PULL = "pull"
    CHANGE_ID = "change_id"
    STATUSES = "statuses"
    REVIEWS = "reviews"
    HEAD_IN_BASE = "head_in_base"
    BASE_IN_HEAD = "base_in_head"
    MERGE_IN_PRODUCTION = "merge_in_production"


_OF_EFFECT: dict[Effect, frozenset[Want]] = {
    Effect.CUT_BRANCH: frozenset({Want.BRANCH}),
    Effect.OPEN_PULL_REQUEST: frozenset({Want.PULL}),
    Effect.REBASE: frozenset({Want.PULL, Want.CHANGE_ID, Want.BASE_IN_HEAD}),
    Effect.MERGE: frozenset({Want.PULL, Want.BASE, Want.HEAD_IN_BASE}),
    Effect.IMAGE: frozenset({Want.PULL}),
    Effect.STAGING: frozenset({Want.PULL}),
    Effect.PRODUCTION: frozenset(),
    Effect.ROLLBACK: frozenset({Want.BASE}),
}
_PROPOSAL = frozenset({Want.PULL, Want.BRANCH, Want.CHANGED})
_OF_PULL = frozenset({Want.PULL, Want.CHANGE_ID, Want.HEAD_IN_BASE})
_OF_STAGE: dict[Stage, frozenset[Want]] = {
    Stage.ANALYSIS: frozenset({Want.BRANCH, Want.CHANGED}),
    Stage.ARCHITECTURE: frozenset({Want.BRANCH, Want.CHANGED}),
    Stage.DEVELOPMENT: _OF_PULL | {Want.STATUSES},
    Stage.REVIEW: _OF_PULL | {Want.REVIEWS},
    Stage.TESTING: _OF_PULL,
    Stage.DEPLOY_STAGING: _OF_PULL | {Want.STATUSES, Want.REVIEWS, Want.BASE, Want.BASE_IN_HEAD},
}
_OF_STALL: dict[str, frozenset[Want]] = {
    StalledReason.CI_SILENT: frozenset({Want.PULL, Want.STATUSES}),
    StalledReason.PULL_REQUEST_CLOSED: frozenset({Want.PULL}),
    StalledReason.BRANCH_GONE: frozenset({Want.PULL, Want.BRANCH, Want.BASE}),
    StalledReason.BASE_RENAMED: frozenset({Want.PULL}),
    StalledReason.MERGED_LATE: frozenset({Want.BASE}),
    StalledReason.DEPLOY_FAILED: frozenset({Want.BASE}),
    StalledReason.ROLLBACK_FAILED: frozenset({Want.BASE}),
    StalledReason.BASE_MOVED: frozenset({Want.PULL, Want.BASE, Want.BASE_IN_HEAD}),
}
"""What shows that a reason to stand still has ended, or is needed for the way out."""


def wants(
    item: WorkItem, repository: Repository, lane: Lane, *, look_at_ticket: bool, may_be_merged: bool = False
) -> frozenset[Want]:
    """What to read for this pass. `look_at_ticket`: somebody says that the ticket has changed. `may_be_merged`: the
    item has been cancelled, and a request of ours may still merge it.

    A ticket is read without that only where a gate is or may be opened: the tracker allows few requests.
    """
    status = item.status
    if item.metadata.deletion_timestamp is not None:
        return to_its_end(item) | _of_result(item, repository)
    if status.stage is None or status.stage in TERMINAL:
        return frozenset({Want.PULL}) if may_be_merged else frozenset()
    return _of_override(item) | _of_situation(item, repository, lane, look_at_ticket=look_at_ticket)


def _of_override(item: WorkItem) -> frozenset[Want]:
    """What an item needs to be moved to where it would need a branch of its own."""
    begins_anew = item.status.stage in (Stage.CREATED, Stage.DEPLOY) or item.status.merge_sha is not None
    if not begins_anew or not is_overridden(item):
        return frozenset()
    named = item.status.branch is not None or item.spec.source is None
    return frozenset({Want.BRANCH, Want.BASE}) | (frozenset() if named else frozenset({Want.TICKET, Want.STATES}))


def _of_situation(item: WorkItem, repository: Repository, lane: Lane, *, look_at_ticket: bool) -> frozenset[Want]:
    status = item.status
    ticket = frozenset({Want.TICKET, Want.STATES}) if item.spec.source is not None else frozenset()
    if status.transition is not None:
        job = frozenset({Want.EFFECT_JOB}) if status.transition.job is not None else frozenset()
        effect = _OF_EFFECT.get(status.transition.effect, frozenset()) | _of_result(item, repository)
        return effect | job | (ticket if look_at_ticket else frozenset())
    if status.active_run is not None:
        pull = frozenset({Want.PULL}) if status.pull_request is not None else frozenset()
        return frozenset({Want.RUN_JOB}) | pull | (ticket if look_at_ticket else frozenset())
    if status.stage == Stage.CREATED:
        if may_start(lane):
            return frozenset({Want.BRANCH, Want.BASE}) | ticket
        return ticket if look_at_ticket else frozenset()
    told = ticket if look_at_ticket or status.approval is not None or _gate_ahead(item, repository) else frozenset()
    return _of_work(item) | _of_deploy(item, repository) | _OF_STALL.get(status.stalled or "", frozenset()) | told


def _of_deploy(item: WorkItem, repository: Repository) -> frozenset[Want]:
    """What says whether a later commit is deployed than the one that is to be."""
    status = item.status
    begins = status.stage == Stage.DEPLOY and status.stalled is None and bool(repository.spec.deploy.template)
    return _in_doubt(item, repository) if begins else frozenset()


def _of_result(item: WorkItem, repository: Repository) -> frozenset[Want]:
    """The same of a deploy under way: what it comes to never replaces a later one."""
    transition = item.status.transition
    deploys = transition is not None and transition.effect == Effect.PRODUCTION
    return _in_doubt(item, repository) if deploys else frozenset()


def _in_doubt(item: WorkItem, repository: Repository) -> frozenset[Want]:
    doubt = bool(item.status.merge_sha) and later_deploy(item.status, repository) is not None
    return frozenset({Want.MERGE_IN_PRODUCTION}) if doubt else frozenset()


def to_its_end(item: WorkItem) -> frozenset[Want]:
    """What to read of an item that is being deleted: what was begun, and how that ends."""
    transition = item.status.transition
    run = frozenset({Want.RUN_JOB}) if item.status.active_run is not None else frozenset()
    if transition is None:
        return run
    lasting = _OF_EFFECT.get(transition.effect, frozenset()) if transition.effect in NEVER_SUPERSEDED else frozenset()
    return run | lasting | (frozenset({Want.EFFECT_JOB}) if transition.job is not None else frozenset())


def _of_work(item: WorkItem) -> frozenset[Want]:
    """What the stage's own work asks of the forge; before its role has worked only what may be in the way."""
    status = item.status
    if not _role_has_passed(item):
        recorded = status.pull_request is not None
        proposal = _PROPOSAL if is_unproposed(item) and status.stage != Stage.DEVELOPMENT else frozenset()
        return (_OF_PULL if recorded else frozenset()) | proposal
    proposal = _PROPOSAL if is_unproposed(item) else frozenset()
    return _OF_STAGE.get(status.stage or Stage.CREATED, frozenset()) | proposal


def _role_has_passed(item: WorkItem) -> bool:
    """Whether the stage's gates may be asked at all; else its role works first, or a person is asked."""
    stage, last = item.status.stage, item.status.last_run
    if stage not in ROLE_OF_STAGE:
        return True
    return last is not None and last.stage == stage and last.verdict == Verdict.PASS


def may_start(lane: Lane) -> bool:
    """Whether nothing that the cache knows holds a waiting item back."""
    held = lane.freeze is not None or bool(lane.occupied_by) or bool(lane.cycle) or not lane.first
    held = held or lane.watched_until is not None
    return lane.ready and not held and all(needed.state == "done" for needed in lane.dependencies)


def _gate_ahead(item: WorkItem, repository: Repository) -> bool:
    """Whether the stage's human gate may have to be opened now, for which the ticket is read just before."""
    approval = repository.spec.gates.approval
    asked = {
        Stage.ANALYSIS: (approval.analysis, "analysis_approved"),
        Stage.DEPLOY_STAGING: (approval.deploy, "deploy_approved"),
    }
    who, gate = asked.get(item.status.stage or Stage.CREATED, ("", ""))
    return who == "Person" and not approved_by_a_person(item.status.gate(gate))
