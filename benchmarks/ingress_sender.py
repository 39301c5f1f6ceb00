"""The senders of the benchmark of the ingress, in a process of their own, so that what they cost is told from it.

It reads its plan from its arguments, says when it has made ready what it is to send, begins when it is told to, and
prints one line of JSON. Gitea keeps its connections; Plane makes a new one for each delivery. Neither sends again what
was not answered within the time of a run.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass, field

from benchmarks import machine
from benchmarks.ingress_events import STREAMS, request
from benchmarks.ingress_wire import Gone, Service

ANSWER_SECONDS = 5.0
"""After which Gitea gives up."""
TICK_SECONDS = 0.001
MAX_OPEN = 128
"""Deliveries under way at once; the next waits for its turn, and its time runs."""
NOT_ANSWERED = 0


@dataclass(frozen=True)
class Plan:
    """Deliveries of a stream at a rate, or `in_flight` at once as fast as it goes where the rate is 0."""

    ports: list[int]
    namespace: str
    count: int
    stream: str = "mixed"
    first: int = 0
    rate: float = 0.0
    in_flight: int = 8


@dataclass
class Sent:
    """What became of the deliveries, by their place in the stream."""

    codes: list[int]
    """0: not answered."""
    words: list[str]
    """What the answer says: accepted, duplicate, ignored, or the error."""
    seconds: list[float]
    """From when it was due, so that one that had to wait for its turn has waited."""
    began: float = 0.0
    """Monotonic."""
    duration: float = 0.0
    cpu: float = 0.0
    """Of the sender, in seconds; what it made ready before is not in it."""
    busy: float = 0.0
    """Of the whole machine."""
    refused: int = 0
    """Connections that a replica which was not there has refused."""
    failed: dict[str, int] = field(default_factory=dict)
    """Deliveries without an answer by what went wrong."""


@dataclass(frozen=True)
class _Ready:
    request: bytes
    keep: bool
    after: int | None = None
    """The place of the delivery that this one repeats: nobody repeats what is still under way."""


def _made_ready(plan: Plan) -> Sequence[_Ready]:
    events = [*STREAMS[plan.stream](plan.first, plan.count)]
    places = {event.serial: place for place, event in enumerate(events) if not event.again}
    found = ((event.delivery(plan.namespace), places.get(event.serial) if event.again else None) for event in events)
    return [_Ready(request(delivery), "/gitea/" in delivery.path, after) for delivery, after in found]


class _Sender:
    def __init__(self, plan: Plan, ready: Sequence[_Ready]) -> None:
        self._plan, self._ready = plan, ready
        self._service = Service(plan.ports)
        self._turns = asyncio.Semaphore(MAX_OPEN)
        count = len(ready)
        self.sent = Sent([NOT_ANSWERED] * count, [""] * count, [0.0] * count)
        self._over = {one.after: asyncio.Event() for one in ready if one.after is not None}

    async def run(self) -> Sent:
        began, cpu, busy = time.monotonic(), time.process_time(), machine.busy_seconds()
        await (self._at_rate(began) if self._plan.rate else self._in_turn())
        self.sent.began, self.sent.duration = began, time.monotonic() - began
        self.sent.cpu, self.sent.busy = time.process_time() - cpu, machine.busy_seconds() - busy
        self.sent.refused = self._service.refused
        self._service.close()
        return self.sent

    async def _in_turn(self) -> None:
        left = iter(range(len(self._ready)))

        async def work() -> None:
            for place in left:
                await self._deliver(place, time.monotonic())

        async with asyncio.TaskGroup() as group:
            for _ in range(self._plan.in_flight):
                group.create_task(work())

    async def _at_rate(self, began: float) -> None:
        async with asyncio.TaskGroup() as group:
            async for place in self._due(began):
                group.create_task(self._deliver(place, began + place / self._plan.rate))

    async def _due(self, began: float) -> AsyncIterator[int]:
        """The places in their order, each when its time has come."""
        place = 0
        while place < len(self._ready):
            due = min(len(self._ready), int((time.monotonic() - began) * self._plan.rate) + 1)
            for number in range(place, due):
                yield number
            place = max(place, due)
            await asyncio.sleep(max(TICK_SECONDS, began + place / self._plan.rate - time.monotonic()))

    async def _deliver(self, place: int, due: float) -> None:
        one = self._ready[place]
        if one.after is not None:
            await self._over[one.after].wait()
            due = max(due, time.monotonic())
        try:
            async with self._turns, asyncio.timeout(ANSWER_SECONDS):
                code, body = await self._service.send(one.request, keep=one.keep)
        except (Gone, ConnectionError, TimeoutError) as error:
            name = type(error).__name__
            self.sent.failed[name] = self.sent.failed.get(name, 0) + 1
            return
        finally:
            if place in self._over:
                self._over[place].set()
        self.sent.codes[place], self.sent.seconds[place] = code, time.monotonic() - due
        self.sent.words[place] = _word(body)


def _word(body: bytes) -> str:
    said = json.loads(body)
    return str(said.get("status") or said.get("error"))


def main() -> None:
    plan = Plan(**json.loads(sys.argv[1]))
    ready = _made_ready(plan)
    gc.collect()
    gc.freeze()  # what is made ready stays: no collection looks at it again while times are taken
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    sent = asyncio.run(_Sender(plan, ready).run())
    sys.stdout.write(json.dumps(asdict(sent)) + "\n")


if __name__ == "__main__":
    main()
