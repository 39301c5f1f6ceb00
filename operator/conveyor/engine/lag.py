"""How long the event loop keeps others waiting: renewals and probes come late by this much."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import NoReturn


async def watch_lag(
    report: Callable[[float], None],
    *,
    interval: float = 0.1,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> NoReturn:
    """Report, each `interval` seconds until cancelled, by how many seconds the wake-up came late."""
    while True:
        began = clock()
        await sleep(interval)
        report(max(0.0, clock() - began - interval))
