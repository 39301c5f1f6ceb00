"""The ingress's store in memory: objects as the API has them, and a ledger of what was read and written."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from conveyor_ingress.resolve import CreateItem, PatchHint
from conveyor_ingress.store import StoreUnavailable
from conveyor_ingress.views import ItemView, RepositoryView, hint_key, read_item, read_repository

Object = dict[str, Any]
View = TypeVar("View")


class MemoryStore:
    """`down` makes every call fail, `rival` creates an item between a look and the next create.

    `before`: items as whoever does not ask for the newest finds them, where that is not as they are.
    """

    def __init__(self) -> None:
        self.repositories: dict[tuple[str, str], Object] = {}
        self.items: dict[tuple[str, str], Object] = {}
        self.before: dict[tuple[str, str], Object | None] = {}
        self.reads = 0
        self.writes: list[PatchHint | CreateItem] = []
        self.down = self.cannot_be_glanced_at = False
        self.rival: Object | None = None

    async def repository(self, namespace: str, name: str) -> RepositoryView | None:
        found = self._read(self.repositories, namespace, name)
        return None if found is None else _parsed(found, read_repository)

    async def item(self, namespace: str, name: str, *, newest: bool = True) -> ItemView | None:
        found = self._read(self.items, namespace, name)
        if not newest and self.cannot_be_glanced_at:
            raise StoreUnavailable("the watch cache is not ready")
        if not newest:
            found = self.before.get((namespace, name), found)
        return None if found is None else _parsed(found, read_item)

    async def put_hint(self, namespace: str, hint: PatchHint) -> bool:
        self._check()
        objects = self.items if hint.kind == "WorkItem" else self.repositories
        if (namespace, hint.name) not in objects:
            return False
        annotations = objects[namespace, hint.name]["metadata"].setdefault("annotations", {})
        annotations[hint_key(hint.hint)] = hint.value
        self.writes.append(hint)
        return True

    async def create_item(self, namespace: str, item: CreateItem) -> bool:
        self._check()
        if self.rival is not None:
            self.items[namespace, item.name], self.rival = self.rival, None
        if (namespace, item.name) in self.items:
            return False
        self.items[namespace, item.name] = item.manifest(namespace)
        self.writes.append(item)
        return True

    async def reach(self) -> None:
        self._check()

    def _read(self, objects: dict[tuple[str, str], Object], namespace: str, name: str) -> Object | None:
        self._check()
        self.reads += 1
        return objects.get((namespace, name))

    def _check(self) -> None:
        if self.down:
            raise StoreUnavailable("the API server is down")


def _parsed(found: Object, read: Callable[[bytes], View]) -> View:
    try:
        return read(json.dumps(found).encode())
    except ValueError as error:
        raise StoreUnavailable("the object cannot be read") from error
