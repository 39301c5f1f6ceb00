"""Which Leases a step needs, and which stay held after it (decisions 0006 and 0012).

A Lease keeps a second actor from starting the same heavy work; it is not what makes a transition safe.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from conveyor.api.objects import WorkItem
from conveyor.api.stages import Stage
from conveyor.api.workitem import Effect, Transition, WaitingReason, WorkItemStatus
from conveyor.pipeline.actions import Action, Amend, Apply, Settle
from conveyor.pipeline.lane import CLOCK_SKEW

REGION = frozenset({Effect.REBASE, Effect.IMAGE, Effect.STAGING, Effect.MERGE, Effect.RATCHET})
"""One item at a time per repository goes through these, from first to last."""
DEPLOYS = frozenset({Effect.PRODUCTION, Effect.ROLLBACK})
"""One Job at a time per repository changes what runs, from its intent to its result on record."""
_KEPT_IN_DOUBT = DEPLOYS | {Effect.MERGE}
_FOR_A_PERSON = frozenset({WaitingReason.REPOSITORY_FROZEN, WaitingReason.REVIEW, WaitingReason.SUSPENDED})


def transition_lease(item: WorkItem) -> str:
    return f"transition-{item.metadata.uid}"


def merge_lease(item: WorkItem) -> str:
    return f"merge-{item.spec.repository_ref.name}"


def deploy_lease(item: WorkItem) -> str:
    return f"deploy-{item.spec.repository_ref.name}"


def leases_of(item: WorkItem) -> frozenset[str]:
    """All that an item can ever hold."""
    return frozenset({transition_lease(item), merge_lease(item), deploy_lease(item)})


def needed(item: WorkItem, action: Action, *, enabled: bool) -> frozenset[str]:
    """What must be held before this action is carried out. `enabled`: whether Leases are on for new intents.

    An intent on record keeps the mode in which it began, whatever the switch says now. An item that is being deleted
    begins nothing, and what it puts on record is safe without: it waits for nobody. So is to leave the region.
    """
    if item.metadata.deletion_timestamp is not None:
        return frozenset()
    match action:
        case Settle(status=status):
            left = _of(item, item.status, enabled=enabled) if item.status.transition is not None else frozenset()
            return left | _of(item, status, enabled=enabled)
        case Apply() | Amend():
            return _of(item, item.status, enabled=enabled)
        case _:
            return frozenset()


def kept(item: WorkItem, *, enabled: bool) -> frozenset[str]:
    """What stays held between passes: what the next step needs, and what a parked merge, deploy or rollback had."""
    transition = item.status.transition
    if item.metadata.deletion_timestamp is not None:
        return frozenset()
    if transition is not None and transition.phase == "Unknown" and transition.effect in _KEPT_IN_DOUBT:
        return _names(item, transition)
    return _of(item, item.status, enabled=enabled)


def is_overdue(item: WorkItem | None, acquired: datetime | None, *, now: datetime, ceiling: float) -> bool:
    """Whether a Lease is held longer than anything may take, counted from the last step on record.

    `acquired` is a time of its holder's clock, so that skew is allowed for. A Lease that says nothing of it is not
    overdue: it expires. Nothing is overdue before the deadline of the intent on record.
    """
    if acquired is None:
        return False
    steps, deadline = [acquired], acquired
    if item is not None:
        status, transition = item.status, item.status.transition
        steps += [time for time in (status.stage_entered_time,) if time is not None]
        steps += [gate.checked_time for gate in status.gates]
        deadline = transition.deadline_time if transition is not None else acquired
    return now > max(max(steps) + timedelta(seconds=ceiling), deadline) + CLOCK_SKEW


def _of(item: WorkItem, status: WorkItemStatus, *, enabled: bool) -> frozenset[str]:
    transition = status.transition
    if transition is not None:
        parked = transition.phase == "Unknown"
        return frozenset() if parked else _names(item, transition)
    return frozenset({transition_lease(item), merge_lease(item)}) if enabled and in_region(status) else frozenset()


def _names(item: WorkItem, transition: Transition) -> frozenset[str]:
    if not transition.lease_used:
        return frozenset()
    own = frozenset({transition_lease(item)})
    if transition.effect in REGION:
        return own | {merge_lease(item)}
    return own | {deploy_lease(item)} if transition.effect in DEPLOYS else own


def in_region(status: WorkItemStatus) -> bool:
    """Whether an item without an intent is between rebase and merge. A person's turn ends the region.

    That is a stall, an open gate, a review, a hold and a freeze: the mend that thaws the repository needs the region.
    """
    if status.stage != Stage.DEPLOY_STAGING or status.stalled is not None or status.approval is not None:
        return False
    if status.waiting is not None and status.waiting.reason in _FOR_A_PERSON:
        return False
    gate = status.gate("branch_mergeable")
    return gate is not None and gate.passed and bool(status.head_sha) and gate.head_sha == status.head_sha
