"""What a transition leaves behind on its Repository: the coverage mark, what is deployed, an automatic freeze."""

from __future__ import annotations

from conveyor.api.repository import RepositoryStatus
from conveyor.pipeline.actions import Amend
from conveyor.pipeline.freezes import with_freeze


def amended(status: RepositoryStatus, amend: Amend) -> RepositoryStatus:
    """The status with what is to stand there. Pure; asked again it changes nothing more."""
    update: dict[str, object] = {}
    if amend.coverage is not None and (status.coverage is None or amend.coverage.percent > status.coverage.percent):
        update["coverage"] = amend.coverage
    if amend.production is not None and status.production == amend.replaces:
        update["production"] = amend.production
    if amend.freeze is not None:
        update["freezes"] = with_freeze(status.freezes, amend.freeze)
    return status.model_copy(update=update)
