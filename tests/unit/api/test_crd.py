"""The generated CRDs: everything is described and bounded, and nothing of a model is lost on the way."""

from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from conveyor.api import crd
from conveyor.api.schema import structural
from scripts.generate import FILES, ROOT

CRDS = {"workitems": crd.workitems(), "repositories": crd.repositories()}
PLURALS = sorted(CRDS)
BOUNDS = {
    "string": ("maxLength", "enum", "format"),
    "array": ("maxItems",),
    "integer": ("format",),
    "number": ("maximum",),
    "boolean": ("type",),
}

Node = tuple[str, dict[str, Any]]


def version(plural: str) -> dict[str, Any]:
    found: dict[str, Any] = CRDS[plural]["spec"]["versions"][0]
    return found


def walk(path: str, schema: dict[str, Any]) -> Iterator[Node]:
    """Every schema below `path` and itself; metadata belongs to the API server."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        if f"{path}.{name}" != ".metadata":
            yield from walk(f"{path}.{name}", child)
    for part in ("items", "additionalProperties"):
        if part in schema:
            yield from walk(f"{path}[]", schema[part])


def nodes(plural: str) -> list[Node]:
    return list(walk("", version(plural)["schema"]["openAPIV3Schema"]))


@pytest.mark.parametrize("plural", PLURALS)
def test_every_field_has_a_description(plural: str) -> None:
    missing = [
        f"{path}.{name}"
        for path, node in nodes(plural)
        for name, child in node.get("properties", {}).items()
        if name != "metadata" and not child.get("description")
    ]
    assert missing == []


@pytest.mark.parametrize("plural", PLURALS)
def test_every_field_has_a_bound(plural: str) -> None:
    unbounded = [path for path, node in nodes(plural) if not _bounded(node)]
    assert unbounded == []


def _bounded(node: dict[str, Any]) -> bool:
    if node["type"] == "object":
        return "properties" in node or "maxProperties" in node
    return any(key in node for key in BOUNDS[node["type"]])


@pytest.mark.parametrize("plural", PLURALS)
def test_schema_is_structural(plural: str) -> None:
    forbidden = {"$ref", "$defs", "title", "anyOf", "const", "nullable", "propertyNames", "additionalItems"}
    assert [(path, key) for path, node in nodes(plural) for key in forbidden & node.keys()] == []


@pytest.mark.parametrize("plural", PLURALS)
def test_no_status_has_a_default(plural: str) -> None:
    assert [path for path, node in nodes(plural) if path.startswith(".status") and "default" in node] == []


def test_no_workitem_has_a_default_because_the_ingress_may_set_two_fields_only() -> None:
    assert [path for path, node in nodes("workitems") if "default" in node] == []


def test_an_object_default_is_empty_and_safe() -> None:
    """What `{}` stands for is what its fields' defaults make of it; so none of them may be required."""
    objects = [node for _, node in nodes("repositories") if node["type"] == "object" and "default" in node]
    assert objects
    assert all(node["default"] == {} and "required" not in node for node in objects)


@pytest.mark.parametrize("plural", PLURALS)
def test_keys_of_a_list_map_are_required(plural: str) -> None:
    lists = [(path, node) for path, node in nodes(plural) if node.get("x-kubernetes-list-type") == "map"]
    assert lists
    assert [
        path for path, node in lists if set(node["x-kubernetes-list-map-keys"]) - set(node["items"]["required"])
    ] == []


def test_columns_of_workitems_are_those_that_people_know() -> None:
    columns = version("workitems")["additionalPrinterColumns"]
    narrow = [column["name"] for column in columns if "priority" not in column]
    wide = [column["name"] for column in columns if column.get("priority") == 1]
    assert narrow == ["REPO", "STAGE", "WAITING", "ATTEMPT", "IN-STAGE", "AGE"]
    assert wide == ["BRANCH", "PR", "RUN", "HOLDER", "MESSAGE"]


@pytest.mark.parametrize("plural", PLURALS)
def test_every_column_shows_a_field_that_exists(plural: str) -> None:
    fields = {path for path, _ in nodes(plural)} | {".metadata.creationTimestamp"}
    shown = [column["jsonPath"] for column in version(plural)["additionalPrinterColumns"]]
    assert [path for path in shown if path.replace('[?(@.type=="Ready")]', "[]") not in fields] == []


def test_selectable_fields_are_stage_and_repository() -> None:
    assert version("workitems")["selectableFields"] == [
        {"jsonPath": ".status.stage"},
        {"jsonPath": ".spec.repositoryRef.name"},
    ]


@pytest.mark.parametrize(("plural", "short"), [("workitems", "wi"), ("repositories", "crepo")])
def test_kind_is_found_by_short_name_and_category(plural: str, short: str) -> None:
    names = CRDS[plural]["spec"]["names"]
    assert (names["shortNames"], names["categories"]) == ([short], ["conveyor"])


@pytest.mark.parametrize("path", sorted(FILES))
def test_generated_file_is_what_the_code_makes_of_it(path: str) -> None:
    assert (ROOT / path).read_text() == FILES[path](), f"{path} is stale: run scripts/generate"


def test_a_limit_that_no_crd_can_carry_is_refused_and_not_dropped() -> None:
    class Odd(BaseModel):
        share: Annotated[float, Field(multiple_of=0.5)]

    with pytest.raises(ValueError, match="multipleOf"):
        structural(Odd, defaults=False)


def test_a_field_of_two_types_is_refused() -> None:
    class Either(BaseModel):
        value: int | str

    with pytest.raises(ValueError, match="unpack"):
        structural(Either, defaults=False)
