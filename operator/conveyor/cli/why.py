"""`why`: one screen that says why an item does not move, on whom it waits, what comes by itself and what to run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from conveyor.api.objects import Repository, WorkItem
from conveyor.api.stages import TERMINAL, Stage
from conveyor.api.workitem import WaitingReason
from conveyor.cli import explanations
from conveyor.cli.explanations import PAGE, STALLED, WAITING, Explanation
from conveyor.cli.hints import scoped
from conveyor.cli.items import dependencies_of, watch_of
from conveyor.cli.lanes import Lane, Lanes
from conveyor.cli.sheet import Card, Column, Sheet, Value
from conveyor.pipeline.leases import DEPLOYS

COLUMNS = (
    Column("Item", "name"),
    Column("Ticket", "ticket"),
    Column("Stage", "stage"),
    Column("Waits", "reason", style="yellow"),
    Column("Meaning", "meaning"),
    Column("Message", "message"),
    Column("Since", "since"),
    Column("In stage", "stageEnteredTime"),
    Column("On", "on"),
    Column("Details", "details"),
    Column("By itself", "byItself"),
    Column("More", "more"),
    Column("Next", "next", style="bold green"),
)


@dataclass(frozen=True, slots=True)
class Scene:
    """An item with what it may wait on."""

    item: WorkItem
    repository: Repository | None
    lanes: Lanes
    now: datetime
    scope: str = ""
    """The options that a printed command needs to mean the same item, with a blank in front."""

    @property
    def reason(self) -> WaitingReason | None:
        waiting = self.item.status.waiting
        return waiting.reason if waiting is not None else None

    @property
    def lane(self) -> Lane:
        return Lane((self.item.metadata.namespace, self.item.spec.repository_ref.name), self.lanes, self.now)


def needs_lane(item: WorkItem) -> bool:
    """Whether the other items of its repository say why it waits."""
    waiting = item.status.waiting
    return waiting is not None and waiting.reason in (
        WaitingReason.EARLIER_ITEM,
        WaitingReason.RUN_SLOT,
        WaitingReason.MONITOR,
        WaitingReason.LEASE,
    )


def explanation(scene: Scene) -> Explanation:
    status = scene.item.status
    if status.stage in TERMINAL:
        return explanations.ENDED if status.stalled is None else explanations.MERGED_AFTER_THE_END
    if scene.item.metadata.deletion_timestamp is not None:
        return explanations.DELETING
    if status.stage is None:
        return explanations.NOT_SEEN
    if status.stalled is not None:
        return STALLED.get(status.stalled, explanations.UNKNOWN)
    if scene.reason is None:
        return explanations.MOVING
    narrower = NARROWER.get(scene.reason)
    return (narrower(scene) if narrower is not None else None) or WAITING[scene.reason]


def _forge(scene: Scene) -> Explanation | None:
    return explanations.NOT_READY if scene.lane.row()["ready"] not in ("True", "Unknown") else None


def _frozen(scene: Scene) -> Explanation | None:
    freeze = scene.lane.freeze
    if freeze is None:
        return None
    if freeze.source != "Annotation":
        return explanations.FREEZE_OF_DEPLOY
    return explanations.FREEZE_ENDS if freeze.until_time is not None else None


def _run(scene: Scene) -> Explanation | None:
    return explanations.PARKED if scene.item.status.active_run is None else None


def _deploy(scene: Scene) -> Explanation | None:
    without_job = replace(WAITING[WaitingReason.DEPLOY], command=explanations.SHOW)
    return without_job if _job(scene.item) is None else None


def _lease(scene: Scene) -> Explanation | None:
    holder = _holder(scene)
    if holder is None:
        return None
    return explanations.BEHIND_PARKED if _is_parked(holder) else explanations.BEHIND


NARROWER: Mapping[WaitingReason, Callable[[Scene], Explanation | None]] = {
    WaitingReason.FORGE: _forge,
    WaitingReason.REPOSITORY_FROZEN: _frozen,
    WaitingReason.RUN: _run,
    WaitingReason.DEPLOY: _deploy,
    WaitingReason.LEASE: _lease,
}
"""Where the objects say more than the reason does."""


def why(scene: Scene) -> Sheet:
    item, found = scene.item, explanation(scene)
    reason = _reason(scene)
    row: dict[str, Value] = {
        "name": item.name,
        "ticket": item.spec.source.key if item.spec.source is not None else None,
        "stage": item.status.stage,
        "reason": reason,
        "meaning": found.meaning,
        "message": _message(scene),
        "since": _since(scene),
        "stageEnteredTime": item.status.stage_entered_time,
        "on": " ".join(_on(item) or ()),
        "details": _details(scene),
        "byItself": found.next_step,
        "more": f"{PAGE}#{reason}" if reason else None,
        "next": next_command(scene),
    }
    return (Card("why", COLUMNS, row),)


def next_command(scene: Scene) -> str:
    """The command, or that there is nothing to do and what shows more."""
    found = explanation(scene)
    command = _filled(found.command, scene)
    return command if found.person else f"nothing to do; to look: {command}"


def _message(scene: Scene) -> str | None:
    """The operator's own words, and its commands made to mean this very item."""
    item, waiting = scene.item, scene.item.status.waiting
    names = (item.name, item.spec.repository_ref.name)
    return scoped(waiting.message, names, scene.scope) if waiting is not None else None


def _reason(scene: Scene) -> str | None:
    if scene.item.status.stage in TERMINAL:
        return None
    stalled = scene.item.status.stalled
    return stalled or (scene.reason.value if scene.reason is not None else None)


def _on(item: WorkItem) -> tuple[str, str] | None:
    waiting = item.status.waiting
    if waiting is None or waiting.on is None:
        return None
    return waiting.on.kind, waiting.on.name


def _job(item: WorkItem) -> str | None:
    run, transition = item.status.active_run, item.status.transition
    if run is not None:
        return run.name
    return transition.job.name if transition is not None and transition.job is not None else None


def _holder(scene: Scene) -> WorkItem | None:
    """The item for which a process holds the Lease: a holder's name ends with the item's uid, or it is named first."""
    waiting, mine = scene.item.status.waiting, scene.item.metadata.uid
    said = waiting.message if waiting is not None else ""
    others = (entry for entry in scene.lane.under_way if isinstance(entry, WorkItem) and entry.metadata.uid != mine)
    return next((it for it in others if f"/{it.metadata.uid}" in said or said.startswith(f"{it.name} ")), None)


def _is_parked(holder: WorkItem) -> bool:
    transition = holder.status.transition
    return transition is not None and transition.phase == "Unknown"


def _lease_name(scene: Scene) -> str:
    """The one of the repository that the operator names, else the item's own."""
    item = scene.item
    said = item.status.waiting.message if item.status.waiting is not None else ""
    shared = (f"{kind}-{item.spec.repository_ref.name}" for kind in ("merge", "deploy"))
    return next((name for name in shared if f"{name} " in said), f"transition-{item.metadata.uid}")


def _filled(template: str, scene: Scene) -> str:
    on = _on(scene.item)
    values = {
        "name": scene.item.name,
        "repository": scene.item.spec.repository_ref.name,
        "job": _job(scene.item) or "",
        "holder": holder.name if (holder := _holder(scene)) is not None else "",
        "lease": _lease_name(scene),
        "dependency": on[1] if on is not None and on[0] == "WorkItem" else scene.item.name,
    }
    quoted = {field: shlex.quote(value) for field, value in values.items()} | {"scope": scene.scope}
    return re.sub(r"\{(\w+)\}", lambda match: quoted[match[1]], template)


def _since(scene: Scene) -> Value:
    """As far as the status says it; how long it has been in its stage is another line."""
    status = scene.item.status
    stalled = status.condition("Stalled")
    if status.stalled is not None and stalled is not None:
        return stalled.last_transition_time
    match scene.reason:
        case WaitingReason.RUN if status.active_run is not None:
            return status.active_run.started_time
        case WaitingReason.CI if (gate := status.gate("ci_green")) is not None:
            return gate.checked_time
        case WaitingReason.REVIEW if (gate := status.gate("review_approved")) is not None:
            return gate.checked_time
        case WaitingReason.PERSON if status.last_run is not None:
            return status.last_run.finished_time
        case WaitingReason.APPROVAL if (asked := status.condition("AwaitingApproval")) is not None:
            return asked.last_transition_time
        case _:
            return None


# --- details: what the object that it waits on says


def _details(scene: Scene) -> str:
    if scene.item.status.stage in TERMINAL:
        return _end(scene)
    if scene.item.status.stalled is not None or scene.reason is None:
        return ""
    describe = DETAILS.get(scene.reason)
    return describe(scene) if describe is not None else ""


def _end(scene: Scene) -> str:
    history, monitor = scene.item.status.history, scene.item.status.monitor
    watch = [f"the deploy {watch_of(monitor)}"] if monitor is not None else []
    return "; ".join([*(entry.cause for entry in history[-1:]), *watch])


def _ahead(scene: Scene) -> str:
    lane = scene.lane
    mine = next((row for row in lane.rows() if row["name"] == scene.item.name), None)
    if mine is None:
        return ""
    head = f"number {mine['position']} in the queue, " if mine["position"] else ""
    ahead = next((row for row in lane.rows() if row["name"] == mine["ahead"]), None)
    if ahead is None:
        return f"{head}{mine['why']}"
    return f"{head}after {ahead['name']} ({ahead['stage'] or Stage.CREATED.value}: {ahead['why']})"


def _dependencies(scene: Scene) -> str:
    item = scene.item
    states = (scene.lanes.state(item.metadata.namespace, name) for name in dependencies_of(item))
    return "; ".join(state for state in states if state)


def _repository(scene: Scene) -> str:
    return scene.lane.not_ready()


def _freeze(scene: Scene) -> str:
    return scene.lane.frozen()


def _watch(scene: Scene) -> str:
    return scene.lane.watched()


def _slots(scene: Scene) -> str:
    under_way = [entry for entry in scene.lane.under_way if isinstance(entry, WorkItem)]
    at_work = [entry.name for entry in under_way if entry.status.active_run is not None]
    limit = scene.repository.spec.max_concurrent_runs if scene.repository is not None else None
    allowed = f"{limit} at once in this repository; " if limit is not None else ""
    return f"{allowed}at work here: {', '.join(at_work) or 'nobody, so the limit over all repositories holds'}"


def _attempt(scene: Scene) -> str:
    run = scene.item.status.active_run
    if run is None:
        return ""
    again = f": {run.reason}" if run.reason else ""
    return f"{run.role.value}, attempt {run.attempt}{again}"


def _verdict(scene: Scene) -> str:
    name, scope = shlex.quote(scene.item.name), scene.scope
    pull = scene.item.status.pull_request
    look = f"look at {pull.url}; " if pull is not None else ""
    return f'{look}the other answer: kubectl workitem reject {name} "<reason>"{scope}'


def _behind(scene: Scene) -> str:
    holder = _holder(scene)
    if holder is None:
        return ""
    deploys = holder.status.transition is not None and holder.status.transition.effect in DEPLOYS
    if deploys or not _is_parked(holder):  # nobody goes past a deploy that may be at work
        return f"behind {holder.name} ({holder.status.stage})"
    name = shlex.quote(holder.name)
    return f"behind {holder.name}; to go past it: kubectl workitem release-lease {name}{scene.scope}"


def _pull(scene: Scene) -> str:
    pull = scene.item.status.pull_request
    return pull.url if pull is not None else ""


def _question(scene: Scene) -> str:
    source = scene.item.spec.source
    where = source.url or source.key if source is not None else ""
    return f"answer on {where} first" if where else ""


DETAILS: Mapping[WaitingReason, Callable[[Scene], str]] = {
    WaitingReason.EARLIER_ITEM: _ahead,
    WaitingReason.DEPENDENCY: _dependencies,
    WaitingReason.DEPENDENCY_MISSING: _dependencies,
    WaitingReason.REPOSITORY_FROZEN: _freeze,
    WaitingReason.MONITOR: _watch,
    WaitingReason.RUN_SLOT: _slots,
    WaitingReason.RUN: _attempt,
    WaitingReason.APPROVAL: _verdict,
    WaitingReason.CI: _pull,
    WaitingReason.REVIEW: _pull,
    WaitingReason.FORGE: _repository,
    WaitingReason.LEASE: _behind,
    WaitingReason.PERSON: _question,
}
