"""Whether the demo ended as it should: looked up where it counts, not in what anybody says of himself."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from examples.demo.mishap import Mishap
from examples.demo.story import Story, effect_jobs
from examples.demo.tickets import PROJECTS, TICKETS, project_of
from examples.demo.world import World

SECONDS = 120


@dataclass(frozen=True)
class Check:
    wanted: str
    passed: bool
    found: str = ""


def is_over(world: World) -> bool:
    """All items are done, and their tickets say so."""
    return all(world.watched.status(ticket.item).get("stage") == "done" for ticket in TICKETS) and all(
        world.tracker.state_of(ticket.key) == "Done" for ticket in TICKETS
    )


def checks(world: World, stories: Sequence[Story], mishap: Mishap | None) -> list[Check]:
    """`mishap` is None where none was to happen. Blocks: it clones and runs the merged code's tests."""
    red, criticised = (sum(map(len, each)) for each in zip(*((s.red, s.criticised) for s in stories), strict=True))
    return [
        *_tickets(world),
        *_deploys(world),
        *_monitored(world),
        *([] if mishap is None else [_survived(mishap)]),
        Check("CI was red on the way", red > 0),
        Check("the reviewer asked for changes on the way", criticised > 0),
        *(_merged_code(world, project.repository) for project in PROJECTS),
    ]


def _tickets(world: World) -> Iterator[Check]:
    for ticket in TICKETS:
        stage = world.watched.status(ticket.item).get("stage", "not there")
        yield Check(f"{ticket.key}: the item is done", stage == "done", stage)
        state = world.tracker.state_of(ticket.key)
        yield Check(f"{ticket.key}: the ticket is Done", state == "Done", state)


def _deploys(world: World) -> Iterator[Check]:
    for ticket in TICKETS:
        sha = world.watched.status(ticket.item).get("mergeSHA", "")
        jobs = sum(
            len(world.watched.job_uids[job["metadata"]["name"]]) for job in effect_jobs(world, ticket, "Production")
        )
        log = world.production / f"{project_of(ticket).repository}.log"
        lines = log.read_text().splitlines() if log.exists() else []
        ran = [" ".join(line.split()[:2]) for line in lines if line.startswith(f"{ticket.item} ")]
        found = f"{jobs} Jobs, {len(ran)} runs"
        yield Check(f"{ticket.key}: deployed once", (jobs, ran) == (1, [f"{ticket.item} {sha}"]), found)


def _monitored(world: World) -> Iterator[Check]:
    for ticket in TICKETS:
        if project_of(ticket).monitored:
            verdict = world.watched.status(ticket.item).get("monitor", {}).get("verdict", "none")
            yield Check(f"{ticket.key}: healthy after its deploy", verdict == "Healthy", verdict)


def _survived(mishap: Mishap) -> Check:
    found = f"{mishap.item} went on after {mishap.seconds:.1f} s" if mishap.seconds else "it did not go on"
    return Check("the operator was killed in the middle of a merge, which happened once", mishap.seconds > 0, found)


def _merged_code(world: World, name: str) -> Check:
    """A fresh clone of main passes its tests."""
    with TemporaryDirectory() as directory:
        tree, env = Path(directory) / "tree", {"PATH": os.environ["PATH"], "HOME": directory}
        clone = ["git", "clone", "--quiet", world.forge.repositories[name].clone_url, str(tree)]
        subprocess.run(clone, env=env, timeout=SECONDS, check=True)
        command = [sys.executable, "-B", "-m", "unittest", "discover", "--top-level-directory", "."]
        done = subprocess.run(command, cwd=tree, env=env, timeout=SECONDS, capture_output=True, text=True, check=False)
    said = done.stderr.strip().splitlines()
    return Check(f"{name}: the merged code passes its tests", done.returncode == 0, said[-1] if said else "")
