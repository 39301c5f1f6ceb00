"""What each role does: a function of the task and the tree that changes the tree and returns the answer."""

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from examples.agents.rules import undocumented
from examples.agents.testing import run_tests

Json = dict[str, Any]
WORK = Path(__file__).parent / "work"
ANALYSIS = """\
# {key}: {title}

## What is wanted

{description}

## What it touches

{files}
"""
DECISION = """\
# 1. {title}

Accepted.

- **Context:** {description}
- **Decision:** the change stays within the modules that exist; nothing new is depended on.
- **Consequence:** no migration, no new infrastructure.
"""


def analyst(task: Json, tree: Path) -> Json:
    """Writes down what is wanted and which modules there are."""
    modules = sorted(path.relative_to(tree).as_posix() for path in tree.rglob("*.py") if not _is_test(path))
    files = "\n".join(f"- `{name}`" for name in modules)
    _write(tree / task["documents"] / "01-analysis.md", ANALYSIS.format_map(task | {"files": files}))
    return _passed(f"{task['key']}: write the analysis")


def architect(task: Json, tree: Path) -> Json:
    _write(tree / task["documents"] / "06-adr" / "0001-stay-small.md", DECISION.format_map(task))
    return _passed(f"{task['key']}: record the decision")


def developer(task: Json, tree: Path) -> Json:
    """Applies the first change prepared for the ticket that the tree does not have yet."""
    changes = sorted((WORK / task["key"]).glob("*.patch"))
    if not changes:
        question = f"Only {', '.join(sorted(path.name for path in WORK.iterdir()))} were rehearsed. What is to be done?"
        return {"verdict": "blocked", "summary": "nothing prepared for this ticket", "question": question}
    for change in changes:
        if _git(tree, "apply", "--check", str(change)):
            _git(tree, "apply", str(change))
            subject = change.read_text().splitlines()[0].removeprefix("Subject: ")
            return _passed(f"{task['key']}: {subject}")
    if _git(tree, "apply", "--check", "--reverse", str(changes[-1])):
        return _passed(f"{task['key']}: everything is there already")
    return {"verdict": "fail", "summary": f"no change prepared for {task['key']} fits the tree"}


def reviewer(task: Json, tree: Path) -> Json:
    """Asks for changes while a function that others can call does not say what it does."""
    names = _output(tree, "diff", "--name-only", "--diff-filter=d", f"{task['baseSHA']}..HEAD").splitlines()
    found = [place for name in names if _is_source(name) for place in undocumented(tree, name)]
    if not found:
        review: Json = {"verdict": "approve", "body": "Small, tested, documented."}
        return _passed("approved") | {"review": review}
    comments = [{"path": each.path, "line": each.line, "body": f"What does `{each.name}` do?"} for each in found]
    review = {"verdict": "request_changes", "body": "Please say what these functions do.", "comments": comments}
    return _passed(f"{len(found)} functions without docstring") | {"review": review}


def tester(task: Json, tree: Path) -> Json:
    """Runs the tests, and reports them with the share of lines they reached."""
    report = run_tests(tree)
    summary = f"{report.tests} tests, {report.failures} failed, {report.coverage:.1f} % of the lines reached"
    return {"verdict": "pass" if report.passed else "fail", "summary": summary, "coverage": report.coverage}


ROLES: Mapping[str, Callable[[Json, Path], Json]] = {
    "analyst": analyst,
    "architect": architect,
    "developer": developer,
    "reviewer": reviewer,
    "tester": tester,
}


def _passed(summary: str) -> Json:
    return {"verdict": "pass", "summary": summary}


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _is_test(path: Path) -> bool:
    return path.name.startswith("test_")


def _is_source(name: str) -> bool:
    return name.endswith(".py") and not _is_test(Path(name))


def _git(tree: Path, *arguments: str) -> bool:
    done = subprocess.run(["git", *arguments], cwd=tree, capture_output=True, timeout=60, check=False)
    return done.returncode == 0


def _output(tree: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=tree, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout
