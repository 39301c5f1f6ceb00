"""One soak: items are asked for while things go wrong; then all is left alone until its end, and judged."""

import asyncio
import contextlib
import itertools
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from conveyor.api.stages import TERMINAL
from tests.faults.agents import Work
from tests.faults.judge import errors
from tests.faults.project import Project
from tests.soak.people import Job, beside
from tests.soak.scene import FAULT_RATE, Scene, Servers, set_up
from tests.soak.verdict import Whole, findings, left_over, look
from tests.soak.ways import PLOTS, QUEUED, Plot, Way
from tests.soak.workers import keep_testing

CONVERGENCE_SECONDS, STILL_SECONDS = 900.0, 150.0
"""Until everything must have come to its end: after the faults, and after the last write of any item's status. A Lease
that nobody renews takes 60 of that."""
QUIET_SECONDS = 5.0
"""How long it is watched after that."""
LAST_ITEMS_SECONDS = 60.0
"""Before the end of the faults no more items are asked for."""
WITH_PULL_REQUEST = ("development", "review", "testing", "deploy-staging")
SAY_SECONDS = 30.0
THREADS = 32
EXPECTED_ERRORS = ("leadership lost", "leadership was lost")
"""What an operator says aloud, and rightly so."""
Say = Callable[[str], None]


@dataclass
class Outcome:
    """`happened` is what was done to processes, `faults` to single writes; both by kind."""

    whole: Whole
    findings: list[str]
    seconds_to_converge: float
    happened: Counter[str]
    faults: Counter[str]
    writes: int
    ended_by_themselves: Counter[str]
    called: Counter[str]
    locks: int
    seconds_to_end: list[float] = field(default_factory=list)


async def soak(servers: Servers, *, seed: int, minutes: float, say: Say) -> Outcome:
    """Raises TimeoutError where it cannot even begin."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
    async with contextlib.AsyncExitStack() as stack:
        scene = await set_up(stack, servers, seed)
        say(f"{len(PLOTS)} repositories, {len(scene.replicas)} operators: begin")
        beside_it = [keep_testing(lambda: _tested(scene)), scene.people.on_call(scene.jobs), _tell(scene, say)]
        async with _running(beside_it):
            asking = Asking(scene, random.Random(seed))  # noqa: S311
            stories = asyncio.create_task(asking.run())
            await _disturb(scene, minutes * 60, asking)
            say("the faults have ceased")
            took = await _converge(scene, stories)
            await asyncio.sleep(QUIET_SECONDS)
            stories.cancel()
            await asyncio.gather(stories, return_exceptions=True)
        return await _judge(scene, servers, took)


class Asking:
    """The stream of items: in each repository a few more as soon as the last ones have ended."""

    def __init__(self, scene: Scene, dice: random.Random) -> None:
        self._scene, self._dice, self._coverage = scene, dice, itertools.count(1)
        self.is_over = False

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for plot in PLOTS:
                group.create_task(self._ask(plot, random.Random(self._dice.random())))  # noqa: S311

    async def _ask(self, plot: Plot, dice: random.Random) -> None:
        async with asyncio.TaskGroup() as stories:
            for number in itertools.count(1):
                while not self.is_over and self._open(plot) >= plot.at_once + QUEUED:  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0.3)
                if self.is_over:
                    return
                way = dice.choice(plot.ways) if number > 1 else Way.PLAIN  # a rollback goes back to something
                job = self._job(plot, f"{plot.name}-{number}", way)
                spec = {"repositoryRef": {"name": plot.name}, "title": f"A change, {job.way}"}
                metadata = {"name": job.name}
                whole = {"apiVersion": "conveyor.dev/v1alpha1", "kind": "WorkItem", "metadata": metadata, "spec": spec}
                await self._scene.people.create("workitems", whole)
                stories.create_task(self._scene.people.go_with(job))

    def _job(self, plot: Plot, name: str, way: Way) -> Job:
        work = Work(self._scene.projects[plot.name], beside=beside(way), coverage=40 + next(self._coverage) / 100)
        job = Job(name, plot, way, work)
        self._scene.workers.works[name] = work
        self._scene.jobs.append(job)
        return job

    def _open(self, plot: Plot) -> int:
        mine = (job for job in self._scene.jobs if job.plot is plot)
        return sum(job.acts or not has_ended(self._scene, job) for job in mine)


def has_ended(scene: Scene, job: Job) -> bool:
    status = scene.history.status(job.name)
    return status.get("stage") in TERMINAL and (status.get("monitor") or {}).get("verdict") != "Watching"


# --- its parts


async def _disturb(scene: Scene, seconds: float, asking: Asking) -> None:
    for desk in scene.desks:
        desk.rate = FAULT_RATE
    chaos = asyncio.create_task(scene.chaos.run())
    last = min(LAST_ITEMS_SECONDS, seconds / 2)
    await asyncio.sleep(seconds - last)
    asking.is_over = True
    await asyncio.sleep(last)
    chaos.cancel()
    await asyncio.gather(chaos, return_exceptions=True)
    for desk in scene.desks:
        desk.rate = 0.0
    await scene.chaos.cease()
    for desk in scene.desks:
        await desk.at_the_end()


async def _converge(scene: Scene, stories: "asyncio.Task[None]") -> float:
    """The seconds until nothing was left, or until it was waited for long enough."""
    began = moved = time.monotonic()
    before = -1
    while (now := time.monotonic()) - began < CONVERGENCE_SECONDS and now - moved < STILL_SECONDS:
        if stories.done() and not any(left_over(scene.history, scene.jobs)):
            break
        if (writes := sum(story.writes for story in scene.history.items.values())) != before:
            before, moved = writes, now
        await asyncio.sleep(0.5)
    return time.monotonic() - began


async def _judge(scene: Scene, servers: Servers, took: float) -> Outcome:
    seen = {name: await asyncio.to_thread(look, project) for name, project in scene.projects.items()}
    whole = Whole(scene.history, scene.jobs, seen)
    found = [*findings(whole), *scene.chaos.findings, *scene.workers.failures()]
    for replica in scene.replicas:
        found += replica.findings
        lines = errors(replica.process.log.read_text(errors="replace"))
        found += [line for line in lines if not any(text in line for text in EXPECTED_ERRORS)]
    found += [f"rule: {line}" for desk in scene.desks for line in dict.fromkeys(desk.offences)]
    return Outcome(
        whole=whole,
        findings=found,
        seconds_to_converge=took,
        happened=scene.chaos.happened,
        faults=sum((desk.happened for desk in scene.desks), Counter()),
        writes=sum(desk.count for desk in scene.desks),
        ended_by_themselves=sum((replica.ended for replica in scene.replicas), Counter()),
        called=scene.people.called,
        locks=scene.chaos.locks,
        seconds_to_end=scene.chaos.took,
    )


def _tested(scene: Scene) -> list[Project]:
    """Where an item may have a pull request that is to be merged."""
    stages = ((job.plot.name, scene.history.status(job.name).get("stage")) for job in scene.jobs)
    return [scene.projects[name] for name in {name for name, stage in stages if stage in WITH_PULL_REQUEST}]


async def _tell(scene: Scene, say: Say) -> None:
    began = time.monotonic()
    while True:
        await asyncio.sleep(SAY_SECONDS)
        ended = sum(has_ended(scene, job) for job in scene.jobs)
        done = sum(scene.chaos.happened.values()) + sum(sum(desk.happened.values()) for desk in scene.desks)
        say(f"{time.monotonic() - began:5.0f} s: {ended} of {len(scene.jobs)} items have ended, {done} faults")


@contextlib.asynccontextmanager
async def _running(parts: Sequence[Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Beside the block; one that fails is an error of ours."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        yield
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
