"""An item whose Repository is missing or cannot be read: a person's matter, until it is back."""

from __future__ import annotations

from conveyor.api.stages import TERMINAL, Stage
from conveyor.api.workitem import StalledReason, WaitingReason, WorkItemStatus
from conveyor.pipeline.actions import Ending, LetGo, Settle, StopRun
from conveyor.pipeline.case import Orphan, moved, settle, stall, wait
from conveyor.pipeline.deletion import deleted_orphan
from conveyor.pipeline.facts import JobFact, JobState


def decide_without_repository(orphan: Orphan, why: str) -> Settle | Ending:
    status = orphan.status
    if orphan.item.metadata.deletion_timestamp is not None:
        return deleted_orphan(orphan)
    if status.stage in TERMINAL:
        return LetGo() if orphan.item.held and status.transition is None else Settle(status)
    if status.stage is None:
        return settle(orphan, moved(orphan, status, Stage.CREATED, cause="seen"), after=0.0, cause="seen")
    text = f"{why}: create or mend it"
    if status.stage == Stage.CREATED and status.transition is None:
        return wait(orphan, WaitingReason.FORGE, text, on=("Repository", orphan.item.spec.repository_ref.name))
    stopped = _without_run(orphan, why)
    if isinstance(stopped, StopRun):
        return stopped
    if status.stalled not in (None, StalledReason.REPOSITORY_MISSING):
        return settle(orphan, stopped)  # that reason outlasts this one
    return stall(orphan, StalledReason.REPOSITORY_MISSING, text, status=stopped)


def _without_run(orphan: Orphan, why: str) -> WorkItemStatus | StopRun:
    """Without its run, which ends with the Repository. One that has ended is left: its answer is taken later."""
    run = orphan.status.active_run
    if run is None or not orphan.missing:
        return orphan.status
    match orphan.facts.run_job:
        case JobFact(state=JobState.MISSING):
            return orphan.status.model_copy(update={"active_run": None})
        case JobFact(state=JobState.ENDED):
            return orphan.status
        case JobFact() as job if job.item_uid != orphan.item.metadata.uid:
            return orphan.status
        case _:
            return StopRun(run, why)
