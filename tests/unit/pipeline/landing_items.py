"""Items about to be merged: well, behind their base, in mid-rebase and rebased."""

from __future__ import annotations

from datetime import datetime

from conveyor.api.objects import Repository, WorkItem
from conveyor.api.stages import Stage
from conveyor.api.workitem import Effect
from conveyor.pipeline.case import Facts
from conveyor.pipeline.gates import MOVED
from tests.unit.pipeline.builders import (
    AUTO,
    NOW,
    facts,
    gate,
    item,
    pull,
    settled,
    sha,
    transition,
)

OTHER, NEW = sha("other"), sha("rebased")
WORDS = (gate("deploy_approved"), gate("review_approved"), gate("tests_passed"))
MERGEABLE, NOT_MERGEABLE = gate("branch_mergeable"), gate("branch_mergeable", passed=False, reason=MOVED)
STAGING = item(Stage.DEPLOY_STAGING)
HAD_IT = item(Stage.DEPLOY_STAGING, gates=(MERGEABLE, *WORDS))
"""It could be merged once: a base that moves now has moved again."""
BEHIND = facts(base_in_head=False)

REBASING = item(Stage.DEPLOY_STAGING, gates=(NOT_MERGEABLE, *WORDS), transition=transition(Effect.REBASE))
MOVED_PULL = pull(head_sha=NEW)
DONE = facts(pull=MOVED_PULL)


def after(whole: WorkItem, known: Facts, *, now: datetime = NOW, of: Repository = AUTO) -> WorkItem:
    """The item with what was decided about it stored."""
    return whole.model_copy(update={"status": settled(whole, known, of=of, now=now).status})


def told(whole: WorkItem, verb: str) -> WorkItem:
    asked = whole.metadata.model_copy(update={"annotations": {f"request.conveyor.dev/{verb}": "1"}})
    return whole.model_copy(update={"metadata": asked})


def rebased() -> WorkItem:
    return after(REBASING, DONE)
