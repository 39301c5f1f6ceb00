"""What may befall a call to a fake of the outside world, and the end of the process that made it."""

import asyncio
import contextlib
from collections.abc import Callable
from enum import StrEnum

from conveyor.web.errors import Ambiguous, OutsideError, Unavailable
from tests.fakes.gates import Fate, Gate


class CallFault(StrEnum):
    UNAVAILABLE = "unavailable"
    """Provably nothing happened."""
    REQUEST_LOST = "request lost"
    """No answer, and nothing was applied."""
    ANSWER_LOST = "answer lost"
    """No answer, though it was applied."""


class Calls:
    """The calls of one fake: others may come in between, each may go wrong, each effect is told."""

    def __init__(self, on_effect: Callable[[], None] | None = None) -> None:
        self.on_effect = on_effect
        self.gate = Gate()
        self.effects: list[tuple[str, ...]] = []
        """The ledger: what was applied, in order."""
        self.reads = 0
        self.down = False
        """Nobody answers."""
        self._faults: list[tuple[str, CallFault]] = []

    def fail_next(self, verb: str, fault: CallFault) -> None:
        self._faults.append((verb, fault))

    def clear_faults(self) -> None:
        self._faults.clear()

    async def read(self) -> None:
        await asyncio.sleep(0)
        self.reads += 1
        fate = await self.gate.arrive("read", "forge")
        if self.down or fate != Fate.LANDS:
            raise Unavailable("no connection")

    async def write(self, verb: str, act: Callable[[], tuple[str, ...]]) -> None:
        """`act` applies it and says what for the ledger; it raises where the other side refuses."""
        await asyncio.sleep(0)
        fault = self._take(verb)
        if fault == CallFault.UNAVAILABLE or self.down:
            raise Unavailable(f"{verb}: no connection")
        if fault == CallFault.REQUEST_LOST:
            raise Ambiguous(f"{verb}: no answer")
        fate = await self.gate.arrive(verb, "forge", lambda: self._land_late(verb, act))
        if fate in (Fate.LOST, Fate.LATE):
            raise Ambiguous(f"{verb}: no answer")
        self._land(verb, act)
        if fault == CallFault.ANSWER_LOST or fate == Fate.ANSWER_LOST:
            raise Ambiguous(f"{verb}: no answer")

    def _land(self, verb: str, act: Callable[[], tuple[str, ...]]) -> None:
        self.effects.append((verb, *act()))
        if self.on_effect is not None:
            self.on_effect()

    def _land_late(self, verb: str, act: Callable[[], tuple[str, ...]]) -> None:
        """Nobody hears what it is answered."""
        with contextlib.suppress(OutsideError):
            self._land(verb, act)

    def _take(self, verb: str) -> CallFault | None:
        for index, (name, fault) in enumerate(self._faults):
            if name == verb:
                del self._faults[index]
                return fault
        return None
