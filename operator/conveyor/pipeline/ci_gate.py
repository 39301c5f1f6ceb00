"""What CI's statuses say about one commit."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from conveyor.api.workitem import Gate, WaitingReason
from conveyor.pipeline.case import Case
from conveyor.pipeline.facts import CommitStatus, Unknown
from conveyor.pipeline.words import NOT_CONFIGURED, Failed, NotEvaluated, Passed, Word, head_sha, unreadable


def ci_green(case: Case) -> Word:
    gate = case.spec.gates.ci
    if gate.mode == "None":
        return NOT_CONFIGURED
    if not gate.creators and not case.policy.agents_known:
        text = "it is unknown which logins are agents: give their tokens read:user, or name gates.ci.creators"
        return NotEvaluated(text, WaitingReason.FORGE)
    match case.facts.statuses:
        case Unknown() as unknown:
            return unreadable(unknown)
        case statuses:
            word = ci_word(
                statuses,
                contexts=gate.contexts,
                creators=gate.creators,
                agents=case.policy.agent_logins,
                silent=_is_silent(case),
            )
            return _in_time(case, word)


def ci_word(
    statuses: tuple[CommitStatus, ...],
    *,
    contexts: tuple[str, ...],
    creators: tuple[str, ...],
    agents: frozenset[str],
    silent: bool,
) -> Word:
    """What one commit's statuses say. Without named contexts all that count must be green, and there must be one."""
    counting = [
        status
        for status in statuses
        if (status.creator in creators if creators else status.creator not in agents)
        and (not contexts or status.context in contexts)
    ]
    missing = sorted(set(contexts) - {status.context for status in counting})
    red = sorted({status.context for status in counting if status.state in ("failure", "error", "warning")})
    if red:
        return Failed(f"CI is red: {', '.join(red)}"[:256])
    if not counting or missing:
        named = ", ".join(missing) or "any context"
        return NotEvaluated(f"no status yet of {named}"[:256], WaitingReason.CI, silent=silent)
    unfinished = sorted({status.context for status in counting if status.state not in ("success", "skipped")})
    if unfinished:
        return NotEvaluated(f"CI is at work: {', '.join(unfinished)}"[:256], WaitingReason.CI)
    return Passed(f"{len(counting)} green")


def _is_silent(case: Case) -> bool:
    """Whether the time limit has passed since we first looked at this head."""
    seen = case.status.gate("ci_green")
    if seen is None or seen.passed or seen.head_sha != head_sha(case):
        return False
    return case.now - seen.checked_time >= timedelta(seconds=case.spec.gates.ci.timeout_seconds)


def _in_time(case: Case, word: Word) -> Word:
    """A rebased commit has a time limit of its own, in which CI has to come to its end."""
    rebased = case.status.gate("branch_mergeable")
    seconds = case.spec.merge.retest_timeout_seconds
    if rebased is None or not is_retest(rebased, head_sha(case)):
        return word
    match word:
        case NotEvaluated() if case.now - rebased.checked_time >= timedelta(seconds=seconds):
            limit = f"and the {seconds} s since the rebase are over: retry waits once more"
            return replace(word, silent=True, limit=limit)
        case _:
            return word


REBASED = "rebased on "
"""How the reason of `branch_mergeable` begins until CI is green on the rebased commit; its time is the re-test's."""


def is_retest(mergeable: Gate, head: str) -> bool:
    """Whether our own rebase made this head, and CI has not been green on it since."""
    return mergeable.passed and mergeable.head_sha == head and mergeable.reason.startswith(REBASED)
