"""The gates whose word is a Job's: each speaks about exactly the commit that its Job was given."""

from __future__ import annotations

from conveyor.api.workitem import Effect, WaitingReason, WorkItemStatus
from conveyor.pipeline.case import Case
from conveyor.pipeline.job_kinds import JOB_KINDS, is_wanted
from conveyor.pipeline.words import NOT_CONFIGURED, Failed, NotEvaluated, Passed, Word, head_sha


def image_fresh(case: Case) -> Word:
    """An image was built of exactly this head."""
    return _word_of_job(case, "image_fresh", Effect.IMAGE)


def staging_healthy(case: Case) -> Word:
    return _word_of_job(case, "staging_healthy", Effect.STAGING)


def _word_of_job(case: Case, name: str, effect: Effect) -> Word:
    """What the Job said of this very commit; one of another commit, or of other settings, says nothing."""
    if not is_wanted(case.spec, effect):
        return NOT_CONFIGURED
    head = head_sha(case)
    if not head:
        return NotEvaluated("the commit could not be read", WaitingReason.FORGE, unread=True)
    word = case.status.gate(name)
    if word is None or word.head_sha != head or word.reason == NOT_CONFIGURED.reason:
        text = f"the {JOB_KINDS[effect].what} of {head[:12]} is to come"
        return NotEvaluated(text, WaitingReason.DEPLOY, needs=effect)
    return Passed(word.reason) if word.passed else Failed(word.reason)


def built_image(status: WorkItemStatus) -> str:
    """The image of the head on record; empty where none was built of it."""
    word = status.gate("image_fresh")
    fresh = word is not None and word.passed and word.head_sha == status.head_sha
    return (status.image or "") if fresh else ""
