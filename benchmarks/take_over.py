"""`scripts/bench take-over`: how soon another operator goes on where the leader was killed, or ended in order.

Killed: the demo's tickets, with two operators, of which the leader is killed in each merge; the time is that to the
item's next step. Ended: one operator after the other is told to end; the time is that to the first step of a new item.
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from benchmarks import machine, store
from benchmarks.report import Report
from examples.demo.runner import run
from examples.demo.world import World
from tests.cluster.api import Kube
from tests.cluster.control_plane import ControlPlane
from tests.cluster.crds import install
from tests.cluster.processes import temporary_directory
from tests.e2e.pair import Pair as Demo
from tests.integration.engine_process import Store, until
from tests.integration.leader_pair import leads, started

DEMO_SECONDS = 420.0
HAND_OVERS = 10
NAMESPACE = "shop"


def measure(report: Report, *, runs: int) -> None:
    """Each run: one demo, and ten hand-overs. RuntimeError where a demo did not end as it should."""
    for number in range(runs):
        store.say(f"run {number + 1} of {runs}, load {machine.load()[0]}")
        for seconds in asyncio.run(_killed_in_merges()):
            report.add("leader killed in mid-merge to the next step", seconds, "s")
        with temporary_directory("bench") as directory:
            for seconds in _handed_over(directory):
                report.add("planned hand-over to the next step", seconds, "s")


async def _killed_in_merges() -> list[float]:
    async with World(with_ingress=True, say=store.say) as world:
        pair = Demo(world)
        async with pair.both():
            finished = await run(world, seconds=DEMO_SECONDS, mishap=False, beside=pair.kill_in_merges())
    if finished is None or not finished.passed:
        raise RuntimeError("the demo did not end as it should; the figures are worth nothing")
    return pair.seconds


def _handed_over(directory: Path) -> list[float]:
    found = []
    with ControlPlane(directory, say=store.say) as plane, Kube(plane.kubeconfig) as kube:
        install(kube)
        kube.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        with started(plane.kubeconfig, Store(kube, NAMESPACE), directory) as pair:
            for number in range(HAND_OVERS):
                pair.leader.send(signal.SIGTERM)
                found.append(pair.seconds_to_the_next_step(f"next-{number}"))
                pair.leader.ended(within=30)
                pair.leader.restart()
                pair.leader, pair.other = pair.other, pair.leader
                until(lambda: leads(pair.leader) and pair.other.is_ready())
    return found
