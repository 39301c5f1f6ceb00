"""Repositories that were read lately, so that an event about an item costs one read and not two.

Of them only what cannot change during an object's life is kept. So a remembered one may say that an event belongs to an
item, where a hint too many does no harm; all else (ignored, the Repository's own, a new item) is decided upon one that
is read then. It needs no agreement between replicas, and a new process starts with none.

And events that this process has stored lately, which only says whether a duplicate is likely: see `suffices_for`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from conveyor_ingress.events import Event
from conveyor_ingress.resolve import Decision, Duplicate, PatchHint
from conveyor_ingress.views import RepositoryView

KEPT_SECONDS = 10.0
MAX_KEPT = 4096
"""Some kilobytes each."""
MAX_STORED = 16_384
"""A number each."""


class Remembered:
    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._kept: dict[tuple[str, str], tuple[float, RepositoryView]] = {}
        self._stored: dict[int, None] = {}

    def repository(self, namespace: str, name: str) -> RepositoryView | None:
        """Without hints and starting states; None where it was not read lately."""
        until, found = self._kept.get((namespace, name), (0.0, None))
        return found if self._monotonic() < until else None

    def keep(self, namespace: str, name: str, repository: RepositoryView | None) -> None:
        """What was read just now; one that is gone is forgotten."""
        self._kept.pop((namespace, name), None)
        if repository is None:
            return
        if len(self._kept) >= MAX_KEPT:
            del self._kept[next(iter(self._kept))]  # the one that was read first
        lasting = replace(repository, hints={}, start_state_ids=frozenset())
        self._kept[namespace, name] = self._monotonic() + KEPT_SECONDS, lasting

    def keep_stored(self, namespace: str, event: Event) -> None:
        self._stored[hash((namespace, event))] = None
        if len(self._stored) > MAX_STORED:
            del self._stored[next(iter(self._stored))]

    def may_be_repeated(self, namespace: str, event: Event) -> bool:
        """Whether this process has stored it lately, so that it is likely to be a duplicate. It need not be."""
        return hash((namespace, event)) in self._stored


def suffices_for(decision: Decision, *, newest: bool) -> bool:
    """Whether a decision upon a remembered Repository may be carried out: it is about an item.

    `newest`: the item was read now. A duplicate is one only then: a branch that was moved on and back since is news,
    though what was there a moment ago says the same. A hint on what was its item a moment ago does no harm.
    """
    if isinstance(decision, Duplicate):
        return newest
    return isinstance(decision, PatchHint) and decision.kind == "WorkItem"
