"""Before the agent: fetch the branch, keep it for ourselves, and give the agent a copy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from conveyor.agent.errors import StepFailed
from conveyor.agent.git import Git
from conveyor.agent.inputs import read_task
from conveyor.agent.remote import Remote
from conveyor.agent.settings import CloneSettings
from conveyor.api.answers import Task


@dataclass(frozen=True)
class Found:
    """The repository as clone found it, where no agent can reach it. Its branch is never moved."""

    git: Git
    directory: Path
    branch: str

    def run(self, *arguments: str | Path, what: str, stdin: bytes = b"") -> bytes:
        return self.git.run([f"--git-dir={self.directory}", *arguments], what, stdin=stdin)

    def head(self) -> str:
        """The commit at which clone found the branch."""
        ref = f"refs/heads/{self.branch}^{{commit}}"
        output = self.run("rev-parse", "--verify", "--end-of-options", ref, what="what clone recorded cannot be read")
        return output.decode().strip()


def repository_directory(state: Path) -> Path:
    return state / "repository.git"


def clone(settings: CloneSettings) -> None:
    """Raises StepFailed. It never runs twice on the same volumes: what an agent may have touched is not used again."""
    task, text = read_task(settings.task_source)
    directory = repository_directory(settings.state)
    home = settings.state / "clone"
    try:
        home.mkdir(mode=0o700)
    except FileExistsError:
        raise StepFailed(f"{settings.state} is not empty: another run's volumes?") from None
    git = Git(home)
    remote = Remote(git, settings.forge)
    remote.clone(task.branch, directory)
    Found(git, directory, task.branch).head()
    _give_tree(git, task, settings, url=remote.url)
    settings.task.write_bytes(text)
    settings.task.chmod(0o644)


def _give_tree(git: Git, task: Task, settings: CloneSettings, *, url: str) -> None:
    """A copy with nothing shared: a hard link would let the agent write into our objects."""
    identity = [f"--config=user.name={task.role}", f"--config=user.email={task.role}@conveyor.invalid"]
    options = ["--local", "--no-hardlinks", "--template=", "--single-branch", "--no-tags", f"--branch={task.branch}"]
    source = repository_directory(settings.state)
    arguments: list[str | Path] = ["clone", "--quiet", *options, *identity, "--", source, settings.workspace]
    git.run(arguments, "the agent's tree cannot be made")
    git.run(["-C", settings.workspace, "remote", "set-url", "origin", url], "the agent's tree cannot be made")
