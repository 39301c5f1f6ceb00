"""What the agents do to a project without operator, forge or tracker: the history that main must have in the end."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.agents.roles import ROLES
from examples.demo.forge import project_files
from examples.demo.tickets import TICKETS, Project, Ticket, project_of

Json = dict[str, Any]
UNITTEST = [sys.executable, "-B", "-m", "unittest", "discover", "--top-level-directory", "."]


@dataclass(frozen=True)
class Commit:
    subject: str
    tree: str


class Rehearsal:
    """One project's repository in an empty directory, with nobody else at work."""

    def __init__(self, tree: Path, project: Project) -> None:
        self._tree, self._project = tree, project
        for name, text in project_files(project.repository).items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text(text)
        git(tree, "init", "--quiet", "--initial-branch=main")
        self.commit("Begin")

    def play(self, ticket: Ticket) -> list[tuple[str, str]]:
        """All roles until the tester passes; returns what each said in order, as role and verdict."""
        base = git(self._tree, "rev-parse", "HEAD")
        said: list[tuple[str, str]] = []

        def act(role: str) -> Json:
            answer = act_as(role, ticket, self._tree, base=base)
            said.append((role, answer.get("review", answer)["verdict"]))
            self.commit(answer["summary"])
            return answer

        act("analyst")
        act("architect")
        while True:
            act("developer")
            if self.tests_pass() and act("reviewer")["review"]["verdict"] == "approve":
                break
        act("tester")
        return said

    def tests_pass(self) -> bool:
        env = {"PATH": os.environ["PATH"]}
        return subprocess.run(UNITTEST, cwd=self._tree, env=env, capture_output=True, check=False).returncode == 0

    def commit(self, subject: str) -> None:
        git(self._tree, "add", "--all")
        if git(self._tree, "status", "--porcelain"):
            git(self._tree, "-c", "user.name=x", "-c", "user.email=x@example.invalid", "commit", "-qm", subject)

    def history(self) -> list[Commit]:
        return history(self._tree)


def act_as(role: str, ticket: Ticket, tree: Path, *, base: str) -> Json:
    folder = f"docs/work-items/{ticket.key}/"
    task = {"key": ticket.key, "title": ticket.title, "description": ticket.text, "documents": folder, "baseSHA": base}
    return ROLES[role](task, tree)


def expected_history(project: Project, tree: Path) -> list[Commit]:
    rehearsal = Rehearsal(tree, project)
    for ticket in TICKETS:
        if project_of(ticket) == project:
            rehearsal.play(ticket)
    return rehearsal.history()


def history(tree: Path) -> list[Commit]:
    """Oldest first."""
    lines = git(tree, "log", "--reverse", "--format=%T %s").splitlines()
    return [Commit(subject, tree_sha) for tree_sha, _, subject in (line.partition(" ") for line in lines)]


def merged_history(clone_url: str, directory: Path) -> list[Commit]:
    """Of main, in a fresh clone in this directory, which is made anew."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    git(directory, "clone", "--quiet", "--branch=main", clone_url, "tree")
    return history(directory / "tree")


def git(tree: Path, *arguments: str) -> str:
    env = {"PATH": os.environ["PATH"], "HOME": str(tree), "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", *arguments], cwd=tree, env=env, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()
