"""What ends before an item is moved from outside: its run, and the intent of an effect that may be given up."""

from __future__ import annotations

from conveyor.api.workitem import Effect, Transition
from conveyor.pipeline.actions import Note, StopEffect, StopRun
from conveyor.pipeline.case import Case, Situation
from conveyor.pipeline.facts import Fact, JobFact, JobState, Unknown

NEVER_SUPERSEDED = frozenset({Effect.MERGE, Effect.RATCHET, Effect.PRODUCTION, Effect.ROLLBACK})
"""What is done or undone in the world outside for good: it is followed to its end."""


def end_first(case: Situation, why: str) -> StopRun | StopEffect | None:
    """How to end what is at work; None where neither run nor effect Job is, so that the stage may be written."""
    run, transition = case.status.active_run, case.status.transition
    if run is not None and not run_is_gone(case):
        return StopRun(run, why)
    if transition is not None and transition.job is not None and not effect_job_is_gone(case):
        return StopEffect(transition, why)
    return None


def superseded(case: Case, why: str) -> tuple[Note, ...]:
    """What people are told of an intent that is given up."""
    transition = case.status.transition
    if transition is None:
        return ()
    return (Note("TransitionSuperseded", f"{transition.effect.value} {transition.id} is given up: {why}"),)


def run_is_gone(case: Situation) -> bool:
    """Whether the recorded run's Job is known to be at its end or away, with no pod left at work."""
    return _is_gone(case, case.facts.run_job)


def effect_job_is_gone(case: Situation) -> bool:
    """The same of the Job of the recorded intent."""
    return _is_gone(case, case.facts.effect_job)


def effect_is_over(case: Case, transition: Transition) -> bool:
    """Whether no Job of the intent is left that works, or may begin by a request that is still on its way.

    One that has ended is left too: what it came to counts, unless nobody can tell that any more. One that was deleted
    is given no pod any more.
    """
    recorded = transition.job
    if recorded is None:
        return True
    match case.facts.effect_job:
        case JobFact(state=JobState.MISSING):
            return True
        case JobFact(uid="") | Unknown():
            return False
        case job if job.item_uid != case.item.metadata.uid or recorded.uid not in (None, job.uid):
            return True
        case JobFact(state=JobState.ENDED) as job:
            return job.pod_gone
        case job:
            return job.state == JobState.DELETING and (job.unstarted or not job.pods_at_work)


def _is_gone(case: Situation, fact: Fact[JobFact]) -> bool:
    match fact:
        case JobFact() as job:
            foreign = bool(job.uid) and job.item_uid != case.item.metadata.uid
            return job.state in (JobState.MISSING, JobState.ENDED) or foreign
        case _:
            return False
