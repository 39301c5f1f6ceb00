"""What people decide: verbs in annotations, verdicts on tickets, and the human gates that wait for them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from conveyor.api.annotations import Request, Verb, requests
from conveyor.api.stages import Stage
from conveyor.api.workitem import (
    Approval,
    Cause,
    Gate,
    HandledRequest,
    StalledReason,
    TrackerStatus,
    WaitingReason,
    WorkItemStatus,
)
from conveyor.pipeline.actions import Action, Note, Settle
from conveyor.pipeline.budgets import forgiven
from conveyor.pipeline.case import Case, open_time, settle, unstalled, wait
from conveyor.pipeline.effects import looked_at_again
from conveyor.pipeline.facts import Ticket, Unknown
from conveyor.pipeline.gates import head_sha
from conveyor.pipeline.indication import LogicalState, StateMap
from conveyor.pipeline.runs import rework

Answer = Action | str
"""What a verb leads to, or why it is refused."""


def with_status(case: Case, status: WorkItemStatus) -> Case:
    return replace(case, item=case.item.model_copy(update={"status": status}))


# --- verbs


def answer_request(case: Case) -> Action | None:
    """Carry out the first request that was not handled yet; None where there is none."""
    done = {handled.verb: handled.id for handled in case.status.handled_requests}
    for request in requests(case.item.metadata.annotations):
        if done.get(request.verb.value) != request.id:
            return _answer(case, request)
    return None


def _answer(case: Case, request: Request) -> Action:
    accepted = with_status(case, _echoed(case, request, "Accepted"))
    answer = VERBS[request.verb](accepted, request)
    if isinstance(answer, str):
        note = Note("RequestRefused", f"{request.verb.value} {request.id}: {answer}", warning=True)
        return settle(case, _echoed(case, request, f"Refused: {answer}"), after=0.0, notes=(note,))
    if isinstance(answer, Settle):
        note = Note("RequestAccepted", f"{request.verb.value} {request.id} by {request.by or 'somebody'}")
        return replace(answer, notes=(note, *answer.notes))
    return answer


def _echoed(case: Case, request: Request, result: str) -> WorkItemStatus:
    rest = [entry for entry in case.status.handled_requests if entry.verb != request.verb.value]
    new = HandledRequest(verb=request.verb.value, id=request.id, result=result[:256], time=case.now)
    entries = tuple(sorted([*rest, new], key=lambda entry: entry.verb))
    return case.status.model_copy(update={"handled_requests": entries})


def _approve(case: Case, request: Request) -> Answer:
    return approve(case, f"approved by {request.by or 'a person'}") or "no gate is open"


def _reject(case: Case, request: Request) -> Answer:
    return reject(case, request.text or "no reason given") or "no gate is open"


def _resume(case: Case, _: Request) -> Answer:
    return resume(case) or "the item is not Stalled and asks nothing"


def _retry(case: Case, _: Request) -> Answer:
    return retry(case) or "the item is not Stalled and asks nothing"


def _rework(case: Case, request: Request) -> Answer:
    if case.status.active_run is not None:
        return f"the {case.status.active_run.role.value} is at work"
    if case.status.transition is not None:
        return f"{case.status.transition.effect.value} is under way"
    if case.stage not in (Stage.REVIEW, Stage.TESTING, Stage.DEPLOY_STAGING):
        return f"an item in {case.stage} cannot be sent back to development"
    return rework(case, Cause.REJECTED, request.text or "sent back by a person", to=Stage.DEVELOPMENT)


def _refresh(case: Case, _: Request) -> Answer:
    return settle(case, case.status, after=0.0)


def _not_here(_: Case, request: Request) -> Answer:
    return f"{request.verb.value} means nothing for an item now"


VERBS: Mapping[Verb, Callable[[Case, Request], Answer]] = {
    Verb.APPROVE: _approve,
    Verb.REJECT: _reject,
    Verb.RESUME: _resume,
    Verb.RETRY: _retry,
    Verb.REWORK: _rework,
    Verb.REFRESH: _refresh,
    Verb.RELEASE_LEASE: _not_here,
    Verb.OVERRIDE: _not_here,
    Verb.UNFREEZE: _not_here,
}


def resume(case: Case) -> Settle | None:
    """Clear what holds the item and decide again; counts stay. None where nothing holds it."""
    status, last = case.status, case.status.last_run
    if status.stalled is None and (last is None or not last.question):
        return None
    if last is not None and last.question:
        status = status.model_copy(update={"last_run": last.model_copy(update={"question": ""})})
    match case.status.stalled:
        case StalledReason.PULL_REQUEST_CLOSED:
            status = status.model_copy(update={"pull_request": None})
        case StalledReason.BASE_RENAMED:
            status = status.model_copy(update={"base_branch": case.spec.forge.default_branch, "gates": ()})
        case StalledReason.EFFECT_UNKNOWN if status.transition is not None:
            status = status.model_copy(update={"transition": looked_at_again(case, status.transition)})
        case _:
            pass
    return settle(case, unstalled(case, status).model_copy(update={"waiting": None}), after=0.0)


def retry(case: Case) -> Settle | None:
    """As resume, with all counts at 0, and a new run or a new intent. None where nothing holds the item."""
    resumed = resume(case)
    if resumed is None:
        return None
    status = forgiven(resumed.status)
    match case.status.stalled:
        case StalledReason.EFFECT_UNKNOWN | StalledReason.PRIOR_WORK_FOUND:
            status = status.model_copy(update={"transition": None})
        case StalledReason.CI_SILENT:
            status = status.model_copy(
                update={"gates": tuple(gate for gate in status.gates if gate.name != "ci_green")}
            )
        case _:
            pass
    return replace(resumed, status=status)


# --- human gates


def text_digest(ticket: Ticket) -> str:
    """What a person was shown: a ticket edited afterwards has another one."""
    return hashlib.sha256(f"{ticket.name}\0{ticket.text}".encode()).hexdigest()


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
                opened, digest = ticket.updated, text_digest(ticket)
    approval = case.status.approval
    if approval is not None and (approval.gate, approval.head_sha) == (gate, head_sha(case)):
        edited = bool(digest) and approval.text_digest != digest
        if not edited:
            return _ask_on(case, gate)
    new = Approval(gate=gate, head_sha=head_sha(case), text_digest=digest, opened_time=opened)
    status = case.status.model_copy(update={"approval": new, "tracker": _indicate_again(case.status)})
    note = Note("ApprovalNeeded", f"{gate} waits for a person: {_how(case)}")
    return wait(
        case, WaitingReason.APPROVAL, f"{gate}: {_how(case)}", on=_who(case), status=status, notes=(note,), after=0.0
    )


def _ask_on(case: Case, gate: str) -> Settle:
    return wait(case, WaitingReason.APPROVAL, f"{gate}: {_how(case)}", on=_who(case))


def _indicate_again(status: WorkItemStatus) -> TrackerStatus | None:
    return None if status.tracker is None else status.tracker.model_copy(update={"indicated_state": ""})


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
        reason=how[:256],
        checked_time=case.now,
    )
    rest = [entry for entry in case.status.gates if entry.name != gate.name]
    status = case.status.model_copy(
        update={"gates": tuple(sorted([*rest, gate], key=lambda entry: entry.name)), "approval": None, "waiting": None}
    )
    return settle(case, status, after=0.0, notes=(Note("Approved", f"{gate.name}: {how}"),))


def reject(case: Case, reason: str) -> Action | None:
    """A person's no: the role works again, or development does; None where no gate is open."""
    if case.status.approval is None:
        return None
    closed = with_status(case, case.status.model_copy(update={"approval": None}))
    to = None if case.stage in (Stage.ANALYSIS, Stage.ARCHITECTURE) else Stage.DEVELOPMENT
    return rework(closed, Cause.REJECTED, f"rejected: {reason}", to=to)


def read_ticket(case: Case) -> Action | None:
    """What the ticket's state asks for, as far as a person set it: verdict, resume, nothing."""
    match case.facts.ticket, case.facts.states:
        case Ticket() as ticket, StateMap() as states:
            return _read_ticket(case, ticket, states)
        case _:
            return None


def _read_ticket(case: Case, ticket: Ticket, states: StateMap) -> Action | None:
    seen = case.status.tracker
    if seen is not None and ticket.state_id == seen.indicated_state:
        return None
    approval = case.status.approval
    if approval is not None and later(ticket.updated, approval.opened_time):
        if approval.text_digest and approval.text_digest != text_digest(ticket):
            return None  # edited since: `ask` opens the gate anew
        match states.logical_of(ticket.state_id):
            case LogicalState.APPROVED:
                return approve(case, f"approved on ticket {ticket.key}")
            case LogicalState.REJECTED:
                return reject(case, f"on ticket {ticket.key}")
            case _:
                return None
    if ticket.state_id in states.start_ids and case.stage != Stage.CREATED:
        exhausted = case.status.stalled == StalledReason.RETRIES_EXHAUSTED
        return retry(case) if exhausted else resume(case)
    return None
