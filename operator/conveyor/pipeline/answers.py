"""What the end of a Job means: only its own well-formed message counts, everything else is never a pass."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from conveyor.api.answers import MAX_TERMINATION_BYTES, RunError, TerminationMessage, Verdict
from conveyor.pipeline.facts import JobFact


@dataclass(frozen=True, slots=True)
class Ending:
    """What is stored of a run's end."""

    verdict: Verdict
    summary: str
    sha: str = ""
    question: str = ""
    coverage: float | None = None
    retry_after_seconds: int = 0


@dataclass(frozen=True, slots=True)
class EffectEnding:
    """What an effect Job's end says. `image` and `revision` are what it says it built or deployed."""

    passed: bool
    summary: str
    image: str = ""
    revision: str = ""
    disrupted: bool = False
    """It failed, or nobody can tell what it came to, and not by its own doing."""
    untold: bool = False
    """It came to its end, and its word is lost."""


def infrastructure(why: str) -> Ending:
    """An end that says nothing about the work."""
    return Ending(Verdict.INFRASTRUCTURE, why)


def read_run_answer(job: JobFact, *, uid: str, run: str, token: str, seconds: int) -> Ending:
    """A run's answer. `seconds` is its time limit; a run that did not keep it has failed."""
    if job.reason == "DeadlineExceeded" and not job.disrupted:
        return Ending(Verdict.FAIL, f"it was not done within {seconds} s")
    if job.message is None or not job.message.strip():
        return infrastructure(f"the run left no answer ({job.reason or 'no reason given'})")
    answer = _parse(job.message)
    if isinstance(answer, str):
        return infrastructure(answer)
    if (answer.uid, answer.run, answer.token) != (uid, run, token):
        return infrastructure("the run's answer is another run's")
    verdict = Verdict(answer.verdict)
    asked = answer.question or answer.summary or "the run is blocked and asks nothing"
    return Ending(
        verdict=verdict,
        summary=answer.summary,
        sha=answer.sha,
        question=asked if verdict == Verdict.BLOCKED else "",
        coverage=answer.coverage,
        retry_after_seconds=answer.retry_after_seconds,
    )


def read_effect_answer(job: JobFact) -> EffectEnding:
    """An effect Job's end: exit 0 without a message passes, a message has to say pass, and a lost pod says nothing."""
    answer = _parse(job.message) if job.message is not None and job.message.strip() else None
    if not job.complete:
        why = job.reason or "the Job failed"
        said = answer.summary if isinstance(answer, TerminationMessage) else ""
        return EffectEnding(passed=False, summary=f"{why}: {said}" if said else why, disrupted=job.disrupted)
    if job.pod_gone:
        lost = "it ended with exit 0, and its pod is gone with what it said"
        return EffectEnding(passed=False, summary=lost, disrupted=True, untold=True)
    match answer:
        case None:
            return EffectEnding(passed=True, summary="exit 0")
        case str():
            return EffectEnding(passed=False, summary=answer)
        case TerminationMessage(verdict=verdict, summary=summary):
            said = summary or f"it says {verdict}"
            return EffectEnding(verdict == "pass", said, image=answer.image, revision=answer.revision)


def _parse(message: str) -> TerminationMessage | str:
    """The message, or what is wrong with it."""
    if len(message.encode(errors="replace")) > MAX_TERMINATION_BYTES:
        return "the answer is too long"
    try:
        return TerminationMessage.model_validate_json(message)
    except ValidationError:
        pass
    try:
        return f"it could not be finished: {RunError.model_validate_json(message).error}"
    except ValidationError:
        return "the answer is malformed or was cut"
