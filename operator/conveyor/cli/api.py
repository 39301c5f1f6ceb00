"""What the commands need of Kubernetes, with the user's own rights, and how its objects are read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from pydantic import ValidationError

from conveyor.api.objects import Repository, WorkItem
from conveyor.api.stages import Stage

JSONObject = dict[str, Any]
NOT_DONE = "status.stage!=done"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Api(Protocol):
    """Every method may raise `conveyor.web.errors`; every call has a time-out."""

    async def workitems(self, namespace: str, *, labels: str = "", fields: str = "") -> list[JSONObject]:
        """All there are in a namespace, in every one if it is empty, that the two selectors choose."""

    async def repositories(self, namespace: str) -> list[JSONObject]: ...

    async def workitem(self, namespace: str, name: str) -> JSONObject:
        """Raises NotFound."""

    async def repository(self, namespace: str, name: str) -> JSONObject:
        """Raises NotFound."""

    async def patch(self, namespace: str, name: str, patch: JSONObject) -> JSONObject:
        """Merge-patch a WorkItem; what is there now."""

    async def patch_repository(self, namespace: str, name: str, patch: JSONObject) -> JSONObject:
        """The same of a Repository."""

    async def jobs(self, namespace: str, labels: str) -> list[JSONObject]: ...

    async def leases(self, namespace: str, labels: str) -> list[JSONObject]: ...

    async def user(self) -> str:
        """Who the API server takes us for; empty where it does not say."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A WorkItem that this version cannot read. It counts as under way in its own repository."""

    namespace: str
    name: str
    uid: str
    repository: str
    stage: str
    created: datetime
    problem: str


Entry = WorkItem | Unreadable


def read_item(obj: JSONObject) -> Entry:
    try:
        return WorkItem.model_validate(obj)
    except ValidationError as error:
        metadata, spec, status = (_dict(obj, part) for part in ("metadata", "spec", "status"))
        return Unreadable(
            namespace=str(metadata.get("namespace", "")),
            name=str(metadata.get("name", "")),
            uid=str(metadata.get("uid", "")),
            repository=str(_dict(spec, "repositoryRef").get("name", "")),
            stage=str(status.get("stage", "")),
            created=_time(metadata.get("creationTimestamp")),
            problem=_first(error),
        )


def read_repository(obj: JSONObject) -> Repository | None:
    """None where this version cannot read it."""
    try:
        return Repository.model_validate(obj)
    except ValidationError:
        return None


def repository_of(entry: Entry) -> str:
    return entry.repository if isinstance(entry, Unreadable) else entry.spec.repository_ref.name


def namespace_of(entry: Entry) -> str:
    return entry.namespace if isinstance(entry, Unreadable) else entry.metadata.namespace


def stage_of(entry: Entry) -> Stage | None:
    """None also where it cannot be read."""
    return None if isinstance(entry, Unreadable) else entry.status.stage


def _first(error: ValidationError) -> str:
    found = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(str(part) for part in found['loc'])}: {found['msg']}"


def _dict(obj: JSONObject, field: str) -> JSONObject:
    value = obj.get(field)
    return value if isinstance(value, dict) else {}


def _time(value: object) -> datetime:
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        return EPOCH
