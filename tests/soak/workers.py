"""The node of the soak: agents that try again while Gitea is away, Jobs that take a while, and a CI."""

import asyncio
import contextlib
import random
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from tests.cluster.gitea import GiteaError
from tests.cluster.node import Pod
from tests.faults.agents import Agents, Ran, Work, agent, is_run, job_of, task_of
from tests.faults.project import Project
from tests.soak.patience import patiently

LONGEST_SECONDS = 3.0
TRIES = 30
CI_SECONDS = 1.0


class Workers(Agents):
    """A pod that is deleted while it works finds that nobody wants its answer."""

    def __init__(self, kubeconfig: Path, namespace: str, dice: random.Random, *, deploys: Path) -> None:
        super().__init__(kubeconfig, namespace, deploys=deploys)
        self._dice = dice

    def failures(self) -> list[str]:
        """What went wrong with the node itself; told once."""
        told = [f"broken: the node: {error!r}"[:300] for error in self._errors]
        self._errors.clear()
        return told

    async def _run(self, pod: Pod, work: Work) -> None:
        if is_run(pod):
            role = task_of(pod)["role"]
            work.ran.append(Ran(role, job_of(pod)))
            await _until_there(work.project, task_of(pod)["branch"])
            outcome = await patiently(lambda: agent(pod, work))
        else:
            outcome = self.effect(pod, work)
        await self._answer(pod, replace(outcome, after=self._dice.uniform(0.0, LONGEST_SECONDS)))


async def _until_there(project: Project, branch: str) -> None:
    """A Gitea that was killed while it cut a branch lacks what Git has, until somebody pushes: agents do, with Git."""
    for _ in range(TRIES):
        try:
            await patiently(lambda: project.gitea.api("GET", f"{project.repository.path}/branches/{branch}"))
        except GiteaError:
            await asyncio.sleep(CI_SECONDS)
            with contextlib.suppress(subprocess.SubprocessError):  # Gitea is away again
                await asyncio.to_thread(project.push_nothing, branch)
        else:
            return


async def keep_testing(due: Callable[[], Iterable[Project]]) -> None:
    """CI looks at the heads of open pull requests, again and again, of those projects where that is `due`."""
    while True:
        for project in due():
            try:
                await patiently(project.call_open_heads_green)
            except GiteaError:
                continue  # a head that has moved meanwhile
        await asyncio.sleep(CI_SECONDS)
