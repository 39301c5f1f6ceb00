"""Items before the merge, each unlike the plain one in what was said of their head, and a Repository with a mark."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from conveyor.api.objects import Repository, WorkItem
from conveyor.api.repository import Coverage
from conveyor.api.stages import Stage
from conveyor.api.workitem import StalledReason
from conveyor.pipeline.ci_gate import REBASED
from conveyor.pipeline.gates import CONFLICT, MOVED_AGAIN
from tests.unit.pipeline.builders import NOW, gate, item, last_run, repository, sha, stalled


def _covered() -> Repository:
    """With a mark of 80 %."""
    of = repository(gates={"coverage": {"enabled": True}, "approval": {"analysis": "Auto", "deploy": "Auto"}})
    mark = Coverage(percent=80.0, sha=sha("marked"))
    return of.model_copy(update={"status": of.status.model_copy(update={"coverage": mark})})


COVERED = _covered()


def landing_variants(stage: Stage) -> Iterator[tuple[str, WorkItem]]:
    if stage != Stage.DEPLOY_STAGING:
        return
    passed = (gate("review_approved"), gate("tests_passed"))
    said: dict[str, dict[str, Any]] = {
        "that could be merged": {},
        "that was rebased": {"reason": f"{REBASED}abc"},
        "that was rebased long ago": {"reason": f"{REBASED}abc", "checked_time": NOW - timedelta(hours=1)},
        "that was behind twice": {"passed": False, "reason": MOVED_AGAIN},
        "that conflicts": {"passed": False, "reason": f"{CONFLICT}both changed a.py"},
    }
    for how, fields in said.items():
        whole = item(stage, gates=(gate("branch_mergeable", **fields), *passed))
        yield how, whole
        yield f"{how}, with budgets used up", stalled(whole, StalledReason.RETRIES_EXHAUSTED)
    for percent in (82.0, 70.0, None):
        yield f"covered {percent}", item(stage, last_run=last_run(Stage.TESTING, coverage=percent))
