"""A cancelled item whose merge was asked for before: the request may land when nobody follows it any more."""

from __future__ import annotations

from datetime import datetime, timedelta

from conveyor.api.objects import WorkItem
from conveyor.api.stages import Stage
from conveyor.api.workitem import StalledReason
from conveyor.pipeline.actions import Settle
from conveyor.pipeline.case import Case, settle, stall
from conveyor.pipeline.facts import PullRequest, Unknown
from conveyor.pipeline.pulls import is_ours

LATE = timedelta(hours=1)
"""How long after its end an item's pull request is looked at: no sender is thought to sleep longer."""
LOOK_SECONDS = 300.0
"""How often meanwhile; the forge's webhook has it looked at sooner."""


def may_be_merged_late(item: WorkItem, *, now: datetime) -> bool:
    """Whether it ended so lately, and has let go of what it held."""
    status = item.status
    if status.stage != Stage.CANCELLED or item.held or status.pull_request is None or status.merge_sha:
        return False
    return status.stage_entered_time is not None and now < status.stage_entered_time + LATE


def merged_late(case: Case) -> Settle | None:
    """The stage stays; what is on the base all the same is put on record, and told. None: nothing to look for.

    Whoever merges the pull request of a cancelled item by hand knows what they do: it was left for them.
    """
    if not may_be_merged_late(case.item, now=case.now):
        return None
    match case.facts.pull, case.facts.own_login:
        case None, _:
            return None
        case (PullRequest(merged=False) | Unknown(), _) | (_, Unknown()):
            return settle(case, case.status, after=LOOK_SECONDS)
        case PullRequest() as pull, str() as login if is_ours(case, pull) and login:
            return _told(case, pull) if pull.merged_by.lower() == login.lower() else None
        case _:
            return None


def _told(case: Case, pull: PullRequest) -> Settle:
    sha = pull.merge_sha or pull.head_sha
    text = (
        f"our own late request merged pull request #{pull.number} after the item was cancelled: {pull.base} has "
        f"{sha[:12]}, and nothing deploys it by itself; revert it there, or deploy it with another item"
    )
    status = case.status.model_copy(update={"merge_sha": sha})
    return stall(case, StalledReason.MERGED_LATE, text, status=status)
