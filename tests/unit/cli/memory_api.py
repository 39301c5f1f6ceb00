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
        jobs: Iterable[JSONObject] = (),
        leases: Iterable[JSONObject] = (),
        may_list: bool = True,
        on_patch: Callable[[JSONObject], None] = lambda _: None,
        user: str = "ann@example.org",
        may_patch: bool = True,
    ) -> None:
        self.items = {_where(obj): copy.deepcopy(obj) for obj in items}
        self._repositories = {_where(obj): copy.deepcopy(obj) for obj in repositories}
        self._jobs, self._leases, self._may_list = list(jobs), list(leases), may_list
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
        return copy.deepcopy(_found(self._repositories, namespace, name))

    async def jobs(self, namespace: str, labels: str) -> list[JSONObject]:
        return self._listed(self._jobs, "jobs", namespace, labels)

    async def leases(self, namespace: str, labels: str) -> list[JSONObject]:
        return self._listed(self._leases, "leases", namespace, labels)

    def _listed(self, objects: list[JSONObject], plural: str, namespace: str, labels: str) -> list[JSONObject]:
        if not self._may_list:
            raise Refused(f"{plural}: 403 Forbidden: ann may not list {plural}", status=403)
        return [obj for obj in objects if obj["metadata"]["namespace"] == namespace and _labelled(obj, labels)]

    async def patch(self, namespace: str, name: str, patch: JSONObject) -> JSONObject:
        return self._patched(_found(self.items, namespace, name), patch)

    async def patch_repository(self, namespace: str, name: str, patch: JSONObject) -> JSONObject:
        return self._patched(_found(self._repositories, namespace, name), patch)

    def _patched(self, obj: JSONObject, patch: JSONObject) -> JSONObject:
        if not self._may_patch:
            raise Refused("WorkItem team/shop-et-17: 403 Forbidden: ann may not patch workitems", status=403)
        self.patches.append(patch)
        _merge(obj, patch)
        after = copy.deepcopy(obj)
        self._on_patch(obj)
        return after

    def repositories_of(self, namespace: str) -> dict[str, JSONObject]:
        """By name, for a test to change."""
        return {name: obj for (place, name), obj in self._repositories.items() if place == namespace}

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
