"""The desk all requests of one operator go past: it counts the writes and says which of them goes wrong."""

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from tests.faults.calls import RENEW, Call, Names, offence
from tests.faults.faults import EVERY, Fault, Target


@dataclass
class Write:
    """One write as it went past; `answers` are the statuses that the server gave, none where it never heard of it."""

    name: str
    nth: int
    fault: Fault | None = None
    answers: list[int] = field(default_factory=list)
    time: float = field(default_factory=time.monotonic)

    def __str__(self) -> str:
        return self.name if self.nth == 1 else f"{self.name} ({self.nth})"


Send = Callable[[], Awaitable[object]]


class Desk:
    """One for both proxies of an operator, so that the order of its writes is one order.

    `crash` kills the operator and starts a new one.
    """

    def __init__(self, crash: Callable[[], None]) -> None:
        self.crash = crash
        self.writes: list[Write] = []
        self.offences: list[str] = []
        self._names, self._counted = Names(), Counter[str]()
        self._plan: Mapping[Target, Fault] = {}
        self._held: list[tuple[Write, Send]] = []

    def begin(self, plan: Mapping[Target, Fault]) -> None:
        """A new item: what went past before is forgotten, requests held back included."""
        self.writes, self.offences, self._held = [], [], []
        self._counted.clear()
        self._plan = plan

    def fired(self, target: Target) -> bool:
        """Whether its fault has happened."""
        mine = (write for write in self.writes if target.every or (write.name, write.nth) == (target.write, target.nth))
        return any(write.fault is not None for write in mine)

    @property
    def faults(self) -> int:
        """How many writes of this item have gone wrong."""
        return sum(write.fault is not None for write in self.writes)

    def saw(self, call: Call) -> None:
        found = offence(call)
        if found:
            self.offences.append(found)

    def next(self, call: Call) -> Write:
        """Counted before anything happens to it: the operator that starts anew after a crash meets the next number.

        A renewal is let pass without being counted.
        """
        name = self._names.of(call)
        if name.endswith(RENEW):
            return Write(name, 0)
        self._counted[name] += 1
        write = Write(name, self._counted[name])
        write.fault = self._plan.get(Target(name, write.nth)) or (self._plan.get(EVERY) if write.nth == 1 else None)
        self.writes.append(write)
        return write

    # --- requests that arrive late

    def hold(self, write: Write, send: Send) -> None:
        self._held.append((write, send))

    async def before(self, write: Write) -> None:
        """Whatever was waiting for this very moment arrives now."""
        due = [held for held in self._held if held[0].fault is Fault.LATE_IN_THE_RACE and held[0].name == write.name]
        await self._arrive(due)

    async def after(self, write: Write) -> None:
        await self._arrive([held for held in self._held if held[0].fault is Fault.LATE and held[0] is not write])

    async def at_the_end(self) -> bool:
        """The rest arrives; gives whether there was any."""
        due = list(self._held)
        await self._arrive(due)
        return bool(due)

    async def _arrive(self, due: list[tuple[Write, Send]]) -> None:
        for held in due:
            self._held.remove(held)
        for _, send in due:
            await send()
