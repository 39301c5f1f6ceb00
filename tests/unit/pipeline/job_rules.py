"""What must be known before an effect that is a Job begins, and of its end: in the design's words, not the code's."""

from __future__ import annotations

from conveyor.api.answers import Verdict
from conveyor.api.stages import Stage
from conveyor.api.workitem import Effect, StalledReason
from conveyor.pipeline.actions import Action, Amend, Settle
from conveyor.pipeline.case import Case
from conveyor.pipeline.facts import JobFact, JobState
from tests.unit.pipeline.builders import HEAD, UID

PASSING = (None, "")


def has_image(case: Case) -> bool:
    """One was built of this very head, or none is wanted."""
    wanted = case.spec.gates.image.enabled and bool(case.spec.gates.image.template)
    return not wanted or (_said_pass(case, "image_fresh") and bool(case.status.image))


def was_in_staging(case: Case) -> bool:
    return not case.spec.staging.template or _said_pass(case, "staging_healthy")


def _said_pass(case: Case, name: str) -> bool:
    word = case.status.gate(name)
    return word is not None and word.passed and word.head_sha == HEAD


def _end_of(case: Case, effect: Effect) -> bool | None:
    """How the Job of this intent ended; None: it did not, or it is not ours, or its uid is not on record."""
    intent, job = case.status.transition, case.facts.effect_job
    if intent is None or intent.effect != effect or intent.job is None or not isinstance(job, JobFact):
        return None
    if job.state != JobState.ENDED or (job.uid, job.item_uid) != (intent.job.uid, UID):
        return None
    said = job.message in PASSING or f'"verdict": "{Verdict.PASS.value}"' in (job.message or "")
    return job.complete and said


def is_deployed(case: Case) -> bool:
    """With what was deployed on record at the Repository."""
    if not case.spec.deploy.template and case.status.transition is None:
        return case.status.merge_sha == HEAD
    recorded = case.repository.status.production
    if case.status.transition is None:  # with a later one, and it was never tried by itself
        untried = not any(gate.name == "deploy_status" for gate in case.status.gates)
        return untried and recorded is not None and case.facts.merge_in_production is True
    mine = recorded is not None and (recorded.sha, recorded.item) == (HEAD, case.item.name)
    return mine and (_end_of(case, Effect.PRODUCTION) is True or _can_say_no_more(case))


def _can_say_no_more(case: Case) -> bool:
    """Whether the deploy's Job was there, and is gone or has lost its word: what it came to is on record or nowhere."""
    intent, job = case.status.transition, case.facts.effect_job
    if intent is None or intent.effect != Effect.PRODUCTION or intent.job is None or not isinstance(job, JobFact):
        return False
    vanished = job.state == JobState.MISSING and intent.job.uid is not None
    ours = (job.uid, job.item_uid) == (intent.job.uid, UID)
    return vanished or (ours and job.state == JobState.ENDED and job.pod_gone)


def may_roll_back(case: Case) -> bool:
    """After a deploy that failed, frozen for it, and with a place to go back to; or told to, after one that failed."""
    recorded = case.repository.status.production
    can = bool(case.spec.deploy.rollback_template) and recorded is not None and bool(recorded.image)
    frozen = "0123456789abcdef" in {freeze.id for freeze in case.repository.status.freezes}
    intent, told = case.status.transition, bool(case.item.metadata.annotations)
    parked = intent is not None and (intent.effect, intent.phase) == (Effect.ROLLBACK, "Unknown")
    again = told and (parked or (can and case.status.stalled == StalledReason.ROLLBACK_FAILED))
    return again or (can and frozen and _end_of(case, Effect.PRODUCTION) is False)


def may_begin_again(case: Case) -> bool:
    """On a new branch after the merge: once the rollback has ended well, or a person says so."""
    intent, told = case.status.transition, bool(case.item.metadata.annotations)
    rolled_back = _end_of(case, Effect.ROLLBACK) is True and intent is not None
    to_mend = intent is not None and intent.to_stage == Stage.DEVELOPMENT
    ended = case.status.stalled in (StalledReason.DEPLOY_FAILED, StalledReason.ROLLBACK_FAILED)
    recut = intent is not None and intent.effect == Effect.CUT_BRANCH and intent.phase == "Unknown"
    return case.stage == Stage.DEPLOY and ((rolled_back and to_mend) or (told and (ended or recut)))


def amends_what_happened(case: Case, action: Action) -> str:
    """A Repository is told of a deploy that ended well, frozen for one that did not, and told where it went back to."""
    if not isinstance(action, Amend) or case.status.stage == Stage.DONE:
        return ""
    wrong = {
        "says deployed": action.production is not None
        and _end_of(case, Effect.PRODUCTION) is not True
        and _end_of(case, Effect.ROLLBACK) is not True,
        "freezes": action.freeze is not None and _end_of(case, Effect.PRODUCTION) is not False,
    }
    return ", ".join(f"{what} although it is not so" for what, is_so in wrong.items() if is_so)


def rolled_back_or_done(case: Case, action: Action) -> str:
    """An item whose rollback is claimed never comes to `done` by its deploy."""
    intent = case.status.transition
    if intent is None or intent.effect != Effect.ROLLBACK or not isinstance(action, Settle):
        return ""
    return "done although its rollback is claimed" if action.status.stage == Stage.DONE else ""
