"""An operator that leads and one that stands by, as processes on a real API server."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.integration.engine_process import OperatorProcess, Store, until

LEADS = ("conveyor_leader", "1.0")


class Pair:
    """An operator that leads, and one that stands by."""

    def __init__(self, leader: OperatorProcess, other: OperatorProcess, store: Store) -> None:
        self.leader, self.other, self.store = leader, other, store

    def seconds_to_the_next_step(self, name: str = "next") -> float:
        """From now until somebody has looked at a new item of this name."""
        began = time.monotonic()
        self.store.item(name)
        until(lambda: self.store.stage(name) == "created", within=60)
        return time.monotonic() - began


def leads(operator: OperatorProcess) -> bool:
    name, value = LEADS
    return operator.metric(name) == value


@contextmanager
def started(kubeconfig: Path, store: Store, logs: Path, **settings: object) -> Iterator[Pair]:
    """Starts both, the leader with settings of its own, each once the other is ready."""
    with ExitStack() as stack:

        def operator(name: str, **settings: object) -> OperatorProcess:
            process = OperatorProcess(kubeconfig, store.namespace, logs / name, **settings)  # type: ignore[arg-type]
            return stack.enter_context(process)

        leader = operator("leader.log", **settings)
        until(lambda: leads(leader))
        other = operator("other.log")
        until(other.is_ready)
        store.item("before")
        until(lambda: store.stage("before") == "created")
        until(lambda: '"name":"before"' in other.answer("/queue")[1])
        yield Pair(leader, other, store)
