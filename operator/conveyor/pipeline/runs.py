"""Runs: claiming one in the write of the step that needs it, and what its end means."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from conveyor.api.answers import Verdict
from conveyor.api.names import run_name
from conveyor.api.stages import ROLE_OF_STAGE, Stage
from conveyor.api.workitem import (
    ActiveRun,
    Cause,
    LastRun,
    StalledReason,
    Waiting,
    WaitingOn,
    WaitingReason,
    WorkItemStatus,
)
from conveyor.pipeline.actions import Action, Note, Settle, StartRun, StopRun
from conveyor.pipeline.answers import Ending, infrastructure, read_run_answer
from conveyor.pipeline.budgets import CAUSE_OF_STAGE, attempt_number, charged, exhausted
from conveyor.pipeline.case import SOON, Case, moved, on_repository, settle, stall, unstalled, wait
from conveyor.pipeline.facts import JobFact, JobState, Unknown
from conveyor.pipeline.job_kinds import OVERTIME_SECONDS
from conveyor.pipeline.words import head_sha

SHORTEST_WAIT = 5
"""Seconds: a role that asks to be started again at once, each time, must not keep the cluster busy with Jobs."""
OVERTIME = timedelta(seconds=OVERTIME_SECONDS + 120)
"""How long past its time limit a run's Job may take to end by itself before it is deleted: the pod's start and its own
end come to the limit, and the Job ends it all after a minute more."""

HELD_UP_SECONDS = 60.0
"""When a pod that something keeps from working is looked at again: its Job says nothing of that, nor of its end."""


def held_off(case: Case) -> Waiting | None:
    """What keeps any run from being claimed now; None where nothing does."""
    if case.item.spec.suspend:
        return Waiting(reason=WaitingReason.SUSPENDED, message=suspended(case))
    if not case.facts.slot_free:
        text = "all run slots are taken: kubectl workitem queue shows by whom"
        return Waiting(
            reason=WaitingReason.RUN_SLOT, message=text, on=WaitingOn(kind="Repository", name=case.repository.name)
        )
    return None


def suspended(case: Case) -> str:
    return f"spec.suspend is set: kubectl workitem resume {case.item.name} takes it back"


def claimed(case: Case, status: WorkItemStatus, *, reason: str) -> WorkItemStatus:
    """With a run of the stage's role on record; what keeps it from starting is said instead."""
    stage = status.stage
    if stage is None or stage not in ROLE_OF_STAGE:
        return status
    held = held_off(case)
    if held is not None:
        return _waiting(case, status, held)
    role, runs = ROLE_OF_STAGE[stage], (status.runs or 0) + 1
    token = hashlib.sha256(f"{case.item.metadata.uid}/{runs}/{case.facts.nonce}".encode()).hexdigest()[:32]
    run = ActiveRun(
        name=run_name(case.item.name, role, uid=case.item.metadata.uid, runs=runs),
        role=role,
        stage=stage,
        attempt=attempt_number(status, role),
        token=token,
        started_time=case.now,
        reason=reason[:1024],
    )
    waiting = Waiting(
        reason=WaitingReason.RUN,
        message=f"the {role.value} is about to start",
        on=WaitingOn(kind="Job", name=run.name),
    )
    return _waiting(case, status, waiting).model_copy(update={"runs": runs, "active_run": run})


def _waiting(case: Case, status: WorkItemStatus, waiting: Waiting) -> WorkItemStatus:
    return unstalled(case, status).model_copy(update={"waiting": waiting})


def entered(
    case: Case, to: Stage, *, cause: str, reason: str = "", status: WorkItemStatus | None = None
) -> WorkItemStatus:
    """Moved to a stage, with the run of its role claimed in the same write."""
    return claimed(case, moved(case, status or case.status, to, cause=cause), reason=reason)


def begin(case: Case, *, reason: str = "", status: WorkItemStatus | None = None) -> Action:
    """The stage's role starts to work, uncharged. `status` is what is stored with the claim, and only with it."""
    if (held := held_off(case)) is not None:
        return settle(case, _waiting(case, case.status, held))
    return settle(case, claimed(case, status or case.status, reason=reason), after=0.0)


def rework(
    case: Case, cause: Cause, reason: str, *, to: Stage | None = None, status: WorkItemStatus | None = None
) -> Settle:
    """The stage's role works again, or an earlier stage does, charged to a cause; at a cap a person is needed.

    `status` is what is stored if the rework begins.
    """
    if (budget := exhausted(case.status, case.spec, cause)) is not None:
        return stall(
            case,
            StalledReason.RETRIES_EXHAUSTED,
            f"{reason}; the budget is used up ({budget}): kubectl workitem retry {case.item.name} allows more"[:1024],
            after=300.0,
        )
    return sent_back(case, cause, reason, to=to, status=status or case.status)


def sent_back(case: Case, cause: Cause, reason: str, *, to: Stage | None, status: WorkItemStatus) -> Settle:
    """As `rework`, whatever the budget says: for a person's verb."""
    charge = charged(status, cause, head_sha(case))
    note = Note("Rework", f"{cause.value}: {reason}", warning=True)
    if to is not None and to != case.stage:
        text = f"{cause.value}: {reason}"
        return settle(
            case,
            entered(case, to, cause=text, reason=reason, status=charge),
            after=0.0,
            notes=(note,),
            cause=cause.value,
        )
    if (held := held_off(case)) is not None:
        return settle(case, _waiting(case, case.status, held))
    return settle(case, claimed(case, charge, reason=reason), after=0.0, notes=(note,))


def why_here(case: Case) -> str:
    """Why an item was sent back to the stage it is in; empty where it came forward."""
    last = case.status.history[-1] if case.status.history else None
    if last is None or last.from_stage is None or last.to_stage != case.stage:
        return ""
    order = list(Stage)
    return last.cause if order.index(last.from_stage) > order.index(last.to_stage) else ""


def follow(case: Case, run: ActiveRun) -> Action:
    """What to do about the run on record."""
    match case.facts.run_job:
        case Unknown(reason=reason):
            return wait(
                case, WaitingReason.RUN, f"its Job could not be read: {reason}", on=("Job", run.name), after=SOON
            )
        case job:
            return _follow_job(case, run, job)


def _follow_job(case: Case, run: ActiveRun, job: JobFact) -> Action:
    match job.state:
        case JobState.MISSING if run.uid is None and not _is_over(case, run):
            return StartRun(run)
        case JobState.MISSING:
            return _ended(case, run, infrastructure("its Job is gone without an answer"))
        case JobState.DELETING:
            return wait(case, WaitingReason.RUN, "the run is being stopped", on=("Job", run.name), after=SOON)
        case _ if job.item_uid != case.item.metadata.uid:
            text = f"Job {run.name} is there and is not this item's: delete it"
            return stall(case, StalledReason.EFFECT_UNKNOWN, text, after=60.0)
        case JobState.ACTIVE:
            return _at_work(case, run, job)
        case JobState.ENDED:
            return _ended(case, run, _read(case, run, job))


def _at_work(case: Case, run: ActiveRun, job: JobFact) -> Action:
    if run.uid is not None and _is_over(case, run):
        return StopRun(run, "it is past its time limit")
    seen = case.status.model_copy(update={"active_run": run.model_copy(update={"uid": job.uid})})
    text = f"the {run.role.value} is at work" + (f" ({job.reason})" if job.reason else "")
    left = max((_end(case, run) - case.now).total_seconds(), 1.0)
    after = min(left, HELD_UP_SECONDS) if job.reason and not job.suspended else left
    return wait(case, WaitingReason.RUN, text, on=("Job", run.name), after=after, status=seen)


def _end(case: Case, run: ActiveRun) -> datetime:
    """When a run is no longer waited for."""
    return run.started_time + timedelta(seconds=time_limit(case, run)) + OVERTIME


def _is_over(case: Case, run: ActiveRun) -> bool:
    return case.now > _end(case, run)


def time_limit(case: Case, run: ActiveRun) -> int:
    """Seconds a run of this role may take."""
    return next((agent.timeout_seconds for agent in case.spec.agents if agent.role == run.role), 3600)


def _read(case: Case, run: ActiveRun, job: JobFact) -> Ending:
    return read_run_answer(
        job, uid=case.item.metadata.uid, run=run.name, token=run.token, seconds=time_limit(case, run)
    )


def _ended(case: Case, run: ActiveRun, ending: Ending) -> Settle:
    wanted_wait = timedelta(seconds=max(ending.retry_after_seconds, SHORTEST_WAIT))
    last = LastRun(
        name=run.name,
        role=run.role,
        stage=run.stage,
        verdict=ending.verdict,
        sha=ending.sha,
        summary=ending.summary[:1024],
        question=ending.question[:1024],
        coverage=ending.coverage,
        started_time=run.started_time,
        finished_time=case.now,
        not_before_time=case.now + wanted_wait if ending.verdict == Verdict.RETRY else None,
    )
    status = unstalled(case, case.status).model_copy(update={"active_run": None, "last_run": last, "waiting": None})
    text = f"{run.role.value}: {ending.verdict.value} {last.summary}"[:900]
    note = Note("RunFinished", text, warning=ending.verdict == Verdict.INFRASTRUCTURE)
    return settle(case, status, after=0.0, notes=(note,))


def worked(case: Case) -> LastRun | None:
    """The finished run of this stage's role that started since the stage was entered."""
    last, since = case.status.last_run, case.status.stage_entered_time
    if last is None or since is None or last.stage != case.stage or last.role != ROLE_OF_STAGE.get(case.stage):
        return None
    return last if last.started_time >= since.replace(microsecond=0) else None


def role_passed(case: Case) -> Action | None:
    """None where the stage's role has worked and says pass, so that the gates may be asked; else what to do first."""
    last = worked(case)
    if last is None:
        return begin(case, reason=why_here(case))
    match last.verdict:
        case Verdict.PASS:
            return None
        case Verdict.BLOCKED if last.question:
            return wait(case, WaitingReason.PERSON, _asks(case, last), on=_ticket(case))
        case Verdict.BLOCKED:
            return begin(case, reason="the question was answered; see the comments")
        case Verdict.RETRY:
            return _later(case, last)
        case Verdict.INFRASTRUCTURE:
            return rework(case, Cause.INFRASTRUCTURE, last.summary or "the run left no answer")
        case Verdict.FAIL if case.stage == Stage.TESTING:
            return rework(case, Cause.TESTING, f"tests failed: {last.summary}", to=Stage.DEVELOPMENT)
        case Verdict.FAIL:
            return rework(case, CAUSE_OF_STAGE[case.stage], f"the {last.role.value} failed: {last.summary}")


def _asks(case: Case, last: LastRun) -> str:
    """The way out first: a long question is cut."""
    source = case.item.spec.source
    where = f"answer on {source.key} and set it to a starting state, or " if source is not None else ""
    return f"the {last.role.value} asks ({where}kubectl workitem resume {case.item.name}): {last.question}"


def _later(case: Case, last: LastRun) -> Action:
    if last.not_before_time is not None and case.now < last.not_before_time:
        left = (last.not_before_time - case.now).total_seconds()
        text = f"the {last.role.value} asked to wait until {last.not_before_time:%H:%M:%S} UTC: {last.summary}"
        return wait(case, WaitingReason.RUN, text, on=on_repository(case), after=left + 0.1)
    return begin(case, reason="the wait that the last run asked for is over")


def _ticket(case: Case) -> tuple[str, str]:
    source = case.item.spec.source
    return ("Ticket", source.key) if source is not None else ("WorkItem", case.item.name)
