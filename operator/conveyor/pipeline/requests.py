"""Which of a person's requests on an item waits for its answer."""

from __future__ import annotations

from dataclasses import dataclass

from conveyor.api.annotations import Request, Verb, requests
from conveyor.api.objects import WorkItem
from conveyor.api.workitem import WaitingReason
from conveyor.pipeline.actions import Settle
from conveyor.pipeline.case import Case, on_repository, settle, wait


@dataclass(frozen=True, slots=True)
class NotYet:
    """What a request needs could not be read now: it is answered later."""

    unread: str


def unanswered(item: WorkItem) -> Request | None:
    """The first that was not answered yet, in the order in which everybody answers them.

    What may have to wait for a Lease of the repository comes last: it keeps no other from being answered.
    """
    done = {handled.verb: handled.id for handled in item.status.handled_requests}
    open_ones = [one for one in requests(item.metadata.annotations) if done.get(one.verb.value) != one.id]
    return min(open_ones, key=lambda one: one.verb in (Verb.RESUME, Verb.RETRY), default=None)


def wait_to_answer(case: Case, reason: WaitingReason, text: str, *, after: float) -> Settle:
    """Wait; but what a person says of a Stalled item is answered once it can be, and until then the item stays so."""
    if case.status.stalled is not None and unanswered(case.item) is not None:
        return settle(case, case.status, after=after)
    return wait(case, reason, text, on=on_repository(case), after=after)


def is_overridden(item: WorkItem) -> bool:
    """Whether a person wants the item in another stage, now."""
    request = unanswered(item)
    return request is not None and request.verb == Verb.OVERRIDE
