"""A model's JSON schema in the form that a CRD takes: structural, with nothing referred to and nothing nullable.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from conveyor.api.rules import known_keys

Schema = dict[str, Any]

_INT32 = range(-(2**31), 2**31)
_KEPT = (
    *("type", "description", "format", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum"),
    *("minItems", "maxItems", "minProperties", "maxProperties", "required"),
    *("x-kubernetes-list-type", "x-kubernetes-list-map-keys"),
    *("x-kubernetes-preserve-unknown-fields", "x-kubernetes-validations"),
)
_HANDLED = frozenset({"properties", "items", "additionalProperties", "propertyNames", "const", "default", "title"})


def structural(model: type[BaseModel], *, defaults: bool) -> Schema:
    """The schema of a model as a part of a CRD's.

    With `defaults` the API server fills in what the model would: scalars, and `{}` for an object whose fields all have
    one. Never ask for that in a status.
    """
    raw = model.model_json_schema(by_alias=True, mode="validation")
    return _Converter(raw.get("$defs", {}), defaults=defaults).convert(raw)


class _Converter:
    def __init__(self, definitions: Mapping[str, Schema], *, defaults: bool) -> None:
        self._definitions, self._defaults = definitions, defaults

    def convert(self, node: Schema) -> Schema:
        """Raises ValueError for a keyword that has no place in a structural schema, so that no limit is lost unseen."""
        flat = self._flat(node)
        if unknown := flat.keys() - _HANDLED - {*_KEPT, "$defs"}:
            raise ValueError(f"no structural schema has {', '.join(sorted(unknown))}: {flat}")
        result = {key: flat[key] for key in _KEPT if key in flat}
        if "const" in flat:
            result["enum"] = [flat["const"]]
        if result.get("type") == "integer":
            result["format"] = _integer_format(result)
        if "propertyNames" in flat:
            result["x-kubernetes-validations"] = [known_keys(flat["propertyNames"]["enum"])]
        if "items" in flat:
            result["items"] = self.convert(flat["items"])
        if isinstance(flat.get("additionalProperties"), dict):
            result["additionalProperties"] = self.convert(flat["additionalProperties"])
        if "properties" in flat:
            result["properties"] = {name: self.convert(child) for name, child in flat["properties"].items()}
        if self._defaults:
            result |= _default(flat)
        return result

    def _flat(self, node: Schema) -> Schema:
        """A node with what it refers to, and without the null of an optional one; what stands nearer wins."""
        own = {key: value for key, value in node.items() if key not in ("$ref", "anyOf")}
        if "$ref" in node:
            return self._flat(self._definitions[node["$ref"].removeprefix("#/$defs/")]) | own
        if "anyOf" in node:
            (only,) = (branch for branch in node["anyOf"] if branch != {"type": "null"})
            return self._flat(only) | own
        return own


def _integer_format(node: Schema) -> str:
    bounded = "minimum" in node and "maximum" in node
    return "int32" if bounded and node["minimum"] in _INT32 and node["maximum"] in _INT32 else "int64"


def _default(flat: Schema) -> Schema:
    if "properties" in flat and "default" in flat and flat["default"] is not None:
        return {"default": {}}
    return {} if flat.get("default") in (None, "", [], {}) else {"default": flat["default"]}
