"""A metered operator that stands until its benchmark is over, and what it says of itself in between."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.operator_run import OperatorFailedError, environment
from tests.cluster.control_plane import ControlPlane
from tests.cluster.processes import free_ports, guard_group, kill_group, release_group

FIRST_PASS_SECONDS = 600.0
QUIET_SECONDS = 5.0
STOP_SECONDS = 90.0
INDICATION = "indication"
CLOCK = frozenset({"leases/conveyor-operator", "leases/conveyor-operator-heartbeat"})
"""What is written by the clock, whatever there is to do: the leader's Lease and the heartbeat."""
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})

Calls = Counter[tuple[str, str, str]]
"""By system, method and route."""


@dataclass(frozen=True)
class State:
    """At one moment; counts are those since the state before."""

    time: float
    cpu: float
    servers_cpu: Mapping[str, float]
    busy: float
    memory: float
    all_decided: bool
    status_writes: int
    calls: Calls
    passes: Counter[tuple[str, str]]
    """By actor and name."""
    late: Sequence[float]
    """By how many seconds the event loop woke late, each time it was looked at."""
    collections: Sequence[float]
    """Seconds that each whole garbage collection took."""

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> State:
        calls = Counter({(system, method, route): count for system, method, route, count in found["calls"]})
        passes = Counter({(actor, name): count for actor, name, count in found["passes"]})
        return cls(**dict(found) | {"calls": calls, "passes": passes})

    def writes(self) -> Calls:
        """Of the API server, but for what goes by the clock."""
        return Counter(
            {(system, method, route): n for (system, method, route), n in self.calls.items() if _writes(method, route)}
        )

    def passes_of(self, actor: str) -> int:
        return sum(count for (who, _), count in self.passes.items() if who == actor)


def _writes(method: str, route: str) -> bool:
    return method in WRITES and route not in CLOCK


def percentile(values: Sequence[float], share: float) -> float:
    """The value that so many percent of them do not exceed; 0 where there is none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share / 100))] if ordered else 0.0


class Standing:
    def __init__(self, process: subprocess.Popen[str], address: str, log: Path) -> None:
        self._process, self.address, self._log = process, address, log

    def ask(self, *words: str) -> dict[str, Any]:
        """OperatorFailedError where it has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(" ".join(words) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            tail = "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])
            raise OperatorFailedError(f"the operator has ended:\n{tail}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def state(self) -> State:
        return State.read(self.ask("state"))

    def until_at_rest(self) -> State:
        """All items were looked at, and since then no ticket had to be shown anything for a while."""
        end = time.monotonic() + FIRST_PASS_SECONDS
        while time.monotonic() < end:
            time.sleep(QUIET_SECONDS)
            state = self.state()
            if state.all_decided and not state.passes_of(INDICATION) and not state.status_writes:
                return state
        raise TimeoutError(f"the operator came to no rest in {FIRST_PASS_SECONDS:.0f} s")

    def window(self, seconds: float, *, profile: str) -> tuple[State, State]:
        """What it does in that time; of the second state the counts, of both the clocks."""
        self.ask("profile", profile)
        before = self.state()
        time.sleep(seconds)
        after = self.state()
        self.ask("profiled")
        return before, after


@contextlib.contextmanager
def standing(plane: ControlPlane, namespace: str, *, items: int, **plan: Any) -> Iterator[Standing]:  # noqa: ANN401 Plan's
    """The operator at work on that many items of a namespace, until the block ends."""
    address = f"127.0.0.1:{free_ports(1)[0]}"
    log = plane.directory / "operator.log"
    words = [json.dumps(plan | {"namespace": namespace, "items": items}), json.dumps(machine.servers(plane.directory))]
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.standing_process", *words],
            env=environment(plane, namespace, events=True, address=address),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            text=True,
        )
    guard_group(process.pid)
    try:
        yield Standing(process, address, log)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(STOP_SECONDS)
    finally:
        kill_group(process.pid)
        process.wait(10)
        release_group(process.pid)
