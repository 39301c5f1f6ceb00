"""The coverage ratchet: what is merged may not be covered worse than what was, and the mark follows the merge."""

from __future__ import annotations

from conveyor.api.answers import Verdict
from conveyor.api.repository import Coverage
from conveyor.api.stages import Stage
from conveyor.api.workitem import Effect, LastRun, Transition, WorkItemStatus
from conveyor.pipeline.actions import Action, Amend
from conveyor.pipeline.case import Case, with_status
from conveyor.pipeline.intents import Target, arrived, intended
from conveyor.pipeline.words import NOT_CONFIGURED, Failed, Passed, Word

PLACES = 6
"""Decimal places of a percentage that count: 80.3 less 0.1 is not quite 80.2 in binary."""


def coverage_ratchet(case: Case) -> Word:
    """The tester's figure against the mark, less what is tolerated. Which commit it tested `tests_passed` has asked."""
    gate, mark = case.spec.gates.coverage, case.repository.status.coverage
    if not gate.enabled:
        return NOT_CONFIGURED
    percent = figure(case.status)
    if percent is None:
        return Failed("the tester's answer names no coverage")
    least = round(mark.percent - gate.tolerance, PLACES) if mark is not None else 0.0
    if round(percent, PLACES) < least:
        return Failed(f"coverage is {percent:g} %, and {least:g} % is the least that may be merged")
    return Passed(f"{percent:g} %")


def figure(status: WorkItemStatus) -> float | None:
    """Coverage in percent as the tester has it who let the item pass; None where nobody said."""
    last = status.last_run
    return last.coverage if last is not None and is_testers_pass(last) else None


def is_testers_pass(last: LastRun | None) -> bool:
    return last is not None and last.stage == Stage.TESTING and last.verdict == Verdict.PASS


def with_ratchet(case: Case, merged: WorkItemStatus) -> WorkItemStatus:
    """What a merge stores, with the intent to raise the mark where there is something to raise."""
    percent = figure(merged)
    if not case.spec.gates.coverage.enabled or percent is None or _reaches(case, percent):
        return merged
    target = Target(effect=Effect.RATCHET, to=Stage.DEPLOY, head_sha=merged.merge_sha or "")
    return intended(with_status(case, merged), merged, target)


def ratchet(case: Case, transition: Transition) -> Action:
    """Proven by reading the Repository. Writing it again changes nothing, so that it is never in doubt."""
    percent = figure(case.status)
    if percent is None or _reaches(case, percent):
        return arrived(case, transition, case.status, cause="the coverage mark stands")
    return Amend(coverage=Coverage(percent=percent, sha=transition.precondition.head_sha))


def _reaches(case: Case, percent: float) -> bool:
    """Whether the mark stands there already, or higher: it goes only upwards."""
    mark = case.repository.status.coverage
    return mark is not None and mark.percent >= percent
