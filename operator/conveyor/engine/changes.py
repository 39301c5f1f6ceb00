"""What a pull request changes, also where the forge is late with its diff or never comes to it."""

from __future__ import annotations

from collections.abc import Callable

from conveyor.api.workitem import Effect, WorkItemStatus
from conveyor.forge.change_id import change_id, series_id
from conveyor.forge.protocol import Forge, NotComputed
from conveyor.pipeline.facts import PullRequest
from conveyor.web.errors import NotFound

PATIENCE_SECONDS = 60.0
"""How long a diff may take; Gitea is late by a few seconds."""
MAX_LATE = 1000


class Changes:
    """Remembers since when which head has waited for its diff; a restart may lose that."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock`: monotonic seconds."""
        self._clock = clock
        self._late: dict[tuple[str, str], float] = {}

    async def read(self, forge: Forge, pull: PullRequest, status: WorkItemStatus) -> str:
        """The id of the change. NotComputed where the forge is not later than it usually is."""
        late: NotComputed | None = None
        try:
            found = change_id(await forge.diff(pull.number, head=pull.head_sha))
        except NotComputed as error:
            late, found = error, ""
        if found != status.change_id and await _is_rebased(forge, pull, status):
            return status.change_id or ""
        if late is None:
            self._late.pop((pull.url, pull.head_sha), None)
            return found
        if not self._is_late_for_long(pull):
            raise late
        return series_id(await forge.series(pull.base, pull.head_sha))

    def _is_late_for_long(self, pull: PullRequest) -> bool:
        head, now = (pull.url, pull.head_sha), self._clock()
        if head not in self._late and len(self._late) >= MAX_LATE:
            self._late.clear()
        return now - self._late.setdefault(head, now) >= PATIENCE_SECONDS


async def _is_rebased(forge: Forge, pull: PullRequest, status: WorkItemStatus) -> bool:
    """Whether a rebase is under way, and the head is what it makes: the same patches in the same order."""
    transition = status.transition
    if transition is None or transition.effect != Effect.REBASE or not status.change_id or not status.base_sha:
        return False
    try:
        before = await forge.series(status.base_sha, transition.precondition.head_sha)
        return before == await forge.series(pull.base, pull.head_sha)
    except NotFound:  # Git has cleared the old head away
        return False
