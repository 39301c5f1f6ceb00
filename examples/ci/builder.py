"""Runs the tests of one repository's commits, one after the other, and says what came of them."""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from examples.ci.gitea import Gitea, GiteaError

TEST_SECONDS = 60.0
COMMAND = (sys.executable, "-B", "-m", "unittest", "discover", "--top-level-directory", ".")


class Builder:
    """`wake` says that something was pushed; without it the branches are looked at every few seconds all the same."""

    def __init__(self, gitea: Gitea, *, logs_url: str) -> None:
        self._gitea, self._logs_url = gitea, logs_url
        self._judged: set[str] = set()
        self._pushed = asyncio.Event()
        self.logs: dict[str, str] = {}

    def wake(self) -> None:
        self._pushed.set()

    async def run(self, *, poll_seconds: float) -> None:
        """For ever. What could not be read or said now is tried again at the next look."""
        while True:
            self._pushed.clear()
            try:
                await self._look()
            except GiteaError as error:
                print(f"{self._gitea.repository}: {error}", flush=True)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._pushed.wait(), poll_seconds)

    async def _look(self) -> None:
        for sha in await self._gitea.heads() - self._judged:
            if not await self._gitea.is_judged(sha):
                await self._build(sha)
            self._judged.add(sha)

    async def _build(self, sha: str) -> None:
        url = f"{self._logs_url}/{sha}"
        await self._gitea.judge(sha, "pending", description="the tests run", url=url)
        with directories() as (tree, home):
            await self._gitea.check_out(sha, tree)
            passed, output = await run_tests(tree, home)
        self.logs[sha] = output
        last_line = (output.strip().splitlines() or ["the tests said nothing"])[-1]
        await self._gitea.judge(sha, "success" if passed else "failure", description=last_line, url=url)
        print(f"{self._gitea.repository}: {sha[:10]}: {last_line}", flush=True)


@contextlib.contextmanager
def directories() -> Iterator[tuple[Path, Path]]:
    """One for the tree and one for HOME, both empty; they go away with the block."""
    with tempfile.TemporaryDirectory(prefix="ci-") as directory:
        tree, home = Path(directory, "tree"), Path(directory, "home")
        tree.mkdir()
        home.mkdir()
        yield tree, home


async def run_tests(tree: Path, home: Path) -> tuple[bool, str]:
    """Whether they passed, and what they printed. They get nothing of our environment, and a minute."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        cwd=tree,
        env={"PATH": os.environ["PATH"], "HOME": str(home)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(TEST_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        kill_group(process.pid)
        await process.communicate()
        return False, f"the tests did not end within {TEST_SECONDS} s"
    finally:
        kill_group(process.pid)  # also what the tests started and left behind
    return process.returncode == 0, output.decode(errors="replace")


def kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
