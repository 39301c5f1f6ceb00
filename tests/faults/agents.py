"""The node of a lane: agents and effect Jobs that answer at once, and write down that they were run.

What an agent does is done by Gitea's API and not by Git in a pod: the pods are not what is tested here.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster.gitea import GiteaError
from tests.cluster.node import Outcome, Pod, ScriptedNode
from tests.faults.audit import purpose
from tests.faults.project import Project

Object = dict[str, Any]
TASK, RUN_TOKEN = "conveyor.dev/task", "conveyor.dev/run-token"
NOTICED_SECONDS = 60.0
IMAGE = "registry.example/shop@sha256:" + "1" * 64


@dataclass
class Ran:
    """One pod that was run to its end: which Job's, for which commit, and for which intent."""

    purpose: str
    job: str
    sha: str = ""
    intent: str = ""


@dataclass
class Work:
    """What there is to do for one item. `beside` is called after a role has answered, by its name."""

    project: Project
    ran: list[Ran] = field(default_factory=list)
    beside: Mapping[str, Callable[[Project], None]] = field(default_factory=dict)
    coverage: float = 0.0
    """What the tester finds, in percent."""
    failing: frozenset[str] = frozenset()
    """Effect Jobs that end with an error."""


class Agents(ScriptedNode):
    """`works` by WorkItem. A line of `deploys` is written for every effect Job that runs."""

    def __init__(self, kubeconfig: Path, namespace: str, *, deploys: Path) -> None:
        super().__init__(kubeconfig, lambda _: None, namespaces=[namespace])
        self.works: dict[str, Work] = {}
        self._deploys = deploys

    def _changed(self, pod: Pod) -> None:
        uid = pod["metadata"]["uid"]
        item = pod["metadata"].get("labels", {}).get("conveyor.dev/workitem", "")
        if uid not in self._answered and item in self.works and "deletionTimestamp" not in pod["metadata"]:
            self._answered.add(uid)
            self._spawn(self._run(pod, self.works[item]))

    async def _run(self, pod: Pod, work: Work) -> None:
        await self._answer(pod, await asyncio.to_thread(self._work, pod, work))

    def _work(self, pod: Pod, work: Work) -> Outcome:
        if is_run(pod):
            work.ran.append(Ran(task_of(pod)["role"], job_of(pod)))
            return agent(pod, work)
        return self.effect(pod, work)

    def effect(self, pod: Pod, work: Work) -> Outcome:
        env = {entry["name"]: entry.get("value", "") for entry in pod["spec"]["containers"][0].get("env", [])}
        what, sha = purpose(pod), env["CONVEYOR_SHA"]
        work.ran.append(Ran(what, job_of(pod), sha, env["CONVEYOR_TRANSITION_ID"]))
        with self._deploys.open("a") as file:
            file.write(f"{env['CONVEYOR_WORKITEM']} {what} {sha} {env['CONVEYOR_TRANSITION_ID']}\n")
        failed = what in work.failing
        answer = {"conveyor": 1, "verdict": "fail" if failed else "pass", "summary": f"{what} of {sha[:10]}"}
        answer |= {"image": IMAGE} if what == "Image" else {"revision": sha[:10], "image": IMAGE}
        return Outcome(message=json.dumps(answer), exit_code=1 if failed else 0)


def is_run(pod: Pod) -> bool:
    return TASK in pod["metadata"].get("annotations", {})


def task_of(pod: Pod) -> Object:
    found: Object = json.loads(pod["metadata"]["annotations"][TASK])
    return found


def agent(pod: Pod, work: Work) -> Outcome:
    """Raises GiteaError where Gitea fails."""
    annotations, task = pod["metadata"]["annotations"], task_of(pod)
    _until_noticed(task, work.project)
    try:
        _do(task, work.project)
    except GiteaError as error:
        if error.code >= 500:
            raise
        # a second pod of the same run finds its work done: the ledger says so
    if beside := work.beside.get(task["role"]):
        beside(work.project)
    head = work.project.head(task["branch"])
    answer = {"conveyor": 1, "uid": task["uid"], "run": task["run"], "token": annotations[RUN_TOKEN]}
    answer |= {"verdict": "pass", "summary": f"the {task['role']} is done", "sha": head}
    if task["role"] == "tester":
        answer["coverage"] = work.coverage
    return Outcome(message=json.dumps(answer))


def _until_noticed(task: Object, project: Project) -> None:
    """Gitea takes its time to list a branch that Git has: on a busy machine more than an agent takes to begin."""
    end = time.monotonic() + NOTICED_SECONDS
    while time.monotonic() < end:
        try:
            project.head(task["branch"])
        except GiteaError as error:
            if error.code != 404:
                raise
        else:
            return
        time.sleep(0.5)


def _do(task: Object, project: Project) -> None:
    files = {
        "analyst": "01-analysis.md",
        "architect": "06-adr/0001-decision.md",
    }
    match task["role"]:
        case "analyst" | "architect" as role:
            _commit(task, project, f"{task['documents']}{files[role]}")
        case "developer":
            project.call_green(_commit(task, project, f"code/{task['item']}.txt"))
        case "reviewer":
            project.approve(task["pullRequestNumber"])
        case _:
            pass


def _commit(task: Object, project: Project, path: str) -> str:
    text = f"by the {task['role']}, attempt {task['attempt']}\n"
    return project.commit({path: text}, message=f"Work of the {task['role']}", branch=task["branch"], user="coder")


def job_of(pod: Pod) -> str:
    return str(pod["metadata"]["labels"]["batch.kubernetes.io/job-name"])
