"""`Api` in memory: selectors, merge patches and refusals as the API server does them."""

import copy
from collections.abc import Callable, Iterable
from typing import Any

from conveyor.cli.api import Api, JSONObject
from conveyor.web.errors import NotFound, Refused


class MemoryApi(Api):
    """`on_patch` is what an operator does about a change, at once."""

    def __init__(
        self,
        items: Iterable[JSONObject] = (),
        repositories: Iterable[JSONObject] = (),
        *,
        on_patch: Callable[[JSONObject], None] = lambda _: None,
        user: str = "ann@example.org",
        may_patch: bool = True,
    ) -> None:
        self.items = {_where(obj): copy.deepcopy(obj) for obj in items}
        self._repositories = {_where(obj): obj for obj in repositories}
        self._on_patch, self._user, self._may_patch = on_patch, user, may_patch
        self.patches: list[JSONObject] = []

    async def workitems(self, namespace: str, *, labels: str = "", fields: str = "") -> list[JSONObject]:
        return [
            copy.deepcopy(obj)
            for (place, _), obj in self.items.items()
            if namespace in ("", place) and _selected(obj, fields) and _labelled(obj, labels)
        ]

    async def repositories(self, namespace: str) -> list[JSONObject]:
        return [obj for (place, _), obj in self._repositories.items() if namespace in ("", place)]

    async def workitem(self, namespace: str, name: str) -> JSONObject:
        return copy.deepcopy(_found(self.items, namespace, name))

    async def repository(self, namespace: str, name: str) -> JSONObject:
        return _found(self._repositories, namespace, name)

    async def patch(self, namespace: str, name: str, patch: JSONObject) -> JSONObject:
        if not self._may_patch:
            raise Refused("WorkItem team/shop-et-17: 403 Forbidden: ann may not patch workitems", status=403)
        obj = _found(self.items, namespace, name)
        self.patches.append(patch)
        _merge(obj, patch)
        after = copy.deepcopy(obj)
        self._on_patch(obj)
        return after

    async def user(self) -> str:
        return self._user


def _where(obj: JSONObject) -> tuple[str, str]:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def _found(objects: dict[tuple[str, str], JSONObject], namespace: str, name: str) -> JSONObject:
    try:
        return objects[namespace, name]
    except KeyError:
        raise NotFound(f"{namespace}/{name}: 404 NotFound", status=404) from None


def _merge(target: JSONObject, patch: JSONObject) -> None:
    """RFC 7396, in place."""
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            _merge(target.setdefault(key, {}), value)
        else:
            target[key] = value


def _selected(obj: JSONObject, fields: str) -> bool:
    return all(_matches(obj, term) for term in fields.split(",") if term)


def _matches(obj: JSONObject, term: str) -> bool:
    path, _, wanted = term.partition("=")
    value: Any = obj
    for part in path.rstrip("!").split("."):
        value = value.get(part, "") if isinstance(value, dict) else ""
    return bool(value == wanted) != path.endswith("!")


def _labelled(obj: JSONObject, labels: str) -> bool:
    terms = dict(term.split("=") for term in labels.split(",") if term)
    found = obj["metadata"].get("labels", {})
    return all(found.get(key) == value for key, value in terms.items())
