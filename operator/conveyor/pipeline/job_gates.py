"""The gates whose word is a Job's: each speaks about exactly the commit that its Job was given."""

from __future__ import annotations

from conveyor.api.workitem import Effect, Gate, Transition, WaitingReason, WorkItemStatus
from conveyor.pipeline.case import Case
from conveyor.pipeline.job_kinds import JOB_KINDS, is_wanted
from conveyor.pipeline.words import NOT_CONFIGURED, Failed, NotEvaluated, Passed, Word, head_sha


def image_fresh(case: Case) -> Word:
    """An image was built of exactly this head."""
    return _word_of_job(case, Effect.IMAGE)


def staging_healthy(case: Case) -> Word:
    return _word_of_job(case, Effect.STAGING)


def _word_of_job(case: Case, effect: Effect) -> Word:
    """What the Job said of this very commit; one of another commit, or of other settings, says nothing."""
    if not is_wanted(case.spec, effect):
        return NOT_CONFIGURED
    head = head_sha(case)
    if not head:
        return NotEvaluated("the commit could not be read", WaitingReason.FORGE, unread=True)
    kind = JOB_KINDS[effect]
    word = case.status.gate(kind.gate)
    if word is None or word.head_sha != head or word.reason == NOT_CONFIGURED.reason:
        text = f"the {kind.what} of {head[:12]} is to come"
        return NotEvaluated(text, WaitingReason.DEPLOY, needs=effect)
    return Passed(word.reason) if word.passed else Failed(word.reason)


def with_word(case: Case, transition: Transition, *, passed: bool, reason: str) -> WorkItemStatus:
    """The status with what a Job has said of the commit that it was given.

    Its own words stand behind ours, or it could say one that decisions go by, such as NotConfigured.
    """
    kind = JOB_KINDS[transition.effect]
    name = kind.gate
    gate = Gate(
        name=name,
        passed=passed,
        head_sha=transition.precondition.head_sha,
        change_id=transition.precondition.change_id,
        reason=(f"the {kind.what} passed: {reason}" if passed else reason)[:256],
        checked_time=case.now,
    )
    rest = [entry for entry in case.status.gates if entry.name != name]
    return case.status.model_copy(update={"gates": tuple(sorted([*rest, gate], key=lambda entry: entry.name))})


def without_words(status: WorkItemStatus, *effects: Effect) -> WorkItemStatus:
    """The status as if these Jobs had said nothing, so that they are begun again."""
    names = {JOB_KINDS[effect].gate for effect in effects}
    built = {"image": None} if Effect.IMAGE in effects else {}
    return status.model_copy(update={**built, "gates": tuple(gate for gate in status.gates if gate.name not in names)})


def without_failures(status: WorkItemStatus) -> WorkItemStatus:
    """As if the Jobs that failed had said nothing."""
    void = [effect for effect, kind in JOB_KINDS.items() if (word := status.gate(kind.gate)) and not word.passed]
    return without_words(status, *void)


def built_image(status: WorkItemStatus) -> str:
    """The image of the head on record; empty where none was built of it."""
    word = status.gate(JOB_KINDS[Effect.IMAGE].gate)
    if word is None or not word.passed or word.head_sha != status.head_sha or word.reason == NOT_CONFIGURED.reason:
        return ""
    return status.image or ""
