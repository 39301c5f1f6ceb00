"""A writer's work, taken as data and put through one gate.

The agent's objects and what it left uncommitted are brought together in a repository of ours, the quarantine, which
sees what clone found through its alternates. From there they are pushed into clone's repository, whose receive-pack
does what a forge does with a stranger's push: it computes every object's name anew, checks its form (fsck), its size,
and that nothing is missing. Only what got through is pushed on.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from conveyor.agent import objects
from conveyor.agent.clone import Found
from conveyor.agent.errors import StepFailed
from conveyor.agent.untrusted import directory
from conveyor.api.stages import Role

TAKEN_REF = "refs/conveyor/taken"


@dataclass(frozen=True)
class _Quarantine:
    found: Found
    directory: Path

    def run(self, *arguments: str | Path, what: str) -> str:
        return self.found.git.run([f"--git-dir={self.directory}", *arguments], what).decode(errors="replace").strip()


def take(found: Found, workspace: Path, *, scratch: Path, role: Role, message: str | None) -> str:
    """The commit the agent's tree stands on, now checked and in clone's repository, a descendant of its branch.

    With a `message`, what the agent left uncommitted is a commit on top of it. `scratch` is an empty directory.
    Raises StepFailed.
    """
    quarantine = _quarantine(found, scratch / "quarantine.git")
    with directory(workspace, "the workspace") as tree, directory(".git", "the tree's .git", inside=tree) as repository:
        _copy_objects(quarantine, repository)
        sha = objects.head(repository)
    what = f"the agent's commit {sha} cannot be taken"
    if quarantine.run("cat-file", "-t", sha, what=what) != "commit":
        raise StepFailed(f"{what}: it is no commit")
    if message is not None:
        sha = _commit_rest(quarantine, workspace, sha, role=role, message=message)
    target = f"file://{found.directory}"
    quarantine.run("push", "--quiet", "--no-verify", target, f"{sha}:{TAKEN_REF}", what=what)
    _check_descends(found, sha)
    return sha


def _quarantine(found: Found, place: Path) -> _Quarantine:
    what = "the agent's commits cannot be taken"
    form = found.run("rev-parse", "--show-object-format", what=what).decode().strip()
    found.git.run(["init", "--quiet", "--bare", "--template=", f"--object-format={form}", place], what)
    (place / "objects/info").mkdir(exist_ok=True)
    (place / "objects/info/alternates").write_text(f"{found.directory}/objects\n")
    return _Quarantine(found, place)


def _copy_objects(quarantine: _Quarantine, repository: int) -> None:
    ours = quarantine.found.directory / "objects"
    # An agent's git may have repacked what was there before together with what is new.
    allowed = quarantine.found.git.max_new_bytes + sum(file.stat().st_size for file in ours.rglob("*"))
    into = quarantine.directory / "objects"
    for pack in objects.copy_objects(repository, ours, into, max_bytes=allowed):
        quarantine.run("index-pack", pack, what="the agent's objects cannot be read")


def _commit_rest(quarantine: _Quarantine, workspace: Path, sha: str, *, role: Role, message: str) -> str:
    """A commit of the tree as it lies there, on top of `sha`; `sha` itself if nothing differs.

    Attributes in the tree can name filters, but what a filter does is configuration, and that is ours alone.
    """
    what = "what the agent left uncommitted cannot be taken"
    _move_nested_away(workspace)
    at_tree = (f"--work-tree={workspace}", "-C", workspace)
    quarantine.run("read-tree", sha, what=what)
    quarantine.run(*at_tree, "add", "--all", "--", ".", what=what)
    tree = quarantine.run("write-tree", what=what)
    if tree == quarantine.run("rev-parse", "--verify", f"{sha}^{{tree}}", what=what):
        return sha
    who = {"NAME": str(role), "EMAIL": f"{role}@conveyor.invalid"}
    identity = {f"GIT_{part}_{key}": value for part in ("AUTHOR", "COMMITTER") for key, value in who.items()}
    command = [f"--git-dir={quarantine.directory}", "commit-tree", tree, "-p", sha, "-F", "-"]
    made = quarantine.found.git.run(command, what, stdin=message.encode(), environment=identity)
    return made.decode().strip()


def _move_nested_away(workspace: Path) -> None:
    """Put every `.git` below the root into the root's own, where git does not look.

    Git asks a repository inside the tree what has changed there, and that one's configuration can name programs.
    Names are relative to the root, as git's are: what is too deep to be opened here, git cannot open either.
    """
    with directory(workspace, "the workspace") as root:
        below = ["."]
        while below:
            folder = below.pop()
            for name, is_directory in _entries(folder, root):
                path = f"{folder}/{name}"
                if name == ".git" and folder != ".":
                    os.rename(path, f".git/{token_hex(16)}", src_dir_fd=root, dst_dir_fd=root)
                elif name != ".git" and is_directory:
                    below.append(path)


def _entries(folder: str, root: int) -> list[tuple[str, bool]]:
    try:
        with directory(folder, folder, inside=root) as opened, os.scandir(opened) as entries:
            return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    except (StepFailed, OSError):
        return []


def _check_descends(found: Found, sha: str) -> None:
    head = found.head()
    what = "the agent's commits cannot be compared with the branch"
    base = found.run("rev-list", "--count", f"{sha}..{head}", what=what)
    if base.decode().strip() != "0":
        raise StepFailed(
            f"the agent's commit {sha} does not descend from {head}, where the branch was: history is kept"
        )
