"""What is said of a Repository that is deleted and stays for now: one made anew would know of no freeze and no lane."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from conveyor.api.fields import Condition
from conveyor.pipeline.actions import Note
from conveyor.pipeline.repository_verbs import Answered

DELETING = "Deleting"
"""Condition of a Repository that is being deleted and held."""
WHY = {
    "ItemsUnderWay": "it goes when its items under way have ended: kubectl workitem queue shows them",
    "Frozen": "it goes when its automatic freezes are cleared: kubectl workitem unfreeze",
}


def with_deletion(answers: Answered, *, why: str, now: datetime) -> Answered:
    """What is said of a deletion that has to wait: in a condition, and once in an Event. `why` is a key of WHY."""
    old = answers.status.condition(DELETING)
    values = {"type": DELETING, "status": "True", "reason": why, "message": WHY[why]}
    since = old.last_transition_time if old is not None else now
    new = Condition.model_validate(values | {"lastTransitionTime": since})
    rest = [it for it in answers.status.conditions if it.type != DELETING]
    conditions = tuple(sorted([*rest, new], key=lambda it: it.type))
    told = old is not None and old.reason == why
    notes = () if told else (Note("DeletionHeld", f"{WHY[why]}. Nothing new is started", warning=True),)
    status = answers.status.model_copy(update={"conditions": conditions})
    return replace(answers, status=status, notes=(*answers.notes, *notes))
