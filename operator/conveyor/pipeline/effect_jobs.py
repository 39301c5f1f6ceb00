"""Effects that are Jobs: each is created under its name once, and kept by a finalizer until its result is stored.

What a Job's end means is in ENDINGS. The word on an image or on staging is put on record as a gate's, good or bad, and
the stage goes on from there. A deploy that passed is first put on record at its Repository; one that failed is claimed
for a rollback, or given up, by the very write that ends its intent: see `rolling_back`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta

from conveyor.api.repository import Production, RepositorySpec
from conveyor.api.workitem import Cause, Effect, StalledReason, Transition, TransitionJob, WaitingReason
from conveyor.pipeline.actions import Action, Amend, Apply, Note
from conveyor.pipeline.answers import EffectEnding, read_effect_answer
from conveyor.pipeline.budgets import charged, exhausted
from conveyor.pipeline.case import Case, on_repository, settle, stall, unstalled, wait, with_status
from conveyor.pipeline.facts import JobFact, JobState, Unknown
from conveyor.pipeline.freezes import freeze_of
from conveyor.pipeline.intents import (
    UNREAD_SECONDS,
    Target,
    arrived,
    intended,
    looked_at_again,
    parked,
    unread,
    was_refused,
)
from conveyor.pipeline.job_gates import built_image, with_word, without_words
from conveyor.pipeline.job_kinds import JOB_KINDS
from conveyor.pipeline.monitoring import watched
from conveyor.pipeline.overtaken import outrun
from conveyor.pipeline.rolling_back import roll_back, rolled_back
from conveyor.pipeline.superseding import NEVER_SUPERSEDED
from conveyor.pipeline.words import head_sha

REFUSED_SECONDS = 30.0
"""After which a Job that was refused is tried again: a quota may have room by then."""
_IMAGE = re.compile(r"(?P<repository>[^\s@]+)@sha256:[0-9a-f]{64}")


def follow_job(case: Case, transition: Transition) -> Action:
    match case.facts.effect_job:
        case Unknown() as unknown:
            return unread(case, transition, unknown, WaitingReason.DEPLOY)
        case job:
            return _followed(case, transition, job)


def _followed(case: Case, transition: Transition, job: JobFact) -> Action:
    """Created under its name once, suspended, and never again after its uid is on record; then let begin.

    So a request to create it that comes late leaves a Job that nobody starts, and one to start it changes nothing. Its
    finalizer keeps it until its result is stored.
    """
    recorded = transition.job or TransitionJob(name="")
    if job.state == JobState.MISSING:
        if recorded.uid is not None:
            return _lost(case, transition)
        return _prepared_again(case, transition) if transition.phase == "Unknown" else _apply(case, transition)
    if job.item_uid != case.item.metadata.uid or recorded.uid not in (None, job.uid):
        return parked(case, transition)
    if recorded.uid is None:
        seen = looked_at_again(case, transition).model_copy(
            update={"job": recorded.model_copy(update={"uid": job.uid})}
        )
        return _at_work(case, seen, job, after=0.0)
    if job.state == JobState.ENDED:
        return _ended(case, transition, read_effect_answer(job))
    if job.unstarted and job.suspended:
        return _let_begin(case, transition, job)
    if case.now >= transition.deadline_time + timedelta(seconds=UNREAD_SECONDS):
        return parked(case, transition)
    return _at_work(case, transition.model_copy(update={"phase": "Prepared"}), job, after=60.0)


def _ended(case: Case, transition: Transition, ending: EffectEnding) -> Action:
    """A deploy or a rollback that nobody can tell about is a person's matter: it is never begun again unasked."""
    if ending.untold and transition.effect in NEVER_SUPERSEDED:
        return _lost(case, transition)
    return ENDINGS[transition.effect](case, transition, ending)


def _lost(case: Case, transition: Transition) -> Action:
    """Its Job has nothing more to say. A deploy that its Repository has on record has passed: that comes after it."""
    found, head = case.repository.status.production, transition.precondition.head_sha
    told = found is not None and (found.item, found.sha) == (case.item.name, head)
    if found is None or not told or transition.effect != Effect.PRODUCTION:
        return parked(case, transition)
    return _deployed(case, transition, revision=found.revision, reason="it is on record as deployed")


def _let_begin(case: Case, transition: Transition, job: JobFact) -> Action:
    """Its time counts from here. One that somebody deletes before is never given a pod: a person's matter."""
    if job.state == JobState.DELETING:
        return parked(case, transition)
    late = transition.phase == "Unknown" or case.now >= transition.deadline_time
    if late and not case.facts.refusal:
        return _prepared_again(case, transition)
    return _apply(case, transition)


def _at_work(case: Case, transition: Transition, job: JobFact, *, after: float) -> Action:
    what = JOB_KINDS[transition.effect].what
    text = f"the {what} is at work" + (f" ({job.reason})" if job.reason and not job.suspended else "")
    if job.suspended and not job.unstarted:
        text = f"the {what} was suspended by somebody after it began: it goes on when they set suspend to false"
    return wait(
        case,
        WaitingReason.DEPLOY,
        text,
        on=("Job", transition.job.name if transition.job is not None else ""),
        status=case.status.model_copy(update={"transition": transition}),
        after=after,
    )


def _apply(case: Case, transition: Transition) -> Action:
    """However late: a Job that is not there has never begun, and one that is suspended begins once.

    A refusal is waited out while there is time for another try.
    """
    if case.facts.refusal:
        text = f"the {JOB_KINDS[transition.effect].what} is refused: {case.facts.refusal}"
        if case.now + timedelta(seconds=REFUSED_SECONDS) >= transition.deadline_time:
            return parked(case, transition, refused=text)
        return wait(case, WaitingReason.DEPLOY, text, on=on_repository(case), after=REFUSED_SECONDS)
    return Apply(transition)


def _prepared_again(case: Case, transition: Transition) -> Action:
    """What has not begun goes on by itself, unless it was refused all the time that it had."""
    if was_refused(case):
        return settle(case, case.status)
    again = case.status.model_copy(update={"transition": looked_at_again(case, transition), "waiting": None})
    return settle(case, unstalled(case, again), after=0.0)


# --- before the merge


def begin(case: Case, effect: Effect) -> Action:
    """Intend the Job that a gate needs, of the head on record. What it said before is void from now on."""
    void = (Effect.IMAGE, Effect.STAGING) if effect == Effect.IMAGE else (effect,)
    target = Target(effect=effect, to=case.stage, head_sha=head_sha(case), change_id=case.status.change_id or "")
    return settle(case, intended(case, without_words(case.status, *void), target), after=0.0)


def _image(case: Case, transition: Transition, ending: EffectEnding) -> Action:
    if not ending.passed:
        return _said(case, transition, ending)
    wrong = _not_an_image(case.spec, ending.image)
    if wrong:
        return _said(case, transition, EffectEnding(passed=False, summary=wrong))
    return _said(case, transition, ending, image=ending.image)


def _not_an_image(spec: RepositorySpec, image: str) -> str:
    """What is wrong with what a build says it built: only a digest names one image for ever."""
    match = _IMAGE.fullmatch(image)
    if match is None:
        found = f"it named {image!r}" if image else "it named no image"
        return f"{found}: wanted <repository>@sha256:<digest> as `image` of its message"
    wanted = spec.gates.image.repository
    if wanted and match["repository"] != wanted:
        return f"it named an image of {match['repository']}: wanted one of {wanted}"
    return ""


def _said(case: Case, transition: Transition, ending: EffectEnding, *, image: str = "") -> Action:
    """Its word goes on record for the commit that it was given; what follows from it, the stage decides."""
    if ending.disrupted:
        return _begun_again(case, transition, ending)
    what = JOB_KINDS[transition.effect].what
    text = ending.summary if ending.passed else f"the {what} failed: {ending.summary}"
    word = with_word(case, transition, passed=ending.passed, reason=text)
    status = word.model_copy(update={"transition": None, "waiting": None, **({"image": image} if image else {})})
    note = Note("JobFinished", f"{what}: {image or text}", warning=not ending.passed)
    return settle(case, unstalled(case, status), after=0.0, notes=(note,))


def _begun_again(case: Case, transition: Transition, ending: EffectEnding) -> Action:
    """A node went away under it: nothing is said of the work, so its gate asks for another Job."""
    text = f"the {JOB_KINDS[transition.effect].what} was cut short: {ending.summary}"
    status = unstalled(case, case.status).model_copy(update={"transition": None, "waiting": None})
    budget = exhausted(status, case.spec, Cause.INFRASTRUCTURE)
    if budget is not None:
        text = f"{text}; the budget is used up ({budget}): kubectl workitem retry {case.item.name} allows more"
        return stall(case, StalledReason.RETRIES_EXHAUSTED, text, status=status, after=300.0)
    charge = charged(status, Cause.INFRASTRUCTURE, transition.precondition.head_sha)
    return settle(case, charge, after=0.0, notes=(Note("JobCutShort", text, warning=True),))


# --- after the merge


def _production(case: Case, transition: Transition, ending: EffectEnding) -> Action:
    """What is deployed is on record at the Repository before the item is done."""
    if not ending.passed:
        return _deploy_failed(case, transition, ending)
    head = transition.precondition.head_sha
    revision = (ending.revision or head)[:256]
    image = ending.image or built_image(case.status)
    deployed = Production(image=image, sha=head, revision=revision, item=case.item.name)
    recorded = case.repository.status.production
    if recorded != deployed:
        status = with_word(case, transition, passed=True, reason=ending.summary)
        return outrun(case, status) or Amend(production=deployed, replaces=recorded)
    return _deployed(case, transition, revision=revision, reason=ending.summary)


def _deployed(case: Case, transition: Transition, *, revision: str, reason: str) -> Action:
    status = with_word(case, transition, passed=True, reason=reason)
    status = watched(case, status.model_copy(update={"revision": revision}))
    return arrived(case, transition, status, cause="deployed")


def _deploy_failed(case: Case, transition: Transition, ending: EffectEnding) -> Action:
    """First the freeze, read back; then one write that ends this intent: from then on it cannot come to `done`."""
    text = f"the deploy of {transition.precondition.head_sha[:12]} failed: {ending.summary}"[:500]
    freezes = {freeze.id for freeze in case.repository.status.freezes}
    if case.policy.freeze and transition.id not in freezes:
        return Amend(freeze=freeze_of(case.item, transition.id, reason=text, now=case.now))
    word = with_word(case, transition, passed=False, reason=text)
    return roll_back(with_status(case, word), text, by_itself=not ending.disrupted)


ENDINGS: Mapping[Effect, Callable[[Case, Transition, EffectEnding], Action]] = {
    Effect.IMAGE: _image,
    Effect.STAGING: _said,
    Effect.PRODUCTION: _production,
    Effect.ROLLBACK: rolled_back,
}
"""What the end of each means."""
