"""Work that begins again, on a branch of its own cut from the newest base."""

from __future__ import annotations

import re
from collections.abc import Mapping

from conveyor.api.stages import Stage
from conveyor.api.workitem import Effect, WorkItemStatus
from conveyor.pipeline.case import Case
from conveyor.pipeline.facts import Unknown
from conveyor.pipeline.intents import Target, intended
from conveyor.pipeline.requests import NotYet

NOTHING_PRODUCED: Mapping[str, object] = {
    "pull_request": None,
    "gates": (),
    "approval": None,
    "head_sha": None,
    "change_id": None,
    "merge_sha": None,
    "image": None,
    "revision": None,
}


def started_over(case: Case, status: WorkItemStatus, to: Stage, *, reason: str = "") -> WorkItemStatus | NotYet | str:
    """With an intent to cut the next branch for a stage; else why it cannot be cut."""
    match case.facts.base_head:
        case str() as base:
            fresh = status.model_copy(update={**NOTHING_PRODUCED, "branch": next_branch(status), "base_sha": base})
            target = Target(effect=Effect.CUT_BRANCH, to=to, base_sha=base, reason=reason)
            return intended(case, fresh, target)
        case None:
            return f"branch {case.status.base_branch} is not there"
        case Unknown(reason):
            return NotYet(f"{case.status.base_branch} could not be read: {reason}")


def next_branch(status: WorkItemStatus) -> str | None:
    """The branch with which work starts over: the same with `-r<n>`, n from 1."""
    if status.branch is None:
        return None
    match = re.fullmatch(r"(?P<name>.*?)(?:-r(?P<n>[0-9]{1,6}))?", status.branch, re.DOTALL)
    name, n = (match["name"], int(match["n"] or 0)) if match else (status.branch, 0)
    return f"{name[:240]}-r{n + 1}"
