"""What the API server would refuse of our kinds: the CRDs' schemas, the models' bounds, the CRDs' rules in Python."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from conveyor.api import crd
from conveyor.api.repository import RepositorySpec, RepositoryStatus
from conveyor.api.stages import Stage, edge_allowed
from conveyor.api.workitem import WorkItemSpec, WorkItemStatus
from conveyor.cluster.protocol import JSONObject, Kind

_MODELS: dict[Kind, dict[str, type[BaseModel]]] = {
    Kind.WORKITEM: {"spec": WorkItemSpec, "status": WorkItemStatus},
    Kind.REPOSITORY: {"spec": RepositorySpec, "status": RepositoryStatus},
}


def _schema(definition: JSONObject) -> JSONObject:
    found: JSONObject = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    return found


_SCHEMAS = {Kind.WORKITEM: _schema(crd.workitems()), Kind.REPOSITORY: _schema(crd.repositories())}


def with_defaults(kind: Kind, obj: JSONObject) -> JSONObject:
    """The object with the defaults of the CRD filled in."""
    return obj | {part: _defaulted(_SCHEMAS[kind][part], obj[part]) for part in _MODELS[kind] if part in obj}


def strictness(kind: Kind, obj: JSONObject) -> str:
    """Which field of an object, status included, no schema knows; "" where all are known."""
    for part in _MODELS[kind]:
        for field in _unknown_fields(_SCHEMAS[kind][part], obj.get(part), part):
            return f'strict decoding error: unknown field "{field}"'
    return ""


def refusal(kind: Kind, *, old: JSONObject, new: JSONObject) -> str:
    """Why the API server would not store `new` over `old` (empty for a new object); "" where it would."""
    for part, model in _MODELS[kind].items():
        try:
            model.model_validate(new.get(part, {}))
        except ValidationError as error:
            return f"{part}: {error.errors()[0]['loc']}: {error.errors()[0]['msg']}"
    if kind == Kind.WORKITEM and old:
        return next(_broken_rules(old.get("status") or {}, new.get("status") or {}), "")
    return ""


def _broken_rules(old: JSONObject, new: JSONObject) -> Iterator[str]:
    """The transition rules of a WorkItem's status, as in conveyor.api.rules."""
    before, after = _stage(old), _stage(new)
    override = new.get("override") or {}
    is_new = bool(override) and override["id"] != (old.get("override") or {}).get("id")
    names_it = (override.get("from"), override.get("to")) == (before, after)
    if not edge_allowed(before, after, new_override=is_new and names_it):
        yield f"illegal stage transition {before} -> {after}"
    for field in ("fencingToken", "runs"):
        if field in old and new.get(field, -1) < old[field]:
            yield f"{field} never goes down or away"
    counts = {entry["cause"]: entry["count"] for entry in new.get("attempts") or []}
    for entry in old.get("attempts") or []:
        if counts.get(entry["cause"], -1) not in (0, *range(entry["count"], entry["count"] + 1000)):
            yield "a count of attempts is never lowered but to 0, and no cause is removed"
    if old.get("override") and not override:
        yield "override is replaced, never removed"


def _stage(status: JSONObject) -> Stage | None:
    return Stage(status["stage"]) if "stage" in status else None


def _unknown_fields(schema: JSONObject, value: Any, path: str) -> Iterator[str]:
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    if isinstance(value, dict) and "properties" in schema:
        for key, member in value.items():
            if key in schema["properties"]:
                yield from _unknown_fields(schema["properties"][key], member, f"{path}.{key}")
            else:
                yield f"{path}.{key}"
    elif isinstance(value, dict) and isinstance(schema.get("additionalProperties"), dict):
        for key, member in value.items():
            yield from _unknown_fields(schema["additionalProperties"], member, f"{path}.{key}")
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _unknown_fields(schema["items"], member, f"{path}[{index}]")


def _defaulted(schema: JSONObject, value: Any) -> Any:
    if isinstance(value, list):
        return [_defaulted(schema.get("items", {}), member) for member in value]
    if not isinstance(value, dict):
        return value
    properties: JSONObject = schema.get("properties", {})
    absent = {key: node["default"] for key, node in properties.items() if key not in value and "default" in node}
    return {key: _defaulted(properties.get(key, {}), member) for key, member in (value | absent).items()}
