"""A repository in a real Gitea with the operator's user, a developer's, and our client of it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from conveyor.api.repository import Forge as ForgeSpec
from conveyor.api.repository import SecretRef
from conveyor.forge.gitea import Gitea, connect
from conveyor.pipeline.facts import PullRequest
from conveyor.web.errors import Unavailable
from conveyor.web.hosts import AllowedHosts
from tests.cluster.fixtures import unique_name
from tests.cluster.gitea import Gitea as Server
from tests.cluster.gitea import Repository, User

T = TypeVar("T")


@dataclass
class Scene:
    server: Server
    repository: Repository
    operator: User
    developer: User
    forge: Gitea

    def api(self, method: str, path: str = "", **kwargs: Any) -> Any:
        """The administrator's call, below the repository."""
        return self.server.api(method, self.repository.path + path, **kwargs)

    def push(self, files: dict[str, str], *, branch: str = "main", new: str = "") -> str:
        return self.server.commit(self.repository, files, message="Change", branch=branch, new=new)

    async def pull(self, branch: str, files: dict[str, str] | None = None) -> PullRequest:
        """An open pull request of a new branch with one commit."""
        self.push(files or {f"{branch}.txt": "text\n"}, new=branch)
        return await self.forge.open_pull_request(head=branch, base="main", title=branch, body="")

    async def merge(self, pull: PullRequest) -> None:
        await patiently(lambda: self.forge.merge(pull.number, head=pull.head_sha))


async def patiently(call: Callable[[], Awaitable[T]], *, seconds: float = 20) -> T:
    """Ask again while Gitea still checks the pull request."""
    end = time.monotonic() + seconds
    while True:
        try:
            return await call()
        except Unavailable:
            if time.monotonic() > end:
                raise
        await asyncio.sleep(0.05)


@asynccontextmanager
async def forge_of(server: Server, repository: Repository, token: str) -> AsyncIterator[Gitea]:
    spec = ForgeSpec(
        url=server.url,
        owner=repository.owner,
        name=repository.name,
        credentials_secret_ref=SecretRef(name="forge"),
    )
    forge = connect(spec, {"token": token, "url": server.url}, allowed=AllowedHosts(("127.0.0.1",)))
    try:
        yield forge
    finally:
        await forge.aclose()


@pytest.fixture(scope="session")
def people(gitea: Server) -> tuple[User, User]:
    return gitea.create_user(unique_name("operator")), gitea.create_user(unique_name("developer"))


@pytest.fixture
async def scene(gitea: Server, gitea_repository: Repository, people: tuple[User, User]) -> AsyncIterator[Scene]:
    operator, developer = people
    gitea.add_collaborator(gitea_repository, operator.name, permission="admin")
    gitea.add_collaborator(gitea_repository, developer.name)
    async with forge_of(gitea, gitea_repository, operator.token) as forge:
        yield Scene(gitea, gitea_repository, operator, developer, forge)
