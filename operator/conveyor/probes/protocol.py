"""What the watch after a deploy needs of the outside."""

from __future__ import annotations

from typing import Protocol

from conveyor.api.repository import Probe
from conveyor.pipeline.facts import ProbeFact


class Probes(Protocol):
    async def ask(self, probe: Probe) -> ProbeFact:
        """Ask once, within a bounded time. It raises nothing: what cannot be asked is not healthy."""
