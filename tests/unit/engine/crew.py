"""Who works while the engine waits: agents, CI and the deploy."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from conveyor.api.annotations import LABEL_EFFECT, LABEL_ROLE, LABEL_WORKITEM_UID, TASK_ANNOTATION
from conveyor.cluster.protocol import JSONObject, Key
from conveyor.engine.manifests import RUN_TOKEN_ANNOTATION
from tests.fakes.memory_cluster import MemoryCluster
from tests.fakes.memory_forge import MemoryForge
from tests.fakes.memory_store import JOBS

REVIEWER = "reviewer-bot"


class Crew:
    """Agents, CI and the deploy, which end every Job they find. `answers` replaces the answer of a role."""

    def __init__(self, cluster: MemoryCluster, forge: MemoryForge) -> None:
        self._cluster, self._forge = cluster, forge
        self.answers: dict[str, str] = {}
        self.only_once = False
        """Give each of these answers once."""
        self.deploy_exit = 0
        self.exits: dict[str, list[int]] = {}
        """How the Jobs of an effect end: the first the first time, and so on; well, once these are used up."""
        self.keeps: frozenset[str] = frozenset()
        """Roles and effects whose Jobs stay at work."""
        self.ci = "success"
        """What CI says about each commit; empty: nothing."""
        self.coverage: float | None = None
        """The tester's figure."""
        self.then: dict[str, list[Callable[[], object]]] = {}
        """What happens right after the work of a role, or after a word of `ci`: the first the first time, and so on."""
        self.idle = False
        self.most_at_once = 0

    def work(self) -> bool:
        """Whether there was anything to do."""
        if self.idle:
            return False
        store = self._cluster.store
        jobs = [key for key in store.keys(JOBS) if store.objects[JOBS, key].get("status", {}).get("active")]
        at_work = [key for key in jobs if self._of(store.objects[JOBS, key]) not in self.keeps]
        runs = [key for key in at_work if LABEL_ROLE in store.objects[JOBS, key]["metadata"]["labels"]]
        self.most_at_once = max(self.most_at_once, len(runs))
        for key in at_work:
            self._end(key, store.object(JOBS, key))
        return bool(at_work) or self._report()

    def _of(self, job: JSONObject) -> str:
        labels = job["metadata"]["labels"]
        return str(labels.get(LABEL_ROLE) or labels.get(LABEL_EFFECT))

    def _report(self) -> bool:
        forge = self._forge
        silent = [it.head_sha for it in forge.pulls.values() if self.ci and it.head_sha not in forge.commit_statuses]
        for commit in silent:
            forge.report(commit, self.ci)
            self._then("ci")
        return bool(silent)

    def _then(self, what: str) -> None:
        following = self.then.get(what, [])
        if following:
            following.pop(0)()

    def _end(self, key: Key, job: JSONObject) -> None:
        labels = job["metadata"]["labels"]
        if LABEL_EFFECT in labels:
            self._end_effect(key, job)
            return
        role = labels[LABEL_ROLE]
        task = json.loads(job["spec"]["template"]["metadata"]["annotations"][TASK_ANNOTATION])
        sha = self._do(role, task)
        figure = {"coverage": self.coverage} if role == "tester" and self.coverage is not None else {}
        self._cluster.end_job(key, message=self.answers.get(role) or answer(key, job, sha=sha, **figure))
        self._then(role)
        if self.only_once:
            self.answers.pop(role, None)

    def _end_effect(self, key: Key, job: JSONObject) -> None:
        effect, sha = job["metadata"]["labels"][LABEL_EFFECT], _variable(job, "CONVEYOR_SHA")
        planned = self.exits.get(effect)
        code = planned.pop(0) if planned else self.deploy_exit
        image = f"registry.test/cart@sha256:{hashlib.sha256(sha.encode()).hexdigest()}"
        built = json.dumps({"conveyor": 1, "verdict": "pass", "image": image}) if effect == "Image" else ""
        self._cluster.end_job(key, exit_code=code, message="" if code else built)
        self._then(effect)

    def _do(self, role: str, task: JSONObject) -> str:
        forge, folder, branch = self._forge, task["documents"], task["branch"]
        files = {
            "analyst": f"{folder}01-analysis.md",
            "architect": f"{folder}06-adr/0001.md",
            "developer": f"{task['item']}.py",
        }
        if role in files and role not in self.answers:
            return forge.push(branch, files[role])
        if role == "reviewer" and role not in self.answers:
            forge.review(task["pullRequestNumber"], "APPROVED", author=REVIEWER)
        return forge.branches[branch]


def answer(key: Key, job: JSONObject, *, sha: str, **fields: Any) -> str:
    """What `publish` writes at the end of a run."""
    whole = {
        "conveyor": 1,
        "uid": job["metadata"]["labels"][LABEL_WORKITEM_UID],
        "run": key.name,
        "token": job["spec"]["template"]["metadata"]["annotations"][RUN_TOKEN_ANNOTATION],
        "verdict": "pass",
        "summary": "done",
        "sha": sha,
    }
    return json.dumps(whole | fields)


def _variable(job: JSONObject, name: str) -> str:
    """What the first container of a Job's pod is told."""
    env = job["spec"]["template"]["spec"]["containers"][0]["env"]
    return next(str(entry["value"]) for entry in env if entry["name"] == name)
