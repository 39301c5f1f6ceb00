"""The Probes protocol in memory: a product that is well until a test says otherwise, and when it was asked."""

import asyncio
from datetime import datetime

from conveyor.api.repository import Probe
from conveyor.pipeline.facts import ProbeFact
from conveyor.probes.protocol import Probes
from tests.fakes.clock import Clock


class MemoryProbes(Probes):
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.trouble = ""
        """What is wrong with the product; empty while it is well."""
        self.hangs = False
        """Nobody answers, ever."""
        self.asked: list[datetime] = []

    async def ask(self, probe: Probe) -> ProbeFact:
        await asyncio.sleep(0)
        if self.hangs:
            await asyncio.get_running_loop().create_future()
        self.asked.append(self._clock.now())
        return ProbeFact(name=probe.url or "query", healthy=not self.trouble, reason=self.trouble)
