"""Side effects: intent first, then the effect, then its result. Each is an entry in EFFECTS.

With an intent on record the pass reads whether the effect happened. It did: the result is stored. It did not: it is
applied, and the next pass reads again. Nobody can tell until the deadline: it is parked for a person.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from conveyor.api.names import effect_job_name
from conveyor.api.stages import Stage
from conveyor.api.workitem import (
    Effect,
    Precondition,
    PullRequestRef,
    StalledReason,
    Transition,
    TransitionJob,
    WaitingReason,
    WorkItemStatus,
)
from conveyor.pipeline.actions import Action, Apply, Note
from conveyor.pipeline.answers import read_effect_answer
from conveyor.pipeline.case import SOON, Case, advanced, settle, stall, wait
from conveyor.pipeline.facts import JobFact, JobState, PullRequest, Unknown
from conveyor.pipeline.runs import entered

EFFECT_SECONDS = 120
"""How long an effect on the forge may take before nobody waits for it any more."""


@dataclass(frozen=True, slots=True)
class Target:
    """What an intent is about."""

    effect: Effect
    to: Stage
    head_sha: str = ""
    base_sha: str = ""
    change_id: str = ""
    seconds: int = EFFECT_SECONDS


def intended(case: Case, status: WorkItemStatus, target: Target) -> WorkItemStatus:
    """The status with an intent; its id is computed here, once, and read ever after."""
    runs, token = (status.runs or 0) + 1, (status.fencing_token or 0) + 1
    text = "/".join(
        [
            case.item.metadata.uid,
            case.stage,
            target.to,
            target.effect,
            target.head_sha,
            target.base_sha,
            target.change_id,
            str(runs),
        ]
    )
    identity = hashlib.sha256(text.encode()).hexdigest()[:32]
    job = None
    if target.effect == Effect.PRODUCTION:
        job = TransitionJob(name=effect_job_name(case.item.name, target.effect, transition_id=identity))
    transition = Transition(
        id=identity,
        from_stage=case.stage,
        to_stage=target.to,
        effect=target.effect,
        phase="Prepared",
        job=job,
        lease_used=case.policy.transition_lease,
        precondition=Precondition(head_sha=target.head_sha, base_sha=target.base_sha, change_id=target.change_id),
        fencing_token=token,
        holder=case.policy.holder[:256],
        deadline_time=case.now + timedelta(seconds=target.seconds),
    )
    return status.model_copy(update={"transition": transition, "runs": runs, "fencing_token": token, "waiting": None})


def follow(case: Case, transition: Transition) -> Action:
    """What to do about the intent on record."""
    if transition.holder != case.policy.holder:
        return _adopted(case, transition)
    if transition.phase == "Unknown":
        return _parked(case, transition)
    return EFFECTS[transition.effect](case, transition)


def is_known(transition: Transition) -> bool:
    """Whether this operator knows the effect; another one is a newer operator's and is never touched."""
    return transition.effect in EFFECTS


def _adopted(case: Case, transition: Transition) -> Action:
    """Take over an intent somebody left behind: the raised token fences the late write of its last owner."""
    token = (case.status.fencing_token or 0) + 1
    mine = transition.model_copy(update={"holder": case.policy.holder[:256], "fencing_token": token})
    status = case.status.model_copy(update={"transition": mine, "fencing_token": token})
    note = Note(
        "TransitionAdopted", f"{transition.effect.value} {transition.id} was left behind; reading what happened"
    )
    return settle(case, status, after=0.0, notes=(note,))


def _parked(case: Case, transition: Transition) -> Action:
    """Facts are still read: a read that proves it ends the wait."""
    action = EFFECTS[transition.effect](case, transition)
    proven = not isinstance(action, Apply) and getattr(action, "moved", None) is not None
    return action if proven else _unknown(case, transition)


def _unknown(case: Case, transition: Transition) -> Action:
    parked = case.status.model_copy(update={"transition": transition.model_copy(update={"phase": "Unknown"})})
    text = (
        f"nobody can tell whether {transition.effect.value} {transition.id} happened: look at the forge or the Job, "
        "then resume to look again, or retry if it was not applied"
    )
    return stall(case, StalledReason.EFFECT_UNKNOWN, text, status=parked, after=60.0)


def looked_at_again(case: Case, transition: Transition) -> Transition:
    """A parked intent as a person's `resume` leaves it: read and, if it did not happen, applied once more."""
    deadline = case.now + timedelta(seconds=EFFECT_SECONDS)
    return transition.model_copy(update={"phase": "Prepared", "deadline_time": deadline})


def _apply(case: Case, transition: Transition) -> Action:
    if case.now >= transition.deadline_time:
        return _unknown(case, transition)
    if case.facts.refusal:
        text = f"{transition.effect.value} is refused: {case.facts.refusal}"
        return wait(case, _WAITING[transition.effect], text, on=("Repository", case.repository.name), after=SOON)
    return Apply(transition)


def _unread(case: Case, transition: Transition, fact: Unknown, waiting: WaitingReason) -> Action:
    if case.now >= transition.deadline_time + timedelta(seconds=600):
        return _unknown(case, transition)
    text = f"{transition.effect.value}: cannot read whether it happened: {fact.reason}"
    return wait(case, waiting, text, after=SOON)


def _dropped(case: Case, reason: str) -> Action:
    """The effect did not happen and cannot any more: the intent ends and the stage decides anew."""
    note = Note("TransitionDropped", reason, warning=True)
    return settle(case, case.status.model_copy(update={"transition": None}), after=0.0, notes=(note,))


def _cut_branch(case: Case, transition: Transition) -> Action:
    want = transition.precondition.base_sha
    match case.facts.branch_head:
        case Unknown() as unknown:
            return _unread(case, transition, unknown, WaitingReason.FORGE)
        case None:
            return _apply(case, transition)
        case head if head == want:
            status = entered(case, transition.to_stage, cause="admitted")
            return settle(
                case, status, after=0.0, cause="admitted", notes=(advanced(case, transition.to_stage, "admitted"),)
            )
        case head:
            text = f"branch {case.status.branch} is there at {head}, not at {want}: somebody else's; retry starts over"
            return stall(case, StalledReason.PRIOR_WORK_FOUND, text, after=60.0)


def _open_pull_request(case: Case, transition: Transition) -> Action:
    match case.facts.pull:
        case Unknown() as unknown:
            return _unread(case, transition, unknown, WaitingReason.FORGE)
        case None:
            return _apply(case, transition)
        case pull:
            status = case.status.model_copy(
                update={
                    "transition": None,
                    "pull_request": PullRequestRef(number=pull.number, url=pull.url[:2048]),
                    "head_sha": pull.head_sha,
                }
            )
            return settle(case, status, after=0.0, notes=(Note("PullRequestOpened", f"#{pull.number} {pull.url}"),))


def _merge(case: Case, transition: Transition) -> Action:
    """Proven by the base branch alone; a pull request that a crash left open is then marked merged."""
    head = transition.precondition.head_sha
    match case.facts.head_in_base:
        case Unknown() as unknown:
            return _unread(case, transition, unknown, WaitingReason.FORGE)
        case True:
            return _merged(case, transition)
        case _:
            pass
    match case.facts.pull:
        case Unknown() as unknown:
            return _unread(case, transition, unknown, WaitingReason.FORGE)
        case PullRequest() as pull if pull.state == "open" and pull.head_sha == head:
            pass
        case _:
            return _dropped(case, "the pull request is no longer what was to be merged")
    match case.facts.base_head:
        case Unknown() as unknown:
            return _unread(case, transition, unknown, WaitingReason.FORGE)
        case base if base != transition.precondition.base_sha:
            return _dropped(case, "the base moved before the merge")
        case _:
            return _apply(case, transition)


def _merged(case: Case, transition: Transition) -> Action:
    match case.facts.pull:
        case PullRequest() as pull if pull.state == "open" and case.now < transition.deadline_time:
            return Apply(transition)  # the base has it: what is left of the merge is to close the pull request
        case _:
            pass
    status = entered(case, Stage.DEPLOY, cause="merged")
    status = status.model_copy(
        update={
            "merge_sha": transition.precondition.head_sha,
            "head_sha": transition.precondition.head_sha,
            "gates": status.gates,
        }
    )
    return settle(case, status, after=0.0, cause="merged", notes=(advanced(case, Stage.DEPLOY, "merged"),))


def _production(case: Case, transition: Transition) -> Action:
    match case.facts.effect_job:
        case Unknown() as unknown:
            return _unread(case, transition, unknown, WaitingReason.DEPLOY)
        case job:
            return _production_job(case, transition, job)


def _production_job(case: Case, transition: Transition, job: JobFact) -> Action:
    recorded = transition.job or TransitionJob(name="")
    if job.state == JobState.MISSING:
        return _unknown(case, transition) if recorded.uid is not None else Apply(transition)
    if job.item_uid != case.item.metadata.uid or recorded.uid not in (None, job.uid):
        return _unknown(case, transition)
    if recorded.uid is None:
        seen = transition.model_copy(update={"job": recorded.model_copy(update={"uid": job.uid})})
        case_status = case.status.model_copy(update={"transition": seen})
        return wait(
            case,
            WaitingReason.DEPLOY,
            "the deploy Job is at work",
            on=("Job", recorded.name),
            status=case_status,
            after=0.0,
        )
    if job.state != JobState.ENDED:
        return wait(case, WaitingReason.DEPLOY, "the deploy Job is at work", on=("Job", recorded.name), after=60.0)
    return _production_ended(case, transition, job)


def _production_ended(case: Case, transition: Transition, job: JobFact) -> Action:
    ending = read_effect_answer(job)
    if ending.passed:
        status = entered(case, Stage.DONE, cause="deployed").model_copy(
            update={"revision": (ending.revision or transition.precondition.head_sha)[:256]}
        )
        return settle(case, status, cause="deployed", notes=(advanced(case, Stage.DONE, "deployed"),))
    cleared = case.status.model_copy(update={"transition": None})
    text = f"the deploy of {transition.precondition.head_sha[:12]} failed: {ending.summary}; retry deploys again"
    return stall(case, StalledReason.DEPLOY_FAILED, text, status=cleared)


_WAITING: Mapping[Effect, WaitingReason] = {
    Effect.CUT_BRANCH: WaitingReason.ADMISSION,
    Effect.OPEN_PULL_REQUEST: WaitingReason.FORGE,
    Effect.MERGE: WaitingReason.MERGE,
    Effect.PRODUCTION: WaitingReason.DEPLOY,
}
EFFECTS: Mapping[Effect, Callable[[Case, Transition], Action]] = {
    Effect.CUT_BRANCH: _cut_branch,
    Effect.OPEN_PULL_REQUEST: _open_pull_request,
    Effect.MERGE: _merge,
    Effect.PRODUCTION: _production,
}
"""The effects that exist."""
