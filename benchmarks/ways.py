"""The ways in which `transitions` has items move, and the objects of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks import population
from benchmarks.population import Objects
from conveyor.api.stages import Stage

OURS, RAW = "ours", "raw"
"""Two namespaces in which the same items move."""


@dataclass(frozen=True)
class Way:
    """Items start in a stage whose role has passed and go on to `done`, in so many transitions each."""

    start: Stage
    transitions: int
    moving: int = 1000
    resting: int = 0
    """How many more are in the store, and looked at, and stay where they are."""
    events: bool = False

    async def objects(self) -> list[Objects]:
        if not self.resting:
            return [await population.at_work(side, items=self.moving, stage=self.start) for side in (OURS, RAW)]
        ours = await population.at_rest(OURS, items=self.moving + self.resting, movers=self.start)
        return [ours, population.only(ours, population.is_mover, namespace=RAW)]

    def plan(self) -> dict[str, Any]:
        """What the operator's process is to know of it."""
        mixed = {"kept_back": "movers", "mood": "at rest"}
        whole = mixed if self.resting else {"kept_back": "all"}
        return whole | {"items": self.moving + self.resting, "transitions": self.moving * self.transitions}


WAYS: Mapping[str, Way] = {
    "path": Way(Stage.ANALYSIS, 6),
    "moves": Way(Stage.TESTING, 2),
    "moves-events": Way(Stage.TESTING, 2, events=True),
    "moves-large": Way(Stage.TESTING, 2, resting=14_000),
}
"""path: all stages with their runs; moves: the two last ones, which need no run, so that each move is one write."""
