"""Who else deploys, or goes back, in an item's repository (decision 0012).

The Lease keeps two items from beginning at the same time. A Job works on when the Lease of its item is given up, taken
away or left by the dead: so what another item has on record is asked as well.
"""

from __future__ import annotations

from conveyor.api.stages import Stage
from conveyor.api.workitem import WaitingReason
from conveyor.cluster.protocol import Key
from conveyor.engine.records import ItemRecord
from conveyor.engine.world import World
from conveyor.pipeline.actions import Action, Settle
from conveyor.pipeline.case import Case
from conveyor.pipeline.leases import DEPLOYS


def deploy_under_way(world: World, case: Case, action: Action) -> str:
    """What keeps the action from beginning a deploy or a rollback; empty: nothing, or it begins none.

    One that was begun without Leases asks nobody. Out of a deploy its own rollback begins, whatever others do.
    """
    old, new = case.status.transition, action.status.transition if isinstance(action, Settle) else None
    if new is None or new.effect not in DEPLOYS or not new.lease_used:
        return ""
    if old is not None and old.effect in DEPLOYS:
        return ""
    others = _others(world, case)
    at_work = next((_why(other) for other in others if other.transition in DEPLOYS), "")
    return at_work or next((_why_first(other) for other in others if _goes_first(other, case)), "")


def _goes_first(other: ItemRecord, case: Case) -> bool:
    """Whether it was merged before and is about to deploy: after a later commit it could not any more."""
    entered, held = case.status.stage_entered_time, other.stalled or other.suspended or other.deleting
    ready = other.stage == Stage.DEPLOY and not other.transition and other.waiting in ("", WaitingReason.LEASE)
    return ready and not held and entered is not None and other.entered < entered


def held_by(world: World, case: Case, *, name: str, holder: str) -> str:
    """Why a Lease cannot be taken, with the name of the item that its holder has it for."""
    uid = holder.rpartition("/")[2]
    other = next((other for other in _others(world, case) if other.uid == uid), None)
    if other is not None and other.transition in DEPLOYS:
        return _why(other)
    item = f" for {other.key.name}" if other is not None else ""
    return f"Lease {name} is held by {holder}{item}: it goes on when that one is done or gone"


def _others(world: World, case: Case) -> list[ItemRecord]:
    """Items of the same repository that are under way."""
    lane = Key(case.item.metadata.namespace, case.repository.name)
    return [other for other in world.cache.under_way(lane) if other.uid != case.item.metadata.uid]


def _why_first(other: ItemRecord) -> str:
    return f"{other.key.name} was merged before it, and is to be deployed first"


def _why(other: ItemRecord) -> str:
    name = other.key.name
    if other.stalled:
        return (
            f"{name} is Stalled ({other.stalled}) with its {other.transition} on record, whose Job may be at work: "
            f"it goes on when a person has decided about that one, see kubectl workitem why {name}"
        )
    return f"{name} has its {other.transition} under way: it goes on when the result of that is on record"
