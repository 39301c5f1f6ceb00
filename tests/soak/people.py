"""Those who ask for items and interfere with them: each way's story, told by what the audit shows."""

import asyncio
import contextlib
import random
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.cluster.api import MERGE, ApiError
from tests.cluster.gitea import GiteaError
from tests.cluster.pod_api import PodApi
from tests.faults.agents import Work
from tests.faults.audit import Audit
from tests.faults.project import Project
from tests.soak.patience import patiently
from tests.soak.ways import Plot, Way

Object = dict[str, Any]
OURS = "/apis/conveyor.dev/v1alpha1/namespaces/{}/{}/{}"
BEFORE_MERGE = ("analysis", "architecture", "development", "review", "testing", "deploy-staging")
ENDS = ("done", "cancelled")
LONGEST_SECONDS = 8.0
MERGE_TRIES = 8
MOST = 50
"""Times that a person helps for one reason: beyond that it is of no use."""


@dataclass
class Job:
    """One item, and who is to do what with it. `acts` says whether people still have something to do."""

    name: str
    plot: Plot
    way: Way
    work: Work
    acts: bool = True
    merged_by_hand: list[str] = field(default_factory=list)
    """Commits that a person has tried to merge: an answer that is lost leaves open whether it was."""

    @property
    def ends(self) -> tuple[str, ...]:
        """Where it may end: who cancels may come too late."""
        return ENDS if self.way is Way.CANCELLED else ENDS[:1]


@dataclass
class Health:
    """What the probes are told, by Repository."""

    ill: set[str] = field(default_factory=set)


class People:
    """Writes are repeated until they are answered, as people do; each of them may be carried out twice."""

    def __init__(self, api: PodApi, audit: Audit, namespace: str, *, dice: random.Random) -> None:
        self._api, self._audit, self._namespace, self._dice = api, audit, namespace, dice
        self.health = Health()
        self.called: Counter[str] = Counter()
        """How often the person on call had to help, by why."""

    async def go_with(self, job: Job) -> None:
        """All that people do with one item."""
        try:
            await STORIES[job.way](self, job)
        finally:
            job.acts = False

    async def create(self, plural: str, body: Object) -> None:
        path = OURS.format(self._namespace, plural, "").rstrip("/")
        try:
            await self._api.call("POST", path, body)
        except ApiError as error:
            if error.code != 409:  # ours, whose answer was lost
                raise

    async def _patch(self, plural: str, name: str, body: Object) -> None:
        await self._api.call("PATCH", OURS.format(self._namespace, plural, name), body, content_type=MERGE)

    async def _ask(self, plural: str, name: str, verb: str, text: str = "") -> None:
        asked = f"{secrets.token_hex(4)} by=lead {text}".strip()
        await self._patch(plural, name, {"metadata": {"annotations": {f"request.conveyor.dev/{verb}": asked}}})

    async def until(self, job: Job, condition: Callable[[Object], object]) -> None:
        """Until it holds of the item's status, or the item has ended."""
        while True:
            status = self._audit.status(job.name)
            if condition(status) or status.get("stage") in ENDS:
                return
            await asyncio.sleep(0.2)

    async def _some_time(self) -> None:
        await asyncio.sleep(self._dice.uniform(0.0, LONGEST_SECONDS))

    async def _at_some_stage(self, job: Job) -> None:
        stage = self._dice.choice(BEFORE_MERGE)
        await self.until(job, lambda status: status.get("stage") == stage)
        await asyncio.sleep(self._dice.uniform(0.0, 2.0))

    # --- what they do

    async def nothing(self, job: Job) -> None:
        pass

    async def cancel(self, job: Job) -> None:
        await self._at_some_stage(job)
        await self._patch("workitems", job.name, {"spec": {"cancel": True}})

    async def hold(self, job: Job) -> None:
        await self._at_some_stage(job)
        await self._patch("workitems", job.name, {"spec": {"suspend": True}})
        await self._some_time()
        await self._patch("workitems", job.name, {"spec": {"suspend": False}})

    async def freeze(self, job: Job) -> None:
        await self._at_some_stage(job)
        names = ("freeze", "freeze-scope")
        freeze = dict(zip((f"conveyor.dev/{name}" for name in names), ("a look first", "merge"), strict=True))
        await self._patch("repositories", job.plot.name, {"metadata": {"annotations": freeze}})
        await self._some_time()
        thaw = dict.fromkeys(freeze)
        await self._patch("repositories", job.plot.name, {"metadata": {"annotations": thaw}})

    async def merge(self, job: Job) -> None:
        """As soon as there is a pull request, unless Gitea goes on refusing it."""
        await self.until(job, lambda status: status.get("pullRequest"))
        pull = self._audit.status(job.name).get("pullRequest", {})
        await asyncio.sleep(self._dice.uniform(0.0, 4.0))
        for _ in range(MERGE_TRIES if pull else 0):
            try:
                job.merged_by_hand.append(await patiently(lambda: job.work.project.merge_by_hand(pull["number"])))
            except GiteaError:
                await asyncio.sleep(0.5)
            else:
                return

    async def see_it_fail(self, job: Job) -> None:
        """The deploy's Job fails until it was rolled back; then it is mended, and deployed again."""
        job.work.failing = frozenset({"Production"})
        await self.until(job, lambda _: any(ran.purpose == "Rollback" for ran in job.work.ran))
        job.work.failing = frozenset()
        if job.plot.spec["deploy"]["onFailure"] == "Hold":
            await self.until(job, lambda status: stalled(status)[0] == "DeployFailed")
            await self._ask("workitems", job.name, "rework", "mend it")
        await self.until(job, lambda status: status.get("stage") == "development")
        await self._some_time()
        await self._unfreeze(job.plot.name)

    async def see_it_ill(self, job: Job) -> None:
        await self.until(job, lambda status: status.get("stage") == "deploy")
        self.health.ill.add(job.plot.name)
        try:
            await self.until(job, lambda status: status.get("stage") == "done")
            while self._audit.status(job.name).get("monitor", {}).get("verdict") == "Watching":  # noqa: ASYNC110 - tells nobody
                await asyncio.sleep(0.2)
        finally:
            self.health.ill.discard(job.plot.name)
        await self._some_time()
        await self._unfreeze(job.plot.name)

    async def _unfreeze(self, repository: str) -> None:
        """Whatever stands by then; one that comes later is somebody else's to look at."""
        await self._ask("repositories", repository, "unfreeze", "all")

    async def on_call(self, jobs: Sequence[Job]) -> None:
        """Helps whatever waits for a person beyond its story; helped once, it has to get on."""
        helped: set[tuple[str, str, str]] = set()
        while True:
            for job in list(jobs):
                reason, since = stalled(self._audit.status(job.name))
                if reason in ("", "DeployFailed") or (job.name, reason, since) in helped or self.called[reason] > MOST:
                    continue
                helped.add((job.name, reason, since))
                self.called[reason] += 1
                await self._help(job, reason)
            await asyncio.sleep(2.0)

    async def _help(self, job: Job, reason: str) -> None:
        """As the item itself says."""
        match reason:
            case "EffectUnknown":
                await self._ask("workitems", job.name, "resume")
            case "MergedLate":
                await self._see_to_late_merge(job)
            case _:
                await self._ask("workitems", job.name, "retry")

    async def _see_to_late_merge(self, job: Job) -> None:
        """Killed in a person's merge, Gitea has the commit on the base and leaves the pull request open."""
        status, by_hand = self._audit.status(job.name), job.way is Way.BY_HAND
        if by_hand:
            number, sha = status["pullRequest"]["number"], status["mergeSHA"]
            with contextlib.suppress(GiteaError):  # it says so by now
                await patiently(lambda: job.work.project.call_merged(number, sha))
        move = f"{status['stage']}>{'done' if by_hand else 'deploy'}"
        await self._ask("workitems", job.name, "override", f"{move} it is the work, and it was merged")


STORIES: Mapping[Way, Any] = {
    Way.PLAIN: People.nothing,
    Way.MOVED: People.nothing,
    Way.CANCELLED: People.cancel,
    Way.SUSPENDED: People.hold,
    Way.FROZEN: People.freeze,
    Way.BY_HAND: People.merge,
    Way.FAILING: People.see_it_fail,
    Way.DEGRADED: People.see_it_ill,
}


def stalled(status: Object) -> tuple[str, str]:
    """Why, and since when; empty where it is not."""
    conditions = status.get("conditions") or []
    found = ((one["reason"], one["lastTransitionTime"]) for one in conditions if _is_stalled(one))
    return next(found, ("", ""))


def _is_stalled(condition: Object) -> bool:
    return (condition["type"], condition["status"]) == ("Stalled", "True")


def beside(way: Way) -> Mapping[str, Callable[[Project], None]]:
    return {"tester": _move_main} if way is Way.MOVED else {}


def _move_main(project: Project) -> None:
    with contextlib.suppress(GiteaError):
        project.move_main()
