"""What becomes of each effect's intent. Adding an effect is an entry in EFFECTS."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from conveyor.api.workitem import Effect, StalledReason, Transition
from conveyor.pipeline.actions import Action
from conveyor.pipeline.branches import cut_branch, open_pull_request
from conveyor.pipeline.case import Case
from conveyor.pipeline.coverage import ratchet
from conveyor.pipeline.effect_jobs import ENDINGS, follow_job
from conveyor.pipeline.intents import adopted
from conveyor.pipeline.merging import merge
from conveyor.pipeline.rebasing import rebase

EFFECTS: Mapping[Effect, Callable[[Case, Transition], Action]] = {
    Effect.CUT_BRANCH: cut_branch,
    Effect.OPEN_PULL_REQUEST: open_pull_request,
    Effect.REBASE: rebase,
    Effect.MERGE: merge,
    Effect.RATCHET: ratchet,
    **dict.fromkeys(ENDINGS, follow_job),
}
"""The effects that exist."""


def follow(case: Case, transition: Transition) -> Action:
    """What to do about the intent on record."""
    if transition.holder != case.policy.holder[:256] or case.status.stalled == StalledReason.REPOSITORY_MISSING:
        return adopted(case, transition)
    return EFFECTS[transition.effect](case, transition)
