"""What people ask for by annotation: each request is carried out once, or refused with a reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from conveyor.api.annotations import Request, Verb
from conveyor.api.stages import TERMINAL, Stage
from conveyor.api.workitem import Cause, HandledRequest, StalledReason, WaitingReason, WorkItemStatus
from conveyor.pipeline.actions import Action, Note, ReleaseLeases, Settle, StopEffect, StopRun
from conveyor.pipeline.budgets import charged
from conveyor.pipeline.case import Case, settle, with_status
from conveyor.pipeline.intents import adopted
from conveyor.pipeline.overriding import override
from conveyor.pipeline.people import approve, is_edited, no_run_yet, reject
from conveyor.pipeline.pulls import BEFORE_MERGE
from conveyor.pipeline.requests import NotYet, unanswered, wait_to_answer
from conveyor.pipeline.resuming import DEPLOY_ENDED, nothing_to_resume, resume, retry
from conveyor.pipeline.runs import sent_back, suspended
from conveyor.pipeline.starting_over import started_over

Answer = Settle | StopRun | StopEffect | NotYet | str
"""What a verb leads to, what has to end or to be read before it can, or why it is refused."""
AT_THE_END = frozenset({Verb.RELEASE_LEASE})
"""What may be asked of an item that has ended."""
NO_BRANCH_TO_WORK_ON = (StalledReason.BRANCH_GONE, StalledReason.MERGED_LATE)
"""Before the merge is on record, and its branch is gone, or merged already: work goes on with another one."""


def answer_request(case: Case) -> Action | None:
    """Carry out the first request that was not handled yet; None where there is none."""
    request = unanswered(case.item)
    if request is None:
        return None
    if request.verb == Verb.REJECT and (held := no_run_yet(case)) is not None:
        return held
    if case.stage in TERMINAL and request.verb not in AT_THE_END:
        return _refused(case, request, f"the item is {case.stage}")
    if request.verb == Verb.RELEASE_LEASE:
        return _release_lease(case, request)
    answer = VERBS[request.verb](_accepted(case, request), request)
    match answer:
        case str():
            return _refused(case, request, answer)
        case Settle():
            return _told(answer, request)
        case StopRun() | StopEffect():
            return answer
        case NotYet(unread):
            text = f"{request.verb.value} {request.id}: {unread}"
            return wait_to_answer(case, WaitingReason.FORGE, text, after=case.policy.poll_seconds)


def _refused(case: Case, request: Request, why: str) -> Settle:
    note = Note("RequestRefused", f"{request.verb.value} {request.id}: {why}", warning=True)
    return settle(case, _echoed(case, request, f"Refused: {why}"), after=0.0, notes=(note,))


def _accepted(case: Case, request: Request) -> Case:
    return with_status(case, _echoed(case, request, "Accepted"))


def _told(answer: Settle, request: Request) -> Settle:
    note = Note("RequestAccepted", f"{request.verb.value} {request.id} by {request.by or 'somebody'}")
    return replace(answer, notes=(note, *answer.notes))


def _echoed(case: Case, request: Request, result: str) -> WorkItemStatus:
    rest = [entry for entry in case.status.handled_requests if entry.verb != request.verb.value]
    new = HandledRequest(verb=request.verb.value, id=request.id, result=result[:256], time=case.now)
    entries = tuple(sorted([*rest, new], key=lambda entry: entry.verb))
    return case.status.model_copy(update={"handled_requests": entries})


def _approve(case: Case, request: Request) -> Answer:
    if case.status.approval is not None and is_edited(case, case.status.approval):
        return "the ticket was edited since the gate opened; it is opened anew for the new text"
    return approve(case, f"approved by {request.by or 'a person'}") or "no gate is open"


def _reject(case: Case, request: Request) -> Answer:
    if (busy := _busy(case)) is not None:
        return busy
    return reject(case, request.text or "no reason given") or "no gate is open"


def _busy(case: Case) -> str | None:
    if case.status.active_run is not None:
        return f"the {case.status.active_run.role.value} is at work"
    if case.status.transition is not None:
        return f"{case.status.transition.effect.value} is under way"
    return None


def _resume(case: Case, _: Request) -> Answer:
    return resume(case) or nothing_to_resume(case)


def _retry(case: Case, _: Request) -> Answer:
    return retry(case) or nothing_to_resume(case)


def _rework(case: Case, request: Request) -> Answer:
    if (busy := _busy(case)) is not None:
        return busy
    reason = request.text or "sent back by a person"
    if case.item.spec.suspend:
        return suspended(case)
    no_branch = case.status.stalled in NO_BRANCH_TO_WORK_ON and case.stage in BEFORE_MERGE
    if no_branch or (case.stage == Stage.DEPLOY and case.status.stalled in DEPLOY_ENDED):
        return _start_over(case, reason)
    if case.stage not in (Stage.REVIEW, Stage.TESTING, Stage.DEPLOY_STAGING):
        return f"an item in {case.stage} cannot be sent back to development"
    return sent_back(case, Cause.REJECTED, reason, to=Stage.DEVELOPMENT, status=case.status)


def _start_over(case: Case, reason: str) -> Answer:
    """Development begins again on a new branch, cut from the newest base."""
    text = f"{Cause.REJECTED.value}: {reason}"
    status = started_over(case, charged(case.status, Cause.REJECTED, ""), Stage.DEVELOPMENT, reason=text)
    if not isinstance(status, WorkItemStatus):
        return status
    return settle(case, status, after=0.0, notes=(Note("Rework", text, warning=True),))


def _release_lease(case: Case, request: Request) -> ReleaseLeases:
    """Whoever held them may still act: the raised token of the adopted intent refuses the late write of its result."""
    accepted, transition = _accepted(case, request), case.status.transition
    base = adopted(accepted, transition) if transition is not None else settle(accepted, accepted.status, after=0.0)
    why = f": {request.text}" if request.text else ""
    note = Note("LeaseReleased", f"its Leases are taken away by {request.by or 'somebody'}{why}", warning=True)
    released = _told(replace(base, notes=(note, *base.notes)), request)
    return ReleaseLeases(released=released, nothing=_refused(case, request, "no Lease of this item is there"))


def _refresh(case: Case, _: Request) -> Answer:
    return settle(case, case.status, after=0.0)


def _unfreeze(case: Case, _: Request) -> Answer:
    return f"freezes are the Repository's: kubectl workitem unfreeze {case.repository.name}"


VERBS: Mapping[Verb, Callable[[Case, Request], Answer]] = {
    Verb.APPROVE: _approve,
    Verb.REJECT: _reject,
    Verb.RESUME: _resume,
    Verb.RETRY: _retry,
    Verb.REWORK: _rework,
    Verb.REFRESH: _refresh,
    Verb.OVERRIDE: override,
    Verb.UNFREEZE: _unfreeze,
}
