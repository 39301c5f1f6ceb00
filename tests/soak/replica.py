"""One of the two operators: its process, its way to the API server, and whatever is done to it."""

import asyncio
import contextlib
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster import kubeconfig as kubeconfigs
from tests.faults.objects import write_kubeconfig
from tests.faults.proxy import Proxy, Upstream
from tests.faults.stale import Watches
from tests.integration.engine_process import OperatorProcess
from tests.soak.dice import Dice

SHORTER = """
import conveyor.cluster.connection as c; c.READ_SECONDS, c.WRITE_SECONDS = 10.0, 10.0
import conveyor.web.client as w; w.IDLE_SECONDS = 10.0
"""
"""Nobody waits twenty seconds for each answer that never comes."""
SETTINGS = {"RECONCILE_INTERVAL_SECONDS": 4, "GRACE_DEFAULT_SECONDS": 3, "AGENT_TOOLS_IMAGE": "conveyor:test"}
"""Looked at again soon enough that a lost webhook costs seconds, and late enough that it costs something."""
RESYNC_SECONDS = 15.0
END_SECONDS = 30.0
"""Within which it must have ended after SIGTERM."""
UP_SECONDS = 60.0
KUBELET_SECONDS = 0.5
"""After which a process that ended is started anew."""
ENDS = {0: "in order", 1: "with a reason", -signal.SIGTERM: "before it listened to signals"}


@dataclass(frozen=True)
class Place:
    """Where an operator runs."""

    kubeconfig: Path
    namespace: str
    directory: Path


@dataclass
class Replica:
    """Made by `replica`."""

    process: OperatorProcess
    desk: Dice
    watches: Watches
    busy: bool = False
    """Something is being done to it, which starts it again afterwards."""
    stopped: bool = False
    ended: Counter[str] = field(default_factory=Counter)
    """Ends that nobody asked for, by why."""
    findings: list[str] = field(default_factory=list)

    def crash(self) -> None:
        """SIGKILL, and a new one at once."""
        if not self.busy:
            self.process.restart()

    async def until_up(self) -> None:
        """It has listed what there is; or has been given time enough for that."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(UP_SECONDS):
                while not await asyncio.to_thread(self.process.is_ready):  # noqa: ASYNC110 - tells nobody
                    await asyncio.sleep(KUBELET_SECONDS)

    async def kill(self, pause: float) -> None:
        async with self._away():
            self.process.kill()
            await asyncio.sleep(pause)

    async def terminate(self, pause: float) -> float:
        """The seconds until it had ended."""
        async with self._away():
            began = time.monotonic()
            self.process.send(signal.SIGTERM)
            while self.process.is_running() and time.monotonic() - began < END_SECONDS:  # noqa: ASYNC110 - tells nobody
                await asyncio.sleep(0.05)
            took = time.monotonic() - began
            if self.process.is_running():
                self.findings.append(f"half: an operator did not end within {END_SECONDS:.0f} s of SIGTERM")
            await asyncio.sleep(pause)
            return took

    async def stand_still(self, seconds: float) -> None:
        self.busy = self.stopped = True
        self.process.send(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            self.process.send(signal.SIGCONT)
            self.busy = self.stopped = False

    @contextlib.asynccontextmanager
    async def _away(self) -> AsyncIterator[None]:
        self.busy = True
        try:
            yield
            self.process.restart()
        finally:
            self.busy = False

    async def keep_running(self) -> None:
        """As a kubelet does: a process that has ended by itself is started anew."""
        while True:
            await asyncio.sleep(KUBELET_SECONDS)
            if self.busy or self.process.is_running():
                continue
            code = self.process.ended(within=1)
            why = ENDS.get(code, f"with {code}")
            self.ended[why] += 1
            if code not in ENDS:
                self.findings.append(f"error: an operator ended by itself with {code}")
            self.process.restart()


@contextlib.asynccontextmanager
async def replica(name: str, place: Place, dice: random.Random, *, rate: float) -> AsyncIterator[Replica]:
    connection = kubeconfigs.read(place.kubeconfig)
    watches = Watches()
    desk = Dice(lambda: made.crash(), dice, rate=rate)  # noqa: PLW0108 - it is made below
    upstream = Upstream(connection.server, connection.tls, connection.token or "")
    async with Proxy(upstream, desk, watches) as api:
        process = OperatorProcess(
            write_kubeconfig(place.directory / f"{name}.kubeconfig", api.url),
            place.namespace,
            place.directory / f"{name}.log",
            resync=RESYNC_SECONDS,
            before=SHORTER,
            POD_NAMESPACE=place.namespace,
            **SETTINGS,
        )
        made = Replica(process, desk, watches)
        with process:
            keeping = asyncio.create_task(made.keep_running())
            try:
                yield made
            finally:
                keeping.cancel()
                await asyncio.gather(keeping, return_exceptions=True)
