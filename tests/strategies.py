"""Valid WorkItems and Repositories for Hypothesis, drawn from the models' own schemas: a new field joins by itself.

What no schema says (rules between fields) is in `_SPECIAL` and in the functions at the end.
"""

import string
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from pydantic import BaseModel

from conveyor.api.fields import rfc3339
from conveyor.api.names import MAX_ITEM_NAME
from conveyor.api.repository import RepositorySpec, RepositoryStatus
from conveyor.api.workitem import WorkItemSpec, WorkItemStatus

JSON = Any
Schema = Mapping[str, Any]
M = TypeVar("M", bound=BaseModel)

HOSTILE_TITLES = (
    *("", " ", "-", "../../etc/passwd", "$(touch /tmp/owned)", "`id`; rm -rf /", "-n --upload-pack=x", "a\nb\r\0c"),
    *("@{upstream}", "refs/heads/main", "feature/ET-1.lock", "....", "\x1b[31mred\x1b[0m", "<script>alert(1)</script>"),
    *("Исправить вход в систему", "Ёжик и объём, щука", "修复登录", "Straße ﬁx Ünïcode", "🚀" * 300, "x" * 300),
)

_DNS = string.ascii_lowercase + string.digits
_URLS = st.sampled_from(["http://plane.test", "https://git.test/shop", "https://metrics.test:9090/api"])
_SPECIAL: Mapping[str, SearchStrategy[JSON]] = {
    "Probe": st.one_of(
        st.fixed_dictionaries({"url": _URLS}),
        st.fixed_dictionaries({"prometheus": _URLS, "query": st.text(max_size=20)}),
    ),
}


def values(model: type[BaseModel]) -> SearchStrategy[JSON]:
    """Valid JSON of a model, as the API has it; lists, maps and texts are kept far below their limits."""
    schema = model.model_json_schema(by_alias=True)
    return _values(schema, schema.get("$defs", {}))


def _values(node: Schema, definitions: Mapping[str, Schema]) -> SearchStrategy[JSON]:
    if "$ref" in node:
        name = node["$ref"].removeprefix("#/$defs/")
        return _SPECIAL[name] if name in _SPECIAL else _values(definitions[name], definitions)
    if "anyOf" in node:
        (only,) = (branch for branch in node["anyOf"] if branch != {"type": "null"})
        return _values(only, definitions)
    if "const" in node:
        return st.just(node["const"])
    if "enum" in node:
        return st.sampled_from(node["enum"])
    return _BY_TYPE[node["type"]](node, definitions)


def _objects(node: Schema, definitions: Mapping[str, Schema]) -> SearchStrategy[JSON]:
    if "properties" not in node:
        inner = node.get("additionalProperties")
        keys = node.get("propertyNames", {}).get("enum")
        return st.dictionaries(
            st.sampled_from(keys) if keys else st.text(_DNS, min_size=1, max_size=8),
            _values(inner, definitions) if isinstance(inner, dict) else st.text(max_size=8),
            max_size=3,
        )
    fields = {name: _values(child, definitions) for name, child in node["properties"].items()}
    required = set(node.get("required", ()))
    return st.fixed_dictionaries(
        {name: field for name, field in fields.items() if name in required},
        optional={name: field for name, field in fields.items() if name not in required},
    )


def _arrays(node: Schema, definitions: Mapping[str, Schema]) -> SearchStrategy[JSON]:
    items = _values(node["items"], definitions)
    size = min(node["maxItems"], 3)
    if keys := node.get("x-kubernetes-list-map-keys"):
        return st.lists(items, max_size=size, unique_by=lambda entry: tuple(entry[key] for key in keys))
    return st.lists(items, max_size=size, unique=node.get("x-kubernetes-list-type") == "set")


def _strings(node: Schema, _: Mapping[str, Schema]) -> SearchStrategy[JSON]:
    if node.get("format") == "date-time":
        times = st.datetimes(datetime(2001, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
        return times.map(rfc3339)
    if pattern := node.get("pattern"):
        matching = st.from_regex(pattern, fullmatch=pattern.endswith("$"))
        return matching.filter(lambda text: len(text) <= node["maxLength"])
    return st.text(min_size=node.get("minLength", 0), max_size=min(node["maxLength"], 12))


def _integers(node: Schema, _: Mapping[str, Schema]) -> SearchStrategy[JSON]:
    return st.integers(node.get("minimum", 0), node.get("maximum", 2**53))


def _numbers(node: Schema, _: Mapping[str, Schema]) -> SearchStrategy[JSON]:
    return st.floats(node["minimum"], node["maximum"], allow_nan=False)


_BY_TYPE: Mapping[str, Callable[[Schema, Mapping[str, Schema]], SearchStrategy[JSON]]] = {
    "object": _objects,
    "array": _arrays,
    "string": _strings,
    "integer": _integers,
    "number": _numbers,
    "boolean": lambda _, __: st.booleans(),
}


def instances(model: type[M]) -> SearchStrategy[M]:
    return values(model).map(model.model_validate)


def titles() -> SearchStrategy[str]:
    """What people and attackers call their tickets; of any length."""
    return st.one_of(st.sampled_from(HOSTILE_TITLES), st.text(max_size=80))


def item_names() -> SearchStrategy[str]:
    """Names that the API server takes for a WorkItem."""
    label = f"[a-z0-9]([-a-z0-9]{{0,{MAX_ITEM_NAME}}}[a-z0-9])?"
    return st.from_regex(rf"{label}(\.{label})?", fullmatch=True, alphabet=f"{_DNS}-.").filter(
        lambda name: len(name) <= MAX_ITEM_NAME
    )


def workitem_specs() -> SearchStrategy[WorkItemSpec]:
    def with_title(spec: WorkItemSpec) -> WorkItemSpec:
        return spec if spec.source or spec.title else spec.model_copy(update={"title": "Mend the login"})

    return instances(WorkItemSpec).map(with_title)


def workitem_statuses() -> SearchStrategy[WorkItemStatus]:
    return instances(WorkItemStatus)


def repository_specs() -> SearchStrategy[RepositorySpec]:
    return instances(RepositorySpec)


def repository_statuses() -> SearchStrategy[RepositoryStatus]:
    return instances(RepositoryStatus)
