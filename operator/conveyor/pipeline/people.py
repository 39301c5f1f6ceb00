"""Human gates and tickets: what a person is asked, and what a ticket's state says in answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from conveyor.api.stages import TERMINAL, Stage
from conveyor.api.workitem import Approval, Cause, Gate, StalledReason, TrackerStatus, WaitingReason
from conveyor.pipeline.actions import Action, Note, Settle
from conveyor.pipeline.case import Case, open_time, settle, wait
from conveyor.pipeline.facts import Ticket, Unknown
from conveyor.pipeline.indication import LogicalState, StateMap
from conveyor.pipeline.resuming import resume, retry
from conveyor.pipeline.runs import held_off, rework
from conveyor.pipeline.words import head_sha


def ask(case: Case, gate: str) -> Action:
    """Open a human gate, or go on waiting at it."""
    opened, digest = open_time(case), ""
    if case.item.spec.source is not None:
        match case.facts.ticket:
            case Unknown(reason=reason) if case.status.approval is None:
                return wait(case, WaitingReason.TRACKER, f"the ticket could not be read: {reason}", after=30.0)
            case Unknown():
                return _ask_on(case, gate)
            case None:
                opened = open_time(case)
            case ticket:
                opened, digest = ticket.updated, ticket.text_digest
    approval = case.status.approval
    if (
        approval is not None
        and (approval.gate, approval.head_sha) == (gate, head_sha(case))
        and not is_edited(case, approval)
    ):
        return _ask_on(case, gate)
    new = Approval(gate=gate, head_sha=head_sha(case), text_digest=digest, opened_time=opened)
    status = case.status.model_copy(update={"approval": new, "tracker": _indicate_again(case)})
    note = Note("ApprovalNeeded", f"{gate} waits for a person: {_how(case)}")
    return wait(
        case, WaitingReason.APPROVAL, f"{gate}: {_how(case)}", on=_who(case), status=status, notes=(note,), after=0.0
    )


def is_edited(case: Case, approval: Approval) -> bool:
    """Whether the ticket's text is another than was put before the person."""
    match case.facts.ticket:
        case Ticket() as ticket:
            return approval.text_digest != ticket.text_digest
        case _:
            return False


def _ask_on(case: Case, gate: str) -> Settle:
    return wait(case, WaitingReason.APPROVAL, f"{gate}: {_how(case)}", on=_who(case))


def _indicate_again(case: Case) -> TrackerStatus | None:
    """The ticket as it was when the gate opened. A state that is not ours any more has to be set again."""
    seen = case.status.tracker or TrackerStatus()
    match case.facts.ticket:
        case Ticket() as ticket:
            ours = ticket.state_id if ticket.state_id == seen.indicated_state else ""
            return TrackerStatus(state=ticket.state_id, ticket_updated_time=ticket.updated, indicated_state=ours)
        case _:
            return seen.model_copy(update={"indicated_state": ""}) if case.status.tracker is not None else None


def _how(case: Case) -> str:
    verb = f"kubectl workitem approve {case.item.name}"
    source = case.item.spec.source
    return f"set {source.key} to Approved or Rejected, or {verb}" if source is not None else verb


def _who(case: Case) -> tuple[str, str]:
    source = case.item.spec.source
    return ("Ticket", source.key) if source is not None else ("WorkItem", case.item.name)


def later(time: str, than: str) -> bool:
    """Whether one of the tracker's times is after another; they may differ in fraction and offset."""
    try:
        return datetime.fromisoformat(time) > datetime.fromisoformat(than)
    except (ValueError, TypeError):
        return time > than


def approve(case: Case, how: str) -> Settle | None:
    """Record a person's yes for the commit the gate was opened for; None where no gate is open."""
    approval = case.status.approval
    if approval is None:
        return None
    gate = Gate(
        name=approval.gate,
        passed=True,
        head_sha=approval.head_sha,
        change_id=case.status.change_id or "",
        text_digest=approval.text_digest,
        reason=how[:256],
        checked_time=case.now,
    )
    rest = [entry for entry in case.status.gates if entry.name != gate.name]
    status = case.status.model_copy(
        update={"gates": tuple(sorted([*rest, gate], key=lambda entry: entry.name)), "approval": None, "waiting": None}
    )
    return settle(case, status, after=0.0, notes=(Note("Approved", f"{gate.name}: {how}"),))


def reject(case: Case, reason: str) -> Settle | None:
    """A person's no: the role works again, or development does; None where no gate is open.

    The gate stays open until the rework begins: without a slot, or with the budget used up, the no still stands.
    """
    if case.status.approval is None:
        return None
    if (held := no_run_yet(case)) is not None:
        return held
    closed = case.status.model_copy(update={"approval": None})
    to = None if case.stage in (Stage.ANALYSIS, Stage.ARCHITECTURE) else Stage.DEVELOPMENT
    return rework(case, Cause.REJECTED, f"rejected: {reason}", to=to, status=closed)


def no_run_yet(case: Case) -> Settle | None:
    """What a rejection waits for, in a stage whose own role is to work again."""
    if case.status.approval is None or case.stage not in (Stage.ANALYSIS, Stage.ARCHITECTURE):
        return None
    if case.status.active_run is not None or case.status.transition is not None:
        return None
    held = held_off(case)
    return settle(case, case.status.model_copy(update={"waiting": held})) if held is not None else None


# --- the ticket's state


def with_ticket_seen(case: Case, action: Action) -> Action:
    """A state of the ticket that is news goes on record with whatever is stored, so that it is news once."""
    match action, case.facts.ticket:
        case Settle(status=status), Ticket() as ticket if case.stage not in TERMINAL:
            seen = status.tracker or TrackerStatus()
            if seen.state == ticket.state_id:
                return action
            news = seen.model_copy(update={"state": ticket.state_id, "ticket_updated_time": ticket.updated})
            return replace(action, status=status.model_copy(update={"tracker": news}))
        case _:
            return action


def read_ticket(case: Case) -> Action | None:
    """What the ticket's state asks for, as far as a person set it: verdict, resume, nothing."""
    match case.facts.ticket, case.facts.states:
        case Ticket() as ticket, StateMap() as states:
            if _is_old(case, ticket):
                return None
            return _verdict(case, ticket, states) or _start(case, ticket, states)
        case _:
            return None


def _is_old(case: Case, ticket: Ticket) -> bool:
    """Whether the ticket's state says nothing new: we set it, or it stands as it did before we could."""
    seen = case.status.tracker
    if seen is None:
        return False
    if seen.indicated_state:
        return ticket.state_id == seen.indicated_state
    return ticket.state_id == seen.state


def _verdict(case: Case, ticket: Ticket, states: StateMap) -> Action | None:
    approval = case.status.approval
    if approval is None or not later(ticket.updated, approval.opened_time) or is_edited(case, approval):
        return None  # an edited ticket: `ask` opens the gate anew
    match states.logical_of(ticket.state_id):
        case LogicalState.APPROVED:
            return approve(case, f"approved on ticket {ticket.key}")
        case LogicalState.REJECTED:
            return reject(case, f"on ticket {ticket.key}")
        case _:
            return None


def _start(case: Case, ticket: Ticket, states: StateMap) -> Action | None:
    """A starting state on an item that stands still; the same one counts once."""
    seen = case.status.tracker or TrackerStatus()
    again = ticket.state_id == seen.state and not later(ticket.updated, seen.ticket_updated_time)
    if ticket.state_id not in states.start_ids or case.stage == Stage.CREATED or again:
        return None
    exhausted = case.status.stalled == StalledReason.RETRIES_EXHAUSTED
    action = retry(case) if exhausted else resume(case)
    if action is None:
        return None
    heard = seen.model_copy(update={"state": ticket.state_id, "ticket_updated_time": ticket.updated})
    return replace(action, status=action.status.model_copy(update={"tracker": heard}))
