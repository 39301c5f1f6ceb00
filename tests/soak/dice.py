"""A desk where now and then one write goes wrong, as the dice fall; what is held back arrives within a minute."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable

import aiohttp

from tests.faults.calls import RENEW, Call, Names, counts
from tests.faults.desk import Desk, Send, Write
from tests.faults.faults import LATE, Fault

LATEST_SECONDS = 45.0
FAULTS = [fault for fault in Fault if fault not in LATE or fault is Fault.LATE]
OPEN_PULL_REQUEST = "forge: POST pulls"
"""Never late: Gitea opens a second pull request of a branch that is merged by then (tests/faults/limits.py)."""


class Dice(Desk):
    """`rate` is the part of writes that go wrong; set to 0 they no longer do. `happened` counts them."""

    def __init__(self, crash: Callable[[], None], dice: random.Random, *, rate: float) -> None:
        super().__init__(crash)
        self.rate, self.happened, self.reads, self.count = rate, Counter[str](), 0, 0
        self._dice, self._kinds = dice, Names()
        self._late: set[asyncio.Task[None]] = set()

    def saw(self, call: Call) -> None:
        super().saw(call)
        self.reads += not counts(call)

    def next(self, call: Call) -> Write:
        name = self._kinds.of(call)
        self.count += 1
        write = Write(name, 1)
        if not name.endswith(RENEW) and self._dice.random() < self.rate:
            fault = self._dice.choice(FAULTS)
            if fault is not Fault.LATE or name != OPEN_PULL_REQUEST:
                write.fault = fault
                self.happened[fault.value] += 1
        return write

    def hold(self, write: Write, send: Send) -> None:
        task = asyncio.create_task(self._arrive_late(send, self._dice.uniform(0.5, LATEST_SECONDS)))
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _arrive_late(self, send: Send, seconds: float) -> None:
        await asyncio.sleep(seconds)
        with contextlib.suppress(aiohttp.ClientError, ConnectionError):  # the server is away: then it is lost
            await send()

    async def before(self, write: Write) -> None:
        pass

    async def after(self, write: Write) -> None:
        pass

    async def at_the_end(self) -> bool:
        """What is still held back arrives in its own time; gives whether there was any."""
        late = list(self._late)
        await asyncio.gather(*late, return_exceptions=True)
        return bool(late)
