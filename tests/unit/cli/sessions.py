"""Runs one command on an API in memory, at a given time, on a given terminal."""

from collections.abc import Callable
from dataclasses import dataclass, field

from conveyor.cli.asking import Patience
from conveyor.cli.commands import Result, Session, run
from conveyor.cli.options import parse
from conveyor.cli.printing import Terminal
from tests.unit.cli.memory_api import MemoryApi
from tests.unit.cli.objects import NAMESPACE, NOW


@dataclass
class Time:
    """A monotonic clock that only sleeping moves; `then` is what happens meanwhile."""

    seconds: float = 0
    then: Callable[[], None] = field(default=lambda: None)

    def now(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.then()


async def command(api: MemoryApi, line: str, *, on: Terminal | None = None, time: Time | None = None) -> Result:
    options = parse(line.split())
    clock = time or Time()
    session = Session(
        api,
        options,
        namespace="" if options.all_namespaces else options.namespace or NAMESPACE,
        now=lambda: NOW,
        patience=Patience(options.wait, clock.now, clock.sleep),
        terminal=on or Terminal(),
    )
    return await run(session)
