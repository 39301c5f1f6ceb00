"""The strangers of the benchmark of the ingress: unsigned requests at a rate, on connections that are kept.

A process of its own, which does as little as can be for a request: it takes from the same cores as what it measures.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import cast

from benchmarks.ingress_events import unsigned

CONNECTIONS = 64
TICK_SECONDS = 0.002
LAST_SECONDS = 1.0
"""For the last answers to come."""
TOO_LONG = 3.0
"""So many times its time, and a flood that is not taken in ends."""


@dataclass(frozen=True)
class Plan:
    ports: list[int]
    namespace: str
    count: int
    rate: float


@dataclass
class Found:
    """`codes` counts the answers by their code; the rest of the requests had none, or were never sent."""

    codes: dict[str, int] = field(default_factory=dict)
    duration: float = 0.0
    cpu: float = 0.0


class _Stranger(asyncio.Protocol):
    """One connection; takes its turn among the idle ones again when it was answered."""

    def __init__(self, idle: deque[_Stranger], codes: Counter[str]) -> None:
        self._idle, self._codes = idle, codes
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._idle.append(self)

    def send(self, request: bytes) -> None:
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """An answer to a stranger is so short that it comes in one piece."""
        self._codes[data[9:12].decode()] += 1
        self._idle.append(self)

    def close(self) -> None:
        self._transport.close()


async def flood(plan: Plan) -> Found:
    idle: deque[_Stranger] = deque()
    codes: Counter[str] = Counter()
    loop = asyncio.get_running_loop()
    for _, port in zip(range(CONNECTIONS), itertools.cycle(plan.ports), strict=False):
        await loop.create_connection(lambda: _Stranger(idle, codes), "127.0.0.1", port)
    everybody, requests = list(idle), itertools.cycle(unsigned(plan.namespace))
    began, cpu, sent = time.monotonic(), time.process_time(), 0
    while sent < plan.count and time.monotonic() - began < TOO_LONG * plan.count / plan.rate:
        due = min(plan.count, int((time.monotonic() - began) * plan.rate) + 1)
        while sent < due and idle:
            idle.popleft().send(next(requests))
            sent += 1
        await asyncio.sleep(TICK_SECONDS)
    duration, cpu = time.monotonic() - began, time.process_time() - cpu
    await asyncio.sleep(LAST_SECONDS)
    for one in everybody:
        one.close()
    return Found(dict(codes), duration, cpu)


def main() -> None:
    plan = Plan(**json.loads(sys.argv[1]))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    sys.stdout.write(json.dumps(asdict(asyncio.run(flood(plan)))) + "\n")


if __name__ == "__main__":
    main()
