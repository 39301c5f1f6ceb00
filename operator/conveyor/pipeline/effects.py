"""Side effects: intent first, then the effect, then its result. Each is an entry in EFFECTS.

With an intent on record the pass reads whether the effect happened. It did: the result is stored. It did not: it is
applied, and the next pass reads again. Nobody can tell until the deadline: it is parked for a person, and goes on
when a later read proves what happened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
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
    Waiting,
    WaitingReason,
    WorkItemStatus,
)
from conveyor.pipeline.actions import Action, Apply, Note, Settle
from conveyor.pipeline.answers import read_effect_answer
from conveyor.pipeline.case import SOON, Case, advanced, settle, stall, unstalled, wait
from conveyor.pipeline.facts import JobFact, JobState, PullRequest, Unknown
from conveyor.pipeline.runs import claimed, entered

EFFECT_SECONDS = 900
"""How long an effect on the forge is tried. Longer than a forge's restart: an outage is nobody's matter by itself."""
UNREAD_SECONDS = 600
"""How long past the deadline an intent waits for what cannot be read."""


STARTED_OVER = "work starts over on a new branch"


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
    reason, text = _WAITING[target.effect]
    return unstalled(case, status).model_copy(
        update={
            "transition": transition,
            "runs": runs,
            "fencing_token": token,
            "waiting": Waiting(reason=reason, message=text),
        }
    )


def follow(case: Case, transition: Transition) -> Action:
    """What to do about the intent on record."""
    if transition.holder != case.policy.holder[:256]:
        return _adopted(case, transition)
    return EFFECTS[transition.effect](case, transition)


def is_known(transition: Transition) -> bool:
    """Whether this operator knows the effect; another one is a newer operator's and is never touched."""
    return transition.effect in EFFECTS


def _adopted(case: Case, transition: Transition) -> Action:
    """Take over an intent somebody left behind: the raised token fences the late write of its last owner.

    The time it was left alone does not count, or a long restart would park what can simply be gone on with.
    """
    token = (case.status.fencing_token or 0) + 1
    mine = transition.model_copy(update={"holder": case.policy.holder[:256], "fencing_token": token})
    if mine.phase == "Prepared":
        mine = looked_at_again(case, mine)
    status = case.status.model_copy(update={"transition": mine, "fencing_token": token})
    note = Note(
        "TransitionAdopted", f"{transition.effect.value} {transition.id} was left behind; reading what happened"
    )
    return settle(case, status, after=0.0, notes=(note,))


def _unknown(case: Case, transition: Transition) -> Action:
    parked = case.status.model_copy(update={"transition": transition.model_copy(update={"phase": "Unknown"})})
    text = (
        f"nobody can tell whether {transition.effect.value} {transition.id} happened: look at the forge or the Job, "
        "then resume to look again, or retry if it was not applied"
    )
    return stall(case, StalledReason.EFFECT_UNKNOWN, text, status=parked, after=60.0)


def production_seconds(case: Case) -> int:
    """How long the production Job may take, its own end included."""
    return case.spec.deploy.timeout_seconds + 60


def looked_at_again(case: Case, transition: Transition) -> Transition:
    """A parked intent as a person's `resume` leaves it: read and, if it did not happen, applied once more."""
    seconds = production_seconds(case) if transition.effect == Effect.PRODUCTION else EFFECT_SECONDS
    deadline = case.now + timedelta(seconds=seconds)
    return transition.model_copy(update={"phase": "Prepared", "deadline_time": deadline})


def _apply(case: Case, transition: Transition) -> Action:
    if transition.phase == "Unknown" or case.now >= transition.deadline_time:
        return _unknown(case, transition)
    if case.facts.refusal:
        text = f"{transition.effect.value} is refused: {case.facts.refusal}"
        reason, _ = _WAITING[transition.effect]
        return wait(case, reason, text, on=("Repository", case.repository.name), after=SOON)
    return Apply(transition)


def _unread(case: Case, transition: Transition, fact: Unknown, waiting: WaitingReason) -> Action:
    if transition.phase == "Unknown" or case.now >= transition.deadline_time + timedelta(seconds=UNREAD_SECONDS):
        return _unknown(case, transition)
    text = f"{transition.effect.value}: cannot read whether it happened: {fact.reason}"
    return wait(case, waiting, text, after=SOON)


def _dropped(case: Case, reason: str) -> Action:
    """The effect did not happen and cannot any more: the intent ends and the stage decides anew."""
    note = Note("TransitionDropped", reason, warning=True)
    status = unstalled(case, case.status).model_copy(update={"transition": None, "waiting": None})
    return settle(case, status, after=0.0, notes=(note,))


def _arrived(case: Case, transition: Transition, status: WorkItemStatus, *, cause: str) -> Settle:
    """The effect is done: into the stage the intent names, or on in the same one with a new run of its role."""
    to = transition.to_stage
    if to == case.stage:
        status = unstalled(case, status).model_copy(update={"transition": None, "waiting": None})
        status = claimed(case, status, reason=cause) if to != Stage.DEVELOPMENT or cause == STARTED_OVER else status
        return settle(case, status, after=0.0)
    status = entered(case, to, cause=cause, reason="" if to == Stage.ANALYSIS else cause, status=status)
    return settle(case, status, after=0.0, cause=cause, notes=(advanced(case, to, cause),))


def _cut_branch(case: Case, transition: Transition) -> Action:
    want = transition.precondition.base_sha
    match case.facts.branch_head:
        case Unknown() as unknown:
            return _unread(case, transition, unknown, WaitingReason.FORGE)
        case None:
            return _apply(case, transition)
        case head if head == want:
            cause = "admitted" if case.stage == Stage.CREATED else STARTED_OVER
            return _arrived(case, transition, case.status, cause=cause)
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
            return _opened(case, transition, pull)


def _opened(case: Case, transition: Transition, pull: PullRequest) -> Action:
    """On record. After development it is a new one in place of another, and nobody has reviewed it."""
    reference = PullRequestRef(number=pull.number, url=pull.url[:2048])
    status = case.status.model_copy(update={"pull_request": reference, "head_sha": pull.head_sha})
    action = _arrived(case, transition, status, cause=f"pull request #{pull.number} was opened")
    note = Note("PullRequestOpened", f"#{pull.number} {pull.url}")
    return replace(action, notes=(note, *action.notes))


def _merge(case: Case, transition: Transition) -> Action:
    """Proven by the base branch alone; a pull request that a crash left open is then marked merged."""
    head = transition.precondition.head_sha
    match case.facts.head_in_base:
        case Unknown() as unknown:
            return _unread(case, transition, unknown, WaitingReason.FORGE)
        case True:
            return _merged(case, transition, transition.precondition.head_sha)
        case _:
            pass
    match case.facts.pull:
        case Unknown() as unknown:
            return _unread(case, transition, unknown, WaitingReason.FORGE)
        case PullRequest() as pull if pull.merged and pull.head_sha == head:
            return _merged(case, transition, pull.merge_sha or head)  # by a person, in a style of their own
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


def _merged(case: Case, transition: Transition, sha: str) -> Action:
    match case.facts.pull:
        case _ if case.now >= transition.deadline_time or case.facts.refusal:
            pass
        case Unknown() as unknown:
            return _unread(case, transition, unknown, WaitingReason.FORGE)
        case PullRequest(state="open"):
            return Apply(transition)  # the base has it: what is left of the merge is to close the pull request
        case _:
            pass
    status = case.status.model_copy(update={"merge_sha": sha, "head_sha": transition.precondition.head_sha})
    return _arrived(case, transition, status, cause="merged")


def _production(case: Case, transition: Transition) -> Action:
    match case.facts.effect_job:
        case Unknown() as unknown:
            return _unread(case, transition, unknown, WaitingReason.DEPLOY)
        case job:
            return _production_job(case, transition, job)


def _production_job(case: Case, transition: Transition, job: JobFact) -> Action:
    """Created under its name once, and never again after its uid is on record. Its finalizer keeps it until then."""
    recorded = transition.job or TransitionJob(name="")
    if job.state == JobState.MISSING:
        if recorded.uid is not None:
            return _unknown(case, transition)
        return _prepared_again(case, transition) if transition.phase == "Unknown" else _create(case, transition)
    if job.item_uid != case.item.metadata.uid or recorded.uid not in (None, job.uid):
        return _unknown(case, transition)
    if recorded.uid is not None and job.state == JobState.ENDED:
        return _production_ended(case, transition, job)
    if case.now >= transition.deadline_time + timedelta(seconds=UNREAD_SECONDS) and recorded.uid is not None:
        return _unknown(case, transition)
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
        return _arrived(case, transition, case.status.model_copy(update={"revision": revision}), cause="deployed")
    cleared = case.status.model_copy(update={"transition": None})
    text = f"the deploy of {transition.precondition.head_sha[:12]} failed: {ending.summary}; retry deploys again"
    return stall(case, StalledReason.DEPLOY_FAILED, text, status=cleared)


_WAITING: Mapping[Effect, tuple[WaitingReason, str]] = {
    Effect.CUT_BRANCH: (WaitingReason.ADMISSION, "the branch is being cut"),
    Effect.OPEN_PULL_REQUEST: (WaitingReason.FORGE, "the pull request is being opened"),
    Effect.MERGE: (WaitingReason.MERGE, "the merge is under way"),
    Effect.PRODUCTION: (WaitingReason.DEPLOY, "the deploy Job is about to start"),
}
EFFECTS: Mapping[Effect, Callable[[Case, Transition], Action]] = {
    Effect.CUT_BRANCH: _cut_branch,
    Effect.OPEN_PULL_REQUEST: _open_pull_request,
    Effect.MERGE: _merge,
    Effect.PRODUCTION: _production,
}
"""The effects that exist."""
