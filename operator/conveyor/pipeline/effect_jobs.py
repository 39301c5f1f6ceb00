"""Effects that are Jobs: each is created under its name once, and kept by a finalizer until its result is stored."""

from __future__ import annotations

from datetime import timedelta

from conveyor.api.workitem import StalledReason, Transition, TransitionJob, WaitingReason
from conveyor.pipeline.actions import Action, Apply
from conveyor.pipeline.answers import read_effect_answer
from conveyor.pipeline.case import Case, settle, stall, unstalled, wait
from conveyor.pipeline.facts import JobFact, JobState, Unknown
from conveyor.pipeline.intents import UNREAD_SECONDS, arrived, looked_at_again, parked, unread
from conveyor.pipeline.monitoring import watched


def production(case: Case, transition: Transition) -> Action:
    match case.facts.effect_job:
        case Unknown() as unknown:
            return unread(case, transition, unknown, WaitingReason.DEPLOY)
        case job:
            return _production_job(case, transition, job)


def _production_job(case: Case, transition: Transition, job: JobFact) -> Action:
    """Created under its name once, and never again after its uid is on record. Its finalizer keeps it until then."""
    recorded = transition.job or TransitionJob(name="")
    if job.state == JobState.MISSING:
        if recorded.uid is not None:
            return parked(case, transition)
        return _prepared_again(case, transition) if transition.phase == "Unknown" else _create(case, transition)
    if job.item_uid != case.item.metadata.uid or recorded.uid not in (None, job.uid):
        return parked(case, transition)
    if recorded.uid is not None and job.state == JobState.ENDED:
        return _production_ended(case, transition, job)
    if case.now >= transition.deadline_time + timedelta(seconds=UNREAD_SECONDS) and recorded.uid is not None:
        return parked(case, transition)
    seen = transition.model_copy(update={"phase": "Prepared", "job": recorded.model_copy(update={"uid": job.uid})})
    return wait(
        case,
        WaitingReason.DEPLOY,
        "the deploy Job is at work",
        on=("Job", recorded.name),
        status=case.status.model_copy(update={"transition": seen}),
        after=0.0 if recorded.uid is None else 60.0,
    )


def _create(case: Case, transition: Transition) -> Action:
    """However late: a Job that is not there has never been, or its finalizer would have kept it."""
    if case.facts.refusal:
        text = f"the deploy Job is refused: {case.facts.refusal}"
        return wait(case, WaitingReason.DEPLOY, text, on=("Repository", case.repository.name), after=30.0)
    return Apply(transition)


def _prepared_again(case: Case, transition: Transition) -> Action:
    again = case.status.model_copy(update={"transition": looked_at_again(case, transition), "waiting": None})
    return settle(case, unstalled(case, again), after=0.0)


def _production_ended(case: Case, transition: Transition, job: JobFact) -> Action:
    ending = read_effect_answer(job)
    if ending.passed:
        revision = (ending.revision or transition.precondition.head_sha)[:256]
        status = watched(case, case.status.model_copy(update={"revision": revision}))
        return arrived(case, transition, status, cause="deployed")
    cleared = case.status.model_copy(update={"transition": None})
    text = f"the deploy of {transition.precondition.head_sha[:12]} failed: {ending.summary}; retry deploys again"
    return stall(case, StalledReason.DEPLOY_FAILED, text, status=cleared)
