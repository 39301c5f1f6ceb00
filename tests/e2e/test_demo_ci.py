"""The demo's CI at a real Gitea, without any webhook."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from examples.ci.builder import Builder
from examples.ci.gitea import CONTEXT
from examples.ci.gitea import Gitea as Forge
from tests.cluster.fixtures import unique_name
from tests.cluster.gitea import Gitea, Repository

TEST = "import unittest\n\nclass T(unittest.TestCase):\n    def test_it(self):\n        assert {}\n"


@pytest.fixture
async def builder(anyio_backend: str, gitea: Gitea, gitea_repository: Repository) -> AsyncIterator[Builder]:
    user = gitea.create_user(unique_name("ci"), scopes=("write:repository",))
    gitea.add_collaborator(gitea_repository, user.name)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        name = f"{gitea_repository.owner}/{gitea_repository.name}"
        builder = Builder(Forge(session, gitea.url, name, token=user.token), logs_url="http://ci.test/logs")
        running = asyncio.create_task(builder.run(poll_seconds=0.2))
        yield builder
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


async def word(gitea: Gitea, repository: Repository, sha: str) -> str:
    """The last one on a commit."""
    path = f"{repository.path}/commits/{sha}/statuses"
    async with asyncio.timeout(60):
        while True:
            found = {each["status"] for each in gitea.api("GET", path) if each["context"] == CONTEXT} - {"pending"}
            if found:
                return str(found.pop())
            await asyncio.sleep(0.1)


async def test_pushed_commits_are_judged_without_a_webhook(
    builder: Builder, gitea: Gitea, gitea_repository: Repository
) -> None:
    good = gitea.commit(gitea_repository, {"test_it.py": TEST.format("True")}, message="Good", new="good")
    bad = gitea.commit(gitea_repository, {"test_it.py": TEST.format("False")}, message="Bad", new="bad")
    found = [await word(gitea, gitea_repository, sha) for sha in (good, bad)]
    assert found == ["success", "failure"]


async def test_commit_is_judged_once(builder: Builder, gitea: Gitea, gitea_repository: Repository) -> None:
    sha = gitea.commit(gitea_repository, {"test_it.py": TEST.format("True")}, message="Good", new="good")
    await word(gitea, gitea_repository, sha)
    later = gitea.commit(gitea_repository, {"a.txt": "a"}, message="Later", branch="good")
    await word(gitea, gitea_repository, later)
    states = gitea.api("GET", f"{gitea_repository.path}/commits/{sha}/statuses")
    assert sorted(state["status"] for state in states) == ["pending", "success"]
