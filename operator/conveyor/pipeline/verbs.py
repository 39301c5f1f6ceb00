"""What people ask for by annotation: each request is carried out once, or refused with a reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from conveyor.api.annotations import Request, Verb, requests
from conveyor.api.stages import TERMINAL, Stage
from conveyor.api.workitem import Cause, Effect, HandledRequest, StalledReason, WorkItemStatus
from conveyor.pipeline.actions import Action, Note, Settle
from conveyor.pipeline.budgets import charged
from conveyor.pipeline.case import Case, settle, with_status
from conveyor.pipeline.intents import Target, intended
from conveyor.pipeline.people import approve, is_edited, no_run_yet, reject
from conveyor.pipeline.pulls import BEFORE_MERGE
from conveyor.pipeline.resuming import next_branch, nothing_to_resume, resume, retry
from conveyor.pipeline.runs import sent_back, suspended

Answer = Settle | str
"""What a verb leads to, or why it is refused."""


def answer_request(case: Case) -> Action | None:
    """Carry out the first request that was not handled yet; None where there is none."""
    done = {handled.verb: handled.id for handled in case.status.handled_requests}
    for request in requests(case.item.metadata.annotations):
        if done.get(request.verb.value) != request.id:
            return _answer(case, request)
    return None


def _answer(case: Case, request: Request) -> Action:
    if request.verb == Verb.REJECT and (held := no_run_yet(case)) is not None:
        return held
    accepted = with_status(case, _echoed(case, request, "Accepted"))
    answer = f"the item is {case.stage}" if case.stage in TERMINAL else VERBS[request.verb](accepted, request)
    if isinstance(answer, str):
        note = Note("RequestRefused", f"{request.verb.value} {request.id}: {answer}", warning=True)
        return settle(case, _echoed(case, request, f"Refused: {answer}"), after=0.0, notes=(note,))
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
    if case.status.stalled == StalledReason.BRANCH_GONE and case.stage in BEFORE_MERGE:
        return _start_over(case, reason)
    if case.stage not in (Stage.REVIEW, Stage.TESTING, Stage.DEPLOY_STAGING):
        return f"an item in {case.stage} cannot be sent back to development"
    return sent_back(case, Cause.REJECTED, reason, to=Stage.DEVELOPMENT, status=case.status)


def _start_over(case: Case, reason: str) -> Answer:
    """With the branch gone, development begins again on a new one, cut from the newest base."""
    match case.facts.base_head:
        case str() as base:
            charge = charged(case.status, Cause.REJECTED, "")
            status = charge.model_copy(
                update={**NOTHING_PRODUCED, "branch": next_branch(case.status), "base_sha": base}
            )
            target = Target(effect=Effect.CUT_BRANCH, to=Stage.DEVELOPMENT, base_sha=base)
            note = Note("Rework", f"{Cause.REJECTED.value}: {reason}", warning=True)
            return settle(case, intended(case, status, target), after=0.0, notes=(note,))
        case _:
            return f"{case.status.base_branch} could not be read now: ask again"


NOTHING_PRODUCED: Mapping[str, object] = {
    "pull_request": None,
    "gates": (),
    "approval": None,
    "head_sha": None,
    "change_id": None,
}


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
