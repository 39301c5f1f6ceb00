"""The rules of the house hold for this repository, and each is seen to find what it forbids."""

import fnmatch
import importlib.machinery
import shlex
import sysconfig
from pathlib import Path

import pytest

from scripts.guards import ROOT, problems, tree

HASH = "--hash=sha256:" + "0" * 64
DOCUMENTED = {"operator/conveyor/__init__.py": '"""Conveyor."""\n'}


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    return tree()


def test_repository_keeps_the_rules_of_the_house(files: dict[str, str]) -> None:
    assert list(problems(files, here=(ROOT, Path.home()))) == []


def test_each_file_of_tests_is_in_one_group_of_scripts_test() -> None:
    said = (ROOT / "scripts" / "test").read_text().partition("groups=(")[2].partition(")\n")[0]
    groups = [shlex.split(group) for group in shlex.split(said)]
    for file in (ROOT / "tests").rglob("test_*.py"):
        path = file.relative_to(ROOT).as_posix()
        assert sum(_is_in(path, group) for group in groups) == 1, path


def _is_in(path: str, group: list[str]) -> bool:
    left_out = [word.removeprefix("--ignore=") for word in group if word.startswith("--ignore=")]
    if any(path.startswith(f"{place}/") for place in left_out):
        return False
    places = (word for word in group if not word.startswith("--"))
    return any(path.startswith(f"{place}/") or fnmatch.fnmatchcase(path, place) for place in places)


def test_import_operator_from_the_root_is_the_standard_library() -> None:
    found = importlib.machinery.PathFinder.find_spec("operator", [str(ROOT), sysconfig.get_path("stdlib")])
    assert found is not None
    assert Path(found.origin or "") == Path(sysconfig.get_path("stdlib"), "operator.py")


@pytest.mark.parametrize(
    ("path", "text", "wanted"),
    [
        pytest.param("operator/words.py", "", "directly in operator/", id="a module beside the package"),
        pytest.param("operator/__init__.py", '"""Words."""', "directly in operator/", id="operator as a package"),
        pytest.param("tests/long.py", "\n" * 401, "401 lines", id="a file of 401 lines"),
        pytest.param("tests/f.py", "def f():\n" + "    1\n" * 60, "f has 61 lines", id="a function of 61 lines"),
        pytest.param("operator/conveyor/new/words.py", "", "missing", id="a room without an __init__"),
        pytest.param("operator/conveyor/new/__init__.py", "x = 1\n", "no docstring", id="a room that says nothing"),
        pytest.param("Dockerfile", "FROM docker" + ".io/python", "registry", id="a registry of images"),
        pytest.param("README.md", "https://pypi" + ".org/simple", "registry", id="a registry of packages"),
        pytest.param("docs/x.md", "\n/home" + "/ada/conveyor", "docs/x.md:2", id="a home directory"),
        pytest.param("docs/x.md", "see /builds/ada/conveyor.", "one machine", id="this checkout"),
        pytest.param("requirements.lock", f"a==1 \\\n    {HASH}\nb==2\n", "b==2", id="a requirement without hash"),
        pytest.param("requirements.lock", f"a>=1 \\\n    {HASH}\n", "a>=1", id="a requirement without version"),
        pytest.param("requirements.lock", f"--index-url x\na==1 \\\n    {HASH}\n", "index", id="an index"),
        pytest.param("requirements.lock", f"a==1 \\\n    {HASH}\n# http://x\n", "address", id="an address"),
    ],
)
def test_broken_rule_is_found(path: str, text: str, wanted: str) -> None:
    found = list(problems(DOCUMENTED | {path: text}, here=(Path("/builds/ada/conveyor"),)))
    assert found != []
    assert wanted in found[0]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        pytest.param("tests/long.py", "\n" * 400, id="a file of 400 lines"),
        pytest.param("tests/f.py", "def f():\n" + "    1\n" * 59, id="a function of 60 lines"),
        pytest.param("docs/x.md", "docs/work-items/ET-1/ and /healthz", id="paths of the product"),
        pytest.param("docs/x.md", "/builds/ada/conveyor-charts", id="a longer name than this checkout's"),
        pytest.param(
            "requirements.lock",
            f"a==1 ; sys_platform == 'win32' \\\n    {HASH} \\\n    {HASH}\n    # via b\n",
            id="a requirement with marker, hashes and comment",
        ),
    ],
)
def test_kept_rule_is_silent(path: str, text: str) -> None:
    assert list(problems(DOCUMENTED | {path: text}, here=(Path("/builds/ada/conveyor"),))) == []
