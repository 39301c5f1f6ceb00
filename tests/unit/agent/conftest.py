"""A run with its two steps on local repositories; what happens between the steps is up to the test."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from conveyor.agent.main import main

BRANCH = "feature/ET-17-greet"
RUN = "shop-et-17-developer-3-abcdef"
RUN_TOKEN = "run-t0ken"
FORGE_TOKEN = "f0rge-t0ken"


def git(directory: Path, *arguments: str, stdin: str = "") -> str:
    """A person's git, with nobody's configuration."""
    home = {"HOME": str(directory), "GIT_CONFIG_NOSYSTEM": "1", "PATH": os.environ["PATH"], "GIT_TERMINAL_PROMPT": "0"}
    who = {f"GIT_{part}_{key}": "x@example.invalid" for part in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    command, environment = ["git", *arguments], home | who
    done = subprocess.run(
        command, cwd=directory, env=environment, input=stdin, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@dataclass
class Run:
    root: Path
    role: str = "developer"
    task: dict[str, Any] = field(default_factory=dict)
    forge_url: str = ""

    def __post_init__(self) -> None:
        for name in ("workspace", "state", "out", "in"):
            (self.root / name).mkdir()
        self.forge_url = f"file://{self.root}/forge/"
        self.file("forge-token", FORGE_TOKEN + "\n")
        self.file("run-token", RUN_TOKEN)
        self.origin = self.root / "forge/acme/shop.git"
        self.seed = self.root / "seed"

    @property
    def workspace(self) -> Path:
        return self.root / "workspace"

    @property
    def answer_file(self) -> Path:
        return self.root / "out/answer.json"

    @property
    def termination_file(self) -> Path:
        return self.root / "in/termination"

    def file(self, name: str, content: str) -> Path:
        path = self.root / "in" / name
        path.write_text(content)
        return path

    def environment(self) -> dict[str, str]:
        given = {
            "conveyor": 1, "item": "shop-et-17", "uid": "uid-1", "key": "ET-17", "run": RUN, "repository": "shop",
            "role": self.role, "stage": "development", "attempt": 1, "branch": BRANCH, "baseBranch": "main",
            "baseSHA": "0" * 40, "documents": "docs/work-items/ET-17", "title": "Greet", "pullRequestNumber": 7,
        }  # fmt: skip
        self.file("task.json", json.dumps(given | self.task))
        return {
            "CONVEYOR_TASK_SOURCE_FILE": f"{self.root}/in/task.json",
            "CONVEYOR_TASK_FILE": f"{self.root}/out/task.json",
            "CONVEYOR_WORKSPACE": str(self.workspace),
            "CONVEYOR_STATE_DIR": f"{self.root}/state",
            "CONVEYOR_FORGE_URL": self.forge_url,
            "CONVEYOR_FORGE_REPOSITORY": "acme/shop",
            "CONVEYOR_FORGE_TOKEN_FILE": f"{self.root}/in/forge-token",
            "CONVEYOR_ANSWER_FILE": str(self.answer_file),
            "CONVEYOR_TERMINATION_FILE": str(self.termination_file),
            "CONVEYOR_RUN_TOKEN_FILE": f"{self.root}/in/run-token",
        }

    def clone(self, **environment: str) -> int:
        return main(["clone"], self.environment() | environment)

    def publish(self, **environment: str) -> dict[str, Any]:
        """The termination message; a verdict in it if, and only if, the step succeeded."""
        code = main(["publish"], self.environment() | environment)
        message: dict[str, Any] = json.loads(self.termination_file.read_bytes())
        assert ("verdict" in message) == (code == 0)
        return message

    def answer(self, **answer: object) -> None:
        self.answer_file.write_text(json.dumps({"verdict": "pass", "summary": "Greet people"} | answer))

    def write(self, name: str, content: str) -> None:
        path = self.workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def commit(self, name: str = "new.txt", content: str = "new\n", message: str = "Add a file") -> str:
        """The agent commits a file."""
        self.write(name, content)
        self.git("add", "--all")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")

    def git(self, *arguments: str, stdin: str = "") -> str:
        """The agent runs git in its tree."""
        return git(self.workspace, *arguments, stdin=stdin)

    def remote_head(self, branch: str = BRANCH) -> str:
        return git(self.origin, "rev-parse", f"refs/heads/{branch}")

    def remote_files(self) -> dict[str, str]:
        names = git(self.origin, "-c", "core.quotePath=false", "ls-tree", "-r", "--name-only", BRANCH).splitlines()
        return {name: git(self.origin, "show", f"{BRANCH}:{name}") for name in names}

    def somebody_pushes(self) -> str:
        (self.seed / "theirs.txt").write_text("theirs\n")
        git(self.seed, "add", "--all")
        git(self.seed, "commit", "-q", "-m", "Push in between")
        git(self.seed, "push", "-q", str(self.origin), f"HEAD:{BRANCH}")
        return git(self.seed, "rev-parse", "HEAD")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A forge with one repository, `main` and a feature branch with two files, and a person's clone of it."""
    root = tmp_path_factory.mktemp("made")
    seed, origin = root / "seed", root / "forge/acme/shop.git"
    seed.mkdir()
    origin.mkdir(parents=True)
    git(seed, "init", "-q", "-b", "main")
    (seed / "README.md").write_text("# Shop\n")
    (seed / ".gitignore").write_text("build/\n")
    git(seed, "add", "--all")
    git(seed, "commit", "-q", "-m", "Begin")
    git(origin, "init", "-q", "--bare", "-b", "main")
    git(seed, "push", "-q", str(origin), "main:main", f"main:{BRANCH}")
    return root


@pytest.fixture
def run(tmp_path: Path, made: Path) -> Run:
    """Before clone."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return Run(tmp_path)


@pytest.fixture
def cloned(run: Run) -> Run:
    """After clone, with an answer that says pass."""
    assert run.clone() == 0
    run.answer()
    return run
