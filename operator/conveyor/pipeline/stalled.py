"""Stalled: no run and no effect starts, until what is named in the reason is mended or a person acts.

Each reason has an entry that looks whether it still holds. What cannot be read still holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from conveyor.api.stages import Stage
from conveyor.api.workitem import Cause, StalledReason, Transition, WorkItemStatus
from conveyor.pipeline.actions import Action, Settle
from conveyor.pipeline.admitting import dependencies
from conveyor.pipeline.budgets import exhausted
from conveyor.pipeline.case import Case, settle, stall
from conveyor.pipeline.ci_gate import ci_green
from conveyor.pipeline.facts import PullRequest, Ticket, Unknown
from conveyor.pipeline.gates import is_conflicting
from conveyor.pipeline.indication import StateMap
from conveyor.pipeline.job_kinds import JOB_KINDS
from conveyor.pipeline.pulls import pull_trouble
from conveyor.pipeline.words import NotEvaluated
from conveyor.pipeline.work import WORK

Stay = Callable[[Case], Action | None]
"""What to stay with, or None where the reason holds no more."""
AGAIN = 60.0
"""Seconds after which a stalled item looks again at what nobody may report."""


def stay_stalled(case: Case) -> Action | None:
    reason = case.status.stalled
    return STAY.get(reason, _until_a_person_acts)(case) if reason is not None else None


def _as_it_is(case: Case, *, after: float | None = AGAIN) -> Settle:
    return settle(case, case.status, after=after)


def _until_a_person_acts(case: Case) -> Action | None:
    return _as_it_is(case, after=None)


def _until_it_goes_forward(case: Case) -> Action | None:
    """The budget is used up: only a gate that passes after all takes it on."""
    action = WORK[case.stage](case)
    if not isinstance(action, Settle):
        return _as_it_is(case)
    forward = action.moved is not None and _rank(action.moved.to_stage) > _rank(case.stage)
    intent = action.status.transition
    begins = intent is not None and not is_conflicting(case) and not _would_be_cut_short(case, intent)
    return None if forward or begins else _as_it_is(case, after=300.0)


def _would_be_cut_short(case: Case, intent: Transition) -> bool:
    """A Job whose nodes went away as often as the budget allows is not begun again unasked."""
    return intent.effect in JOB_KINDS and exhausted(case.status, case.spec, Cause.INFRASTRUCTURE) is not None


def _rank(stage: Stage) -> int:
    return list(Stage).index(stage)


def _until_a_status_arrives(case: Case) -> Action | None:
    match case.facts.statuses, ci_green(case):
        case Unknown(), _:
            return _as_it_is(case)
        case _, NotEvaluated(silent=True):
            return _as_it_is(case)
        case _:
            return None


def _until_the_pull_request_is_well(case: Case) -> Action | None:
    if case.status.pull_request is None:
        return _as_it_is(case) if isinstance(case.facts.branch_head, Unknown | None) else None
    return _as_it_is(case) if isinstance(case.facts.pull, Unknown) else pull_trouble(case)


def _until_the_base_is_in(case: Case) -> Action | None:
    match case.facts.pull, case.facts.base_in_head:
        case PullRequest(), True:
            return None
        case _:
            return _as_it_is(case)


def _until_that_work_is_gone(case: Case) -> Action | None:
    return None if case.facts.branch_head is None or case.stage != Stage.CREATED else _as_it_is(case)


def _while_dependencies_say_so(case: Case) -> Action | None:
    held = dependencies(case)
    return held if isinstance(held, Settle) and held.status.stalled is not None else None


def _until_the_ticket_is_open(case: Case) -> Action | None:
    match case.facts.ticket, case.facts.states:
        case Ticket(), StateMap():
            return closed_ticket(case)
        case _:
            return _as_it_is(case, after=None)


def hears_a_close_later(status: WorkItemStatus) -> bool:
    """Whether what is under way ends first. Once it is merged, whoever closes the ticket may mean just that."""
    at_work = status.active_run is not None or status.transition is not None
    return at_work and status.stage != Stage.DEPLOY


def closed_ticket(case: Case) -> Action | None:
    """A person closed the ticket before the item was done: nobody knows what is wanted now."""
    match case.facts.ticket, case.facts.states:
        case Ticket() as ticket, StateMap() as states if case.stage != Stage.CREATED:
            ours = case.status.tracker is not None and ticket.state_id == case.status.tracker.indicated_state
            if states.group_of(ticket.state_id) != "completed" or ours:
                return None
            text = f"ticket {ticket.key} was closed: set it to a starting state to go on, or cancel it"
            return stall(case, StalledReason.TICKET_CLOSED, text)
        case _:
            return None


def _not_any_more(_: Case) -> Action | None:
    return None


STAY: Mapping[str, Stay] = {
    StalledReason.RETRIES_EXHAUSTED: _until_it_goes_forward,
    StalledReason.CI_SILENT: _until_a_status_arrives,
    StalledReason.PULL_REQUEST_CLOSED: _until_the_pull_request_is_well,
    StalledReason.BRANCH_GONE: _until_the_pull_request_is_well,
    StalledReason.BASE_RENAMED: _until_the_pull_request_is_well,
    StalledReason.BASE_MOVED: _until_the_base_is_in,
    StalledReason.MERGED_BY_AGENT: _until_a_person_acts,
    StalledReason.MERGED_LATE: _until_a_person_acts,
    StalledReason.EFFECT_UNKNOWN: _not_any_more,
    StalledReason.PRIOR_WORK_FOUND: _until_that_work_is_gone,
    StalledReason.DEPENDENCY_CYCLE: _while_dependencies_say_so,
    StalledReason.DEPENDENCY_CANCELLED: _while_dependencies_say_so,
    StalledReason.TICKET_CLOSED: _until_the_ticket_is_open,
    StalledReason.REPOSITORY_MISSING: _not_any_more,
    StalledReason.DEPLOY_FAILED: _until_a_person_acts,
    StalledReason.ROLLBACK_FAILED: _until_a_person_acts,
}
"""An effect that nobody can tell about, and a run of a foreign Job, are looked at before: see `effects`, `runs`."""
