"""The metered operator for as long as a benchmark wants it: it answers, line by line, what it has done.

Standard input has a word a line, each answered by a line of JSON; its end is the operator's. Forge, tracker and Jobs
are exchanged as in `operator_process`.

| word | answer |
|---|---|
| `state` | clocks and counts, those since the last `state` |
| `five-minutes` | what comes every five minutes comes now: the resync, and a check of each Repository |
| `profile NAME` | from now on a profile is taken, where one is wanted at all |
| `profiled` | that is its end |
"""

from __future__ import annotations

import asyncio
import contextlib
import cProfile
import gc
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks import machine, population
from benchmarks.calls import Ledger, listening
from benchmarks.meter import Meter
from benchmarks.operator_process import PROFILES, STOP_SECONDS, exchanged
from benchmarks.outside import Outside
from benchmarks.start import Start
from conveyor.app import garbage, logs, operator
from conveyor.app.metrics import Metrics
from conveyor.app.settings import load
from conveyor.cluster.connection import from_kubeconfig
from conveyor.cluster.protocol import Key, Kind
from conveyor.engine import repositories
from conveyor.engine.lag import watch_lag
from conveyor.engine.repositories import RepositoryReconciler
from conveyor.engine.resync import Resync

WHOLE = 2
"""The oldest generation: a collection of it looks at everything."""


@dataclass(frozen=True)
class Plan:
    namespace: str
    items: int
    """How many there are: when all were looked at, the first pass over everything has ended."""
    starting: tuple[int, int] = (0, 0)
    """Numbers, from and to, of the items whose ticket is in a starting state and whose branch is not there."""
    mood: str = "green"
    """What the forge says, one of `population.MOODS`."""
    lag_interval: float = 0.0
    """Seconds between two looks at the event loop; 0: the operator's own watch alone, which costs nothing more."""


class AgingRepositories(RepositoryReconciler):
    def age(self) -> list[Key]:
        """What was checked was checked long ago. Gives whose checks those are."""
        while_fresh = timedelta(seconds=repositories.CHECK_SECONDS)
        self._checked = {key: replace(kept, time=kept.time - while_fresh) for key, kept in self._checked.items()}
        return list(self._checked)


@dataclass
class Standing:
    plan: Plan
    meter: Meter
    ledger: Ledger = field(default_factory=Ledger)
    late: list[float] = field(default_factory=list)
    collections: list[float] = field(default_factory=list)
    """Seconds that each whole garbage collection took, the last of which may go on."""
    resync: Resync | None = None
    running: operator.Operator | None = None
    profile: tuple[str, cProfile.Profile] | None = None

    def collected(self, phase: str, about: dict[str, int]) -> None:
        """As `gc.callbacks` has it."""
        if about["generation"] < WHOLE:
            return
        if phase == "start":
            self.collections.append(-time.monotonic())
        elif self.collections:
            self.collections[-1] += time.monotonic()

    def answer(self, word: str, argument: str) -> dict[str, Any]:
        match word:
            case "state":
                return self._state()
            case "five-minutes":
                return self._five_minutes()
            case "profile" if PROFILES in os.environ:
                self.profile = (argument, cProfile.Profile())
                self.profile[1].enable()
            case "profiled" if self.profile is not None:
                name, profile = self.profile
                profile.disable()
                profile.dump_stats(Path(os.environ[PROFILES]) / f"{name}.prof")
        return {}

    def _state(self) -> dict[str, Any]:
        calls = Counter((call.system, call.method, call.route) for call in self.ledger.calls)
        state = {
            "time": time.monotonic(),
            "cpu": time.process_time(),
            "servers_cpu": {name: machine.cpu_seconds(pid) for name, pid in self.meter.servers.items()},
            "busy": machine.busy_seconds(),
            "memory": machine.memory_mib()[0],
            "all_decided": self.meter.end is not None,
            "status_writes": self.meter.writes,
            "calls": [[*names, count] for names, count in sorted(calls.items())],
            "passes": [[*names, count] for names, count in sorted(self.ledger.passes_of.items())],
            "late": self.late.copy(),
            "collections": self.collections.copy(),
        }
        self.meter.writes = 0
        for told in (
            self.ledger.calls,
            self.ledger.passes_of,
            self.ledger.works,
            self.late,
            self.collections,
            self.meter.patches,
        ):
            told.clear()
        return state

    def _five_minutes(self) -> dict[str, Any]:
        if self.running is None or self.resync is None:
            raise RuntimeError("there is no operator yet")
        self.resync.ask()
        checked = self.running._repositories  # noqa: SLF001 a benchmark looks inside
        for key in checked.age() if isinstance(checked, AgingRepositories) else ():
            self.running._queue.add((Kind.REPOSITORY, key))  # noqa: SLF001
        return {}

    @contextlib.contextmanager
    def parts(self, outside: Outside) -> Iterator[None]:
        own = Metrics.loop_lag

        def lagged(metrics: Metrics, seconds: float) -> None:
            own(metrics, seconds)
            self.late.append(seconds)

        def resync(*parts: Any, **more: Any) -> Resync:  # noqa: ANN401 as it is made
            self.resync = Resync(*parts, **more)
            return self.resync

        with (
            exchanged(self.meter, Start(population.KEPT_BACK["none"]), outside),
            listening(self.ledger),
            mock.patch.object(operator, "Resync", resync),
            mock.patch.object(operator, "RepositoryReconciler", AgingRepositories),
            mock.patch.object(Metrics, "loop_lag", own if self.plan.lag_interval else lagged),
        ):
            yield


async def stand(plan: Plan, servers: dict[str, int]) -> None:
    settings, stop = load(os.environ), asyncio.Event()
    if settings.kubeconfig is None:
        raise ValueError("CONVEYOR_KUBECONFIG has to name the cluster")
    standing = Standing(plan, Meter(servers, lambda: None, decisions_expected=plan.items))
    gc.callbacks.append(standing.collected)
    with standing.parts(_outside(plan)):
        standing.running = operator.Operator(settings, await from_kubeconfig(settings.kubeconfig))
        running = asyncio.create_task(standing.running.run(stop))
        listening_ = asyncio.create_task(_listen(standing))
        lag = asyncio.create_task(_watch(standing))
        await asyncio.wait({running, listening_}, return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        lag.cancel()
        listening_.cancel()
        await asyncio.wait({running}, timeout=STOP_SECONDS)
    running.result()


def _outside(plan: Plan) -> Outside:
    numbers = range(*plan.starting)
    return Outside(
        plan.namespace,
        mood=population.MOODS[plan.mood],
        heads=dict.fromkeys(numbers),
        ticket_states=dict.fromkeys(numbers, "state-to-analyse"),
    )


async def _watch(standing: Standing) -> None:
    if standing.plan.lag_interval:
        await watch_lag(standing.late.append, interval=standing.plan.lag_interval)


async def _listen(standing: Standing) -> None:
    """Until standard input ends."""
    words = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(words), sys.stdin)
    while line := (await words.readline()).decode().split():
        sys.stdout.write(json.dumps(standing.answer(line[0], " ".join(line[1:]))) + "\n")
        sys.stdout.flush()


def main() -> None:
    """Arguments: the plan and the servers' pids, both as JSON."""
    logs.configure()
    garbage.configure()
    plan, servers = json.loads(sys.argv[1]), json.loads(sys.argv[2])
    asyncio.run(stand(Plan(**plan | {"starting": tuple(plan.get("starting", (0, 0)))}), servers))


if __name__ == "__main__":
    main()
