"""Gitea as an administrator sets it up: users, repositories with a protected branch, webhooks.

| user | who | right |
|---|---|---|
| `conveyor` | the operator | administers both repositories; the only one who may push and merge to `main` |
| `coder` | analyst, architect and developer, by the trusted steps around them | pushes branches |
| `critic` | reviewer and tester, by the trusted steps around them | reviews, comments |
| `ci-bot` | CI | posts commit statuses |
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from examples.demo.tickets import OWNER, PROJECTS
from tests.cluster.gitea import Gitea, Repository, User

EXAMPLES = Path(__file__).parents[1]
WRITE = ("write:repository", "write:issue", "read:user")
USERS: Mapping[str, str] = {"conveyor": "admin", "coder": "write", "critic": "write", "ci-bot": "write"}
HOOK_EVENTS = ("push", "pull_request", "status")


@dataclass(frozen=True)
class Forge:
    """`agents` is the forge user behind each role."""

    users: Mapping[str, User]
    repositories: Mapping[str, Repository]

    @property
    def agents(self) -> Mapping[str, User]:
        writers = dict.fromkeys(("analyst", "architect", "developer"), self.users["coder"])
        return writers | dict.fromkeys(("reviewer", "tester"), self.users["critic"])


def set_up(gitea: Gitea) -> Forge:
    gitea.api("POST", "/orgs", json={"username": OWNER, "visibility": "public"})
    users = {name: gitea.create_user(name, scopes=WRITE) for name in USERS}
    return Forge(users, {project.repository: _repository(gitea, project.repository) for project in PROJECTS})


def project_files(name: str) -> dict[str, str]:
    """The files that a repository begins with, by path."""
    root = EXAMPLES / name
    found = (path for path in sorted(root.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(root).as_posix(): path.read_text() for path in found}


def _repository(gitea: Gitea, name: str) -> Repository:
    """Public, so that the links work for whoever watches; in need of nothing that the operator would refuse."""
    made = gitea.create_repository(OWNER, name, files=project_files(name), private=False)
    for user, permission in USERS.items():
        gitea.add_collaborator(made, user, permission=permission)
    rights = {f"enable_{right}": True for right in ("push", "push_whitelist", "merge_whitelist")}
    whitelists = {f"{right}_whitelist_usernames": ["conveyor"] for right in ("push", "merge")}
    gitea.protect(made, "main", **rights, **whitelists)
    return made


def add_hook(gitea: Gitea, repository: Repository, *, url: str, secret: str) -> None:
    gitea.create_hook(repository, url=url, secret=secret, events=HOOK_EVENTS)
