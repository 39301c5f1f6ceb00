"""What the ingress needs of the API server: two reads, two writes."""

from __future__ import annotations

from typing import Protocol

from conveyor_ingress.resolve import CreateItem, PatchHint
from conveyor_ingress.views import ItemView, RepositoryView


class StoreUnavailable(Exception):
    """It did not happen, or nobody knows: the sender is told that nothing was stored."""


class Store(Protocol):
    """Every call has a time limit and raises StoreUnavailable for whatever is neither yes nor no."""

    async def repository(self, namespace: str, name: str) -> RepositoryView | None: ...

    async def item(self, namespace: str, name: str, *, newest: bool = True) -> ItemView | None:
        """`newest`: as it is now; else as it was a moment ago, which costs the API server a fraction."""
        ...

    async def put_hint(self, namespace: str, hint: PatchHint) -> bool:
        """False: the object is gone."""
        ...

    async def create_item(self, namespace: str, item: CreateItem) -> bool:
        """False: there is one of this name."""
        ...

    async def reach(self) -> None:
        """Asks for something that needs no right."""
        ...
