"""Intents of side effects: recorded first, then followed until their result is known (decision 0001).

With an intent on record the pass reads whether the effect happened. It did: the result is stored. It did not: it is
applied, and the next pass reads again. Nobody can tell until the deadline: it is parked for a person, and goes on
when a later read proves what happened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from conveyor.api.names import effect_job_name
from conveyor.api.stages import Stage
from conveyor.api.workitem import (
    Effect,
    Precondition,
    StalledReason,
    Transition,
    TransitionJob,
    Waiting,
    WaitingReason,
    WorkItemStatus,
)
from conveyor.pipeline.actions import Action, Apply, Note, Settle
from conveyor.pipeline.case import SOON, Case, advanced, on_repository, settle, stall, unstalled, wait
from conveyor.pipeline.facts import Unknown
from conveyor.pipeline.job_kinds import JOB_KINDS, whole_seconds
from conveyor.pipeline.runs import claimed, entered

LEASED = frozenset(Effect) - {Effect.CUT_BRANCH, Effect.OPEN_PULL_REQUEST}
"""Effects with heavy work around them. To cut a branch or open a pull request is one request, refused if repeated."""
EFFECT_SECONDS = 900
"""How long an effect on the forge is tried. Longer than a forge's restart: an outage is nobody's matter by itself."""
UNREAD_SECONDS = 600
"""How long past the deadline an intent waits for what cannot be read."""


REFUSED = "refused until its time was over"
"""How people, and the next pass, are told of an intent that is parked for this."""
STARTED_OVER = "work starts over on a new branch"


@dataclass(frozen=True, slots=True)
class Target:
    """What an intent is about."""

    effect: Effect
    to: Stage
    head_sha: str = ""
    base_sha: str = ""
    change_id: str = ""
    reason: str = ""
    """What it answers to, for who works next."""


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
    job, production = None, case.repository.status.production
    if target.effect in JOB_KINDS:
        job = TransitionJob(name=effect_job_name(case.item.name, target.effect, transition_id=identity))
    transition = Transition(
        id=identity,
        from_stage=case.stage,
        to_stage=target.to,
        effect=target.effect,
        phase="Prepared",
        job=job,
        lease_used=case.policy.transition_lease and target.effect in LEASED,
        precondition=Precondition(head_sha=target.head_sha, base_sha=target.base_sha, change_id=target.change_id),
        fencing_token=token,
        holder=case.policy.holder[:256],
        deadline_time=case.now + timedelta(seconds=time_limit(case, target.effect)),
        previous_image=production.image if job is not None and production is not None else "",
        reason=target.reason[:1024],
    )
    reason, text = WAITING[target.effect]
    return unstalled(case, status).model_copy(
        update={
            "transition": transition,
            "runs": runs,
            "fencing_token": token,
            "waiting": Waiting(reason=reason, message=text),
        }
    )


def adopted(case: Case, transition: Transition) -> Settle:
    """Take over an intent that somebody left behind, or that stood still without its Repository.

    The raised token fences the late write of its last owner. The time it was left alone does not count, or a long
    restart would park what can simply be gone on with.
    """
    token = (case.status.fencing_token or 0) + 1
    mine = transition.model_copy(update={"holder": case.policy.holder[:256], "fencing_token": token})
    if mine.phase == "Prepared":
        mine = looked_at_again(case, mine)
    back = case.status.stalled == StalledReason.REPOSITORY_MISSING
    status = unstalled(case, case.status) if back else case.status
    status = status.model_copy(update={"transition": mine, "fencing_token": token})
    note = Note(
        "TransitionAdopted", f"{transition.effect.value} {transition.id} was left behind; reading what happened"
    )
    return settle(case, status, after=0.0, notes=(note,))


def parked(case: Case, transition: Transition, *, refused: str = "") -> Action:
    """A person's matter from now on. `refused`: what the other side said no to, to the last."""
    unknown = case.status.model_copy(update={"transition": transition.model_copy(update={"phase": "Unknown"})})
    text = (
        f"nobody can tell whether {transition.effect.value} {transition.id} happened: look at the forge or the Job, "
        "then resume to look again, or retry if it was not applied"
    )
    if refused:
        text = f"{REFUSED}: {refused[:600]}; mend that, then resume tries it again"
    return stall(case, StalledReason.EFFECT_UNKNOWN, text, status=unknown, after=60.0)


def was_refused(case: Case) -> bool:
    """Whether the intent is parked because it was refused: it is not tried again unasked.

    Told by the words on record, for a phase is Prepared or Unknown and nothing else. Words of another version read as
    not refused: the effect is then tried again, which has provably not begun.
    """
    if case.status.stalled != StalledReason.EFFECT_UNKNOWN:
        return False
    stalled = next((entry for entry in case.status.conditions if entry.type == "Stalled"), None)
    return stalled is not None and stalled.message.startswith(REFUSED)


def time_limit(case: Case, effect: Effect) -> int:
    """Seconds until nobody can tell any more what has become of the effect."""
    return whole_seconds(case.spec, effect) if effect in JOB_KINDS else EFFECT_SECONDS


def looked_at_again(case: Case, transition: Transition) -> Transition:
    """A parked intent as a person's `resume` leaves it: read and, if it did not happen, applied once more."""
    deadline = case.now + timedelta(seconds=time_limit(case, transition.effect))
    return transition.model_copy(update={"phase": "Prepared", "deadline_time": deadline})


def apply_once(case: Case, transition: Transition) -> Action:
    """A refusal is waited out while there is time for another try."""
    if was_refused(case):
        return settle(case, case.status, after=60.0)
    if case.facts.refusal and transition.phase != "Unknown":
        return _refused(case, transition)
    if transition.phase == "Unknown" or case.now >= transition.deadline_time:
        return parked(case, transition)
    return Apply(transition)


def _refused(case: Case, transition: Transition) -> Action:
    text = f"{transition.effect.value} is refused: {case.facts.refusal}"
    if case.now + timedelta(seconds=SOON) >= transition.deadline_time:
        return parked(case, transition, refused=text)
    reason, _ = WAITING[transition.effect]
    return wait(case, reason, text, on=on_repository(case), after=SOON)


def unread(case: Case, transition: Transition, fact: Unknown, waiting: WaitingReason) -> Action:
    if was_refused(case):
        return settle(case, case.status, after=SOON)
    if transition.phase == "Unknown" or case.now >= transition.deadline_time + timedelta(seconds=UNREAD_SECONDS):
        return parked(case, transition)
    text = f"{transition.effect.value}: cannot read whether it happened: {fact.reason}"
    return wait(case, waiting, text, after=SOON)


def dropped(case: Case, reason: str) -> Action:
    """The effect did not happen and cannot any more: the intent ends and the stage decides anew."""
    note = Note("TransitionDropped", reason, warning=True)
    status = unstalled(case, case.status).model_copy(update={"transition": None, "waiting": None})
    return settle(case, status, after=0.0, notes=(note,))


def arrived(case: Case, transition: Transition, status: WorkItemStatus, *, cause: str) -> Settle:
    """The effect is done: into the stage the intent names, or on in the same one with a new run of its role."""
    to = transition.to_stage
    if to == case.stage:
        status = unstalled(case, status).model_copy(update={"transition": None, "waiting": None})
        works = to != Stage.DEVELOPMENT or transition.effect == Effect.CUT_BRANCH
        status = claimed(case, status, reason=cause) if works else status
        return settle(case, status, after=0.0)
    status = entered(case, to, cause=cause, reason="" if to == Stage.ANALYSIS else cause, status=status)
    return settle(case, status, after=0.0, cause=cause, notes=(advanced(case, to, cause),))


WAITING: Mapping[Effect, tuple[WaitingReason, str]] = {
    Effect.CUT_BRANCH: (WaitingReason.ADMISSION, "the branch is being cut"),
    Effect.OPEN_PULL_REQUEST: (WaitingReason.FORGE, "the pull request is being opened"),
    Effect.REBASE: (WaitingReason.MERGE, "the branch is being rebased"),
    Effect.MERGE: (WaitingReason.MERGE, "the merge is under way"),
    Effect.RATCHET: (WaitingReason.MERGE, "the coverage mark is being raised"),
    **{effect: (WaitingReason.DEPLOY, f"the {kind.what} is about to start") for effect, kind in JOB_KINDS.items()},
}
