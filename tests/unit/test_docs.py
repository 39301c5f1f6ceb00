"""What the documentation shows is what the code takes."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from conveyor.api.answers import Answer, Task
from conveyor.api.repository import RepositorySpec
from conveyor.api.workitem import WorkItemSpec
from scripts.guards import ROOT, tree
from tests import pages

SPECS: dict[str, type[RepositorySpec | WorkItemSpec]] = {"Repository": RepositorySpec, "WorkItem": WorkItemSpec}
PAGES = sorted(path for path in tree() if path.endswith(".md"))
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")


def examples(page: str) -> list[dict[str, Any]]:
    return [one for one in pages.objects(page) if one["kind"] in SPECS]


EXAMPLES = [pytest.param(one, id=f"{page}: {one['kind']}") for page in PAGES for one in examples(page)]


def lost(given: Any, kept: Any, path: str = "") -> Iterator[str]:
    """The paths that were given and are not in what was kept."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for key, value in given.items():
            if key not in kept:
                yield f"{path}.{key}"
            else:
                yield from lost(value, kept[key], f"{path}.{key}")
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for number, (one, other) in enumerate(zip(given, kept, strict=True)):
            yield from lost(one, other, f"{path}[{number}]")
    elif given != kept:
        yield path


def aliases(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def test_readme_shows_an_object_of_each_kind() -> None:
    assert {one["kind"] for one in examples("README.md")} == set(SPECS)


@pytest.mark.parametrize("shown", EXAMPLES)
def test_example_has_only_fields_that_the_kind_has(shown: dict[str, Any]) -> None:
    assert shown["apiVersion"] == "conveyor.dev/v1alpha1"
    spec = SPECS[shown["kind"]].model_validate(shown["spec"])
    assert list(lost(shown["spec"], spec.dump())) == []


def test_mistyped_field_of_an_example_is_found() -> None:
    given = {"repositoryRef": {"name": "shop"}, "title": "x", "dependOn": [{"name": "y"}]}
    assert list(lost(given, WorkItemSpec.model_validate(given).dump())) == [".dependOn"]


@pytest.mark.parametrize("page", PAGES)
def test_linked_chapter_exists(page: str) -> None:
    here = ROOT / page
    for file, chapter in LINK.findall(here.read_text()):
        there = here.parent / file if file else here
        assert there.exists(), file
        assert not chapter or chapter in chapters(there.read_text()), f"{file}#{chapter}"


def chapters(text: str) -> set[str]:
    """The anchors of a page: those of its headings, as Gitea and GitHub make them, and those it sets itself."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return set(re.findall(r'<a id="([^"]+)"', text)) | {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings
    }


@pytest.mark.parametrize("model", [Task, Answer])
def test_field_of_task_and_answer_is_explained_to_agent_authors(model: type[BaseModel]) -> None:
    text = Path(ROOT, "docs/agents.md").read_text()
    explained = set(re.findall(r"\w+", " ".join(re.findall(r"`[^`\n]+`", text))))
    assert set(aliases(model)) - explained - {"conveyor"} == set()


@pytest.mark.parametrize("page", PAGES)
def test_item_that_a_page_shows_depends_on_none_that_it_does_not_show(page: str) -> None:
    items = [one for one in examples(page) if one["kind"] == "WorkItem"]
    wanted = {needed["name"] for one in items for needed in one["spec"].get("dependsOn", ())}
    assert wanted <= {one["metadata"]["name"] for one in items}


def specs(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """The fields of a spec and of all that is in it."""
    for name, field in model.model_fields.items():
        yield name, field
        for inner in (field.annotation, *get_args(field.annotation)):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from specs(inner)


def test_field_of_a_spec_is_read_or_says_that_it_is_not() -> None:
    code = "".join((ROOT / path).read_text() for path in tree() if path.startswith(("operator/", "webhooks/")))
    unread = [field for model in SPECS.values() for name, field in specs(model) if f".{name}" not in code]
    assert [field.description for field in unread if "Not read by this version" not in (field.description or "")] == []
