"""The little that CI needs of Gitea: branches, a commit's tree, commit statuses."""

import asyncio
import base64
import os
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import aiohttp

CONTEXT = "ci/test"
GIT_SECONDS = 60.0
State = Literal["pending", "success", "failure", "error"]


class GiteaError(Exception):
    """It refused, or was not reached; never with the token in it."""


@dataclass(frozen=True)
class Gitea:
    session: aiohttp.ClientSession
    url: str
    repository: str
    token: str

    def __repr__(self) -> str:
        return f"Gitea({self.url}, {self.repository})"

    async def heads(self) -> set[str]:
        """The newest commits of all branches."""
        return {branch["commit"]["id"] for branch in await self._call("GET", "/branches?limit=50")}

    async def is_judged(self, sha: str) -> bool:
        """Whether our context has had its last word on a commit."""
        found = await self._call("GET", f"/commits/{sha}/statuses?limit=50")
        ours = sorted((status["id"], status["status"]) for status in found if status["context"] == CONTEXT)
        return bool(ours) and ours[-1][1] in ("success", "failure")

    async def judge(self, sha: str, state: State, *, description: str, url: str) -> None:
        body = {"context": CONTEXT, "state": state, "description": description[:200], "target_url": url}
        await self._call("POST", f"/statuses/{sha}", body)

    async def check_out(self, sha: str, directory: Path) -> None:
        """The tree of one commit. The token goes to git by its environment, for this server alone."""
        basic = base64.b64encode(f"ci:{self.token}".encode()).decode()
        credentials = {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{self.url}/.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
        }
        fetch = ("fetch", "--quiet", "--depth=1", f"{self.url}/{self.repository}.git", sha)
        for command in (("init", "--quiet"), fetch, ("checkout", "--quiet", "--detach", "FETCH_HEAD")):
            await _git(command, directory, credentials)

    async def _call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        url = f"{self.url}/api/v1/repos/{self.repository}{path}"
        headers = {"Authorization": f"token {self.token}"}
        try:
            async with self.session.request(method, url, json=body, headers=headers) as answer:
                if answer.status >= 400:
                    raise GiteaError(f"{method} {path}: {answer.status}: {(await answer.text())[:200]}")
                return await answer.json()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise GiteaError(f"{method} {path}: {type(error).__name__}") from error


async def _git(command: tuple[str, ...], directory: Path, credentials: dict[str, str]) -> None:
    env = {"PATH": os.environ["PATH"], "HOME": str(directory), "GIT_TERMINAL_PROMPT": "0", **credentials}
    null = asyncio.subprocess.DEVNULL
    with tempfile.TemporaryFile() as said:  # a pipe would be held open by the helpers that git starts
        process = await asyncio.create_subprocess_exec(
            "git", *command, cwd=directory, env=env, stdin=null, stdout=null, stderr=said, start_new_session=True
        )
        try:
            async with asyncio.timeout(GIT_SECONDS):
                await process.wait()
        except TimeoutError as error:
            raise GiteaError(f"git {command[0]} did not end within {GIT_SECONDS:.0f} s") from error
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if process.returncode != 0:
            said.seek(0)
            raise GiteaError(f"git {command[0]}: {said.read(4096).decode(errors='replace').strip()[:300]}")
