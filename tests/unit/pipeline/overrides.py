"""What a person's move may never do, in the design's words and not the code's."""

from __future__ import annotations

from conveyor.api.objects import WorkItem
from conveyor.api.stages import Stage
from conveyor.api.workitem import Effect
from conveyor.pipeline.actions import Action, Settle
from conveyor.pipeline.case import Case
from conveyor.pipeline.facts import Fact, JobFact, JobState

FOR_GOOD = (Effect.MERGE, Effect.RATCHET, Effect.PRODUCTION, Effect.ROLLBACK)


def is_override(case: Case, action: Settle) -> bool:
    """Whether the write says itself that a person moves the item so, which the API server asks of it."""
    word, before = action.status.override, case.status.override
    new = word is not None and (before is None or before.id != word.id)
    return new and word is not None and (word.from_stage, word.to_stage) == (case.status.stage, action.status.stage)


def broken_glass(case: Case, action: Action) -> str:
    """A person's move waits for what is at work, leaves no ended item and merges nothing."""
    if not isinstance(action, Settle) or not is_override(case, action):
        return ""
    intent, run = case.status.transition, case.status.active_run
    for_good = intent is not None and intent.effect in FOR_GOOD
    wrong = {
        "out of an end": case.status.stage in (Stage.DONE, Stage.CANCELLED),
        "to deploy without a merge": action.status.stage == Stage.DEPLOY and not action.status.merge_sha,
        "with a run at work": run is not None and may_work(case.item, case.facts.run_job),
        "out of what is done for good": for_good and intent is not None and intent.phase != "Unknown",
        "with a Job at work": intent is not None
        and intent.job is not None
        and may_work(case.item, case.facts.effect_job)
        and not (for_good and _is_deleted(case.facts.effect_job)),
        "with one left on record": action.status.active_run is not None and action.status.active_run == run,
    }
    return ", ".join(what for what, is_so in wrong.items() if is_so)


def may_work(whole: WorkItem, job: Fact[JobFact]) -> bool:
    """Whether a Job of this item is not known to be at its end or gone."""
    if not isinstance(job, JobFact):
        return True
    foreign = bool(job.uid) and job.item_uid != whole.metadata.uid
    return job.state in (JobState.ACTIVE, JobState.DELETING) and not foreign


def _is_deleted(job: Fact[JobFact]) -> bool:
    """Whether somebody deleted it, our finalizer holds it, and no pod of it works or will be."""
    if not isinstance(job, JobFact) or not job.uid:
        return False
    return job.state == JobState.DELETING and (job.unstarted or not job.pods_at_work)
