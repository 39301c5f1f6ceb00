"""`scripts/faults`: the whole crash enumeration, or a part of it, on servers of its own."""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.cluster import binaries, crds
from tests.cluster.api import Kube
from tests.cluster.control_plane import ControlPlane
from tests.cluster.gitea import Gitea
from tests.cluster.processes import temporary_directory
from tests.faults.cases import Case, Result
from tests.faults.lane import Servers
from tests.faults.matrix import cases, shard, together
from tests.faults.pool import Group, Plan, Pool
from tests.faults.project import accounts
from tests.faults.scenarios import ALL, SCENARIOS
from tests.faults.table import Measured, page, summary

ROOT = Path(__file__).parents[2]
RESULTS, PAGE = ROOT / "build" / "faults.jsonl", ROOT / "docs" / "faults.md"
MARKS = ("<!-- results: scripts/faults -->", "<!-- end of results -->")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@contextlib.contextmanager
def servers() -> Iterator[Servers]:
    with temporary_directory("faults") as directory, contextlib.ExitStack() as stack:
        plane = stack.enter_context(ControlPlane(directory / "cluster", say=say))
        gitea = stack.enter_context(Gitea(directory / "gitea", say=say))
        with Kube(plane.kubeconfig) as kube:
            crds.install(kube)
        yield Servers(plane.kubeconfig, gitea, accounts(gitea), directory / "lanes")


class Store:
    """One line of JSON per result, so that a run that is broken off can be gone on with."""

    def __init__(self, path: Path, *, resume: bool) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().splitlines() if resume and path.exists() else []
        self.results = {found["case"]: Result(**found) for found in map(json.loads, lines)}
        if not resume:
            path.write_text("")

    def add(self, result: Result) -> None:
        self.results[result.case] = result
        with self._path.open("a") as file:
            file.write(json.dumps(result.as_json()) + "\n")


async def enumerate_faults(made: Servers, options: argparse.Namespace, store: Store) -> dict[str, float]:
    """Gives the seconds of each undisturbed way."""
    if (task := asyncio.current_task()) is not None:
        for number in (signal.SIGINT, signal.SIGTERM):  # a shell has what it runs in the background ignore SIGINT
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    pool = Pool(made, Plan(SCENARIOS, lanes=options.lanes, patch=options.patch))
    whole: list[Case] = []
    reference: dict[str, float] = {}
    for scenario in options.scenario:
        result, writes, events = await pool.reference(scenario)
        if result.outcome != "ok":
            raise SystemExit(f"the undisturbed way {scenario} went wrong: {'; '.join(result.findings)}\n{result.log}")
        reference[scenario] = result.seconds
        whole += cases(SCENARIOS[scenario], writes, events)
        for write in writes if options.list else ():
            print(f"{write.time - writes[0].time:7.2f} s  {write}")
    wanted = [case for case in whole if options.only in str(case) and str(case) not in store.results]
    due = shard(together(wanted) if options.together else [(case,) for case in wanted], options.shard)
    print(f"{len(whole)} cases, {sum(map(len, due))} to be run on the ways of {len(due)} items", flush=True)
    if not options.list:
        await _run(pool, due, store)
    return reference


async def _run(pool: Pool, due: Sequence[Group], store: Store) -> None:
    began, done, count = time.monotonic(), 0, sum(map(len, due))

    def told(case: Case, result: Result) -> None:
        nonlocal done
        done += 1
        store.add(result)
        print(f"{done:4}/{count} {time.monotonic() - began:6.0f} s  {result.outcome:11} {result.seconds:5.1f} s", case)
        for finding in result.findings:
            print(f"       {finding}")
        sys.stdout.flush()

    await pool.run(due, told)


def machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} processors, {memory:.0f} GiB, {platform.system()} {platform.machine()}"


def revision() -> str:
    command = ["git", "-C", str(ROOT), "log", "-1", "--format=%cs %h"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()


def write_between(path: Path, marks: tuple[str, str], text: str) -> None:
    """Between the two marks of a page; what people wrote around them stays."""
    begin, end = marks
    before, rest = path.read_text().split(begin, 1)
    path.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{end}{rest.split(end, 1)[1]}")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__)
    parser.add_argument("--shard", default="1/1", metavar="I/N", help="the I-th of N parts")
    parser.add_argument("--resume", action="store_true", help="leave out what has a result already")
    parser.add_argument("--together", action="store_true", help="several cases on each item's way: a quick look")
    parser.add_argument("--lanes", type=int, default=4, help="how many items are under way at once")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name has this text in it")
    parser.add_argument("--scenario", nargs="+", default=ALL, choices=list(SCENARIOS))
    parser.add_argument("--list", action="store_true", help="print the writes of the reference run and end")
    parser.add_argument("--patch", default="", metavar="CODE", help="run this in each operator first: a seeded bug")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of results, one JSON object per line")
    parser.add_argument("--page", action="store_true", help=f"write the table into {PAGE.relative_to(ROOT)}")
    return parser.parse_args()


def main() -> int:
    asked = options()
    store = Store(asked.results, resume=asked.resume)
    began = time.monotonic()
    try:
        with servers() as made:
            reference = asyncio.run(enumerate_faults(made, asked, store))
    except binaries.CannotBuildError as error:
        say(f"error: {error}")
        return 1
    except asyncio.CancelledError:
        say("stopped: --resume goes on from here")
        return 130
    results = list(store.results.values())
    print(f"{summary(results)}; {time.monotonic() - began:.0f} s in all")
    if asked.page:
        write_between(PAGE, MARKS, page(results, Measured(machine(), revision(), reference)))
    return 1 if any(result.outcome in ("failed", "broken") for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
