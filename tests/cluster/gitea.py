"""A real Gitea on SQLite, on a free port of 127.0.0.1, and the little of its API that fixtures need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class User:
    name: str
    password: str
    token: str


@dataclass(frozen=True)
class Repository:
    owner: str
    name: str
    clone_url: str
    head_sha: str


class Gitea:
    """`with Gitea(directory) as gitea`. `url`, `admin: User` (token with all scopes). Errors are GiteaError(code)."""

    url: str
    admin: User

    def __init__(self, directory: Path) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def restart(self) -> None: ...
    def kill(self) -> None: ...
    def api(self, method: str, path: str, *, token: str | None = None, json: object = None, **params: str) -> Any: ...
    def create_user(self, name: str, *, scopes: Sequence[str] = ("write:repository",)) -> User: ...
    def create_token(self, user: User, *, scopes: Sequence[str]) -> str: ...
    def create_organization(self, name: str) -> None: ...
    def create_repository(
        self, owner: str, name: str, *, files: Mapping[str, str] | None = None, **options: object
    ) -> Repository: ...
    def add_collaborator(self, repository: Repository, user: User, *, permission: str = "write") -> None: ...
    def protect(self, repository: Repository, branch: str = "main", **rule: object) -> None: ...
    def create_hook(self, repository: Repository, *, url: str, secret: str, events: Sequence[str]) -> int: ...
