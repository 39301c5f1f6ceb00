"""`scripts/soak`: items are carried while operators, API server and Gitea are killed; then everything is judged."""

import argparse
import asyncio
import contextlib
import secrets
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.cluster import binaries, crds
from tests.cluster.api import Kube
from tests.cluster.control_plane import ControlPlane
from tests.cluster.gitea import Gitea
from tests.cluster.processes import temporary_directory
from tests.faults.__main__ import ROOT, machine, revision, say, write_between
from tests.faults.project import accounts
from tests.soak.history import JSON
from tests.soak.scene import Servers
from tests.soak.soak import Outcome, soak
from tests.soak.table import page, rows, text

LOGS, PAGE = ROOT / "build" / "soak", ROOT / "docs" / "soak.md"
MARKS = ("<!-- results: scripts/soak -->", "<!-- end of results -->")


@contextlib.contextmanager
def servers(logs: Path, *, pace: float) -> Iterator[Servers]:
    """Their logs are kept beside the operators'."""
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    with temporary_directory("soak") as directory, contextlib.ExitStack() as stack:
        stack.callback(_keep_logs, directory, logs)
        plane = ControlPlane(directory / "cluster", apiserver_arguments=[JSON], say=say)
        stack.enter_context(plane)
        gitea = stack.enter_context(Gitea(directory / "gitea", say=say))
        with Kube(plane.kubeconfig) as kube:
            crds.install(kube)
        yield Servers(plane, gitea, accounts(gitea), logs, pace)


def _keep_logs(directory: Path, logs: Path) -> None:
    for file in [*directory.glob("*/*.log")]:
        shutil.copy(file, logs)


async def run(made: Servers, options: argparse.Namespace) -> Outcome:
    return await soak(made, seed=options.seed, minutes=options.minutes, say=say)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long things go wrong")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="of the schedule")
    parser.add_argument("--pace", type=float, default=1.0, help="longer pauses between faults, on a busy machine")
    parser.add_argument("--logs", type=Path, default=LOGS, help="emptied, and then everybody's logs")
    parser.add_argument("--page", action="store_true", help=f"write the figures into {PAGE.relative_to(ROOT)}")
    return parser.parse_args()


def main() -> int:
    asked = options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, also while servers are being started
    say(f"seed {asked.seed}, {asked.minutes:g} minutes; logs are in {asked.logs}")
    try:
        with servers(asked.logs, pace=asked.pace) as made:
            outcome = asyncio.run(run(made, asked))
    except binaries.CannotBuildError as error:
        say(f"error: {error}")
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("broken off; everything has been ended")
        return 130
    found = [("seed · minutes · pace", f"{asked.seed} · {asked.minutes:g} · {asked.pace:g}"), *rows(outcome)]
    print(text(found))
    for line in outcome.findings:
        print(f"  {line}")
    if asked.page:
        measured = [("measured on", machine()), ("at", revision())]
        write_between(PAGE, MARKS, page([*found, *measured]))
    if outcome.findings:
        print(f"{len(outcome.findings)} findings; logs, all states of all objects and the schedule: {asked.logs}")
    return 1 if outcome.findings else 0


if __name__ == "__main__":
    sys.exit(main())
