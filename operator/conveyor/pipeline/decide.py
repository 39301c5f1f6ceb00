"""The one decision: what to do next about an item, from what is known of it. Pure and total.

The steps are asked in order; the first that has an answer decides.
"""

from __future__ import annotations

from collections.abc import Callable

from conveyor.api.stages import TERMINAL, Stage
from conveyor.api.workitem import WaitingReason
from conveyor.pipeline import effects, runs
from conveyor.pipeline.actions import Action, LetGo, Settle
from conveyor.pipeline.case import SOON, Case, advanced, moved, settle, wait
from conveyor.pipeline.deletion import deleted
from conveyor.pipeline.ended import merged_late
from conveyor.pipeline.facts import NOT_READ, Ticket, Unknown
from conveyor.pipeline.indication import StateMap
from conveyor.pipeline.monitoring import monitor
from conveyor.pipeline.people import read_ticket, with_ticket_seen
from conveyor.pipeline.pulls import merged_by_somebody
from conveyor.pipeline.resuming import DEPLOY_ENDED
from conveyor.pipeline.stalled import closed_ticket, hears_a_close_later, stay_stalled
from conveyor.pipeline.superseding import NEVER_SUPERSEDED, end_first, superseded
from conveyor.pipeline.verbs import answer_request
from conveyor.pipeline.work import WORK


def decide(case: Case) -> Action:
    """The next step. Storing an unchanged status is no write: `Settle` with nothing new means to wait."""
    if case.item.metadata.deletion_timestamp is not None:
        return deleted(case)
    if case.status.stage is None:
        status = moved(case, case.status, Stage.CREATED, cause="seen")
        return settle(case, status, after=0.0, cause="seen")
    action = next((found for found in (step(case) for step in STEPS) if found is not None), None)
    return with_ticket_seen(case, action if action is not None else WORK[case.stage](case))


def stay_at_the_end(case: Case) -> Action | None:
    """What has ended holds nothing, and is left alone but for the watch over what it deployed, or may yet be merged."""
    if case.stage not in TERMINAL:
        return None
    if case.item.held and case.status.transition is None:
        return LetGo()
    return merged_late(case) or monitor(case)


def cancel(case: Case) -> Action | None:
    """To `cancelled`, once neither run nor effect Job is left; never out of a merge or a deploy."""
    wanted = "spec.cancel is set" if case.item.spec.cancel else _ticket_cancelled(case)
    transition = case.status.transition
    if case.stage in TERMINAL or wanted is None or (transition is not None and transition.effect in NEVER_SUPERSEDED):
        return None
    if case.stage == Stage.DEPLOY and transition is None and case.status.stalled not in DEPLOY_ENDED:
        return None
    if (first := end_first(case, wanted)) is not None:
        return first
    status = moved(case, case.status, Stage.CANCELLED, cause=wanted).model_copy(update={"active_run": None})
    notes = (*superseded(case, wanted), advanced(case, Stage.CANCELLED, wanted))
    return settle(case, status, cause="cancelled", notes=notes)


def _ticket_cancelled(case: Case) -> str | None:
    match case.facts.ticket, case.facts.states:
        case Ticket() as ticket, StateMap() as states if states.is_cancelled(ticket.state_id):
            return f"ticket {ticket.key} was cancelled"
        case _:
            return None


def ticket_again(case: Case, action: Action) -> float | None:
    """In how many seconds the ticket is to be asked again; None: what it says was heard.

    It could not be read; or it was cancelled or closed, and what is under way ends first.
    """
    if isinstance(case.facts.ticket, Unknown) and case.facts.ticket is not NOT_READ:
        return SOON
    ends = isinstance(action, Settle) and action.status.stage in TERMINAL
    goes_on = case.status.stage not in TERMINAL and not ends
    closed = hears_a_close_later(case.status) and closed_ticket(case) is not None
    return case.policy.poll_seconds if goes_on and (_ticket_cancelled(case) or closed) else None


def follow_transition(case: Case) -> Action | None:
    transition = case.status.transition
    return effects.follow(case, transition) if transition is not None else None


def follow_run(case: Case) -> Action | None:
    run = case.status.active_run
    return runs.follow(case, run) if run is not None else None


def stay_with_closed_ticket(case: Case) -> Action | None:
    """What is Stalled for another reason stays so: reopening the ticket would not mend it."""
    return closed_ticket(case) if case.status.stalled is None else None


def hold(case: Case) -> Action | None:
    if not case.item.spec.suspend:
        return None
    return wait(case, WaitingReason.SUSPENDED, runs.suspended(case))


STEPS: tuple[Callable[[Case], Action | None], ...] = (
    cancel,
    answer_request,
    stay_at_the_end,
    merged_by_somebody,
    follow_transition,
    follow_run,
    read_ticket,
    stay_with_closed_ticket,
    stay_stalled,
    hold,
)
