"""The operator as users run it, in a process of its own that puts down every call and how late its loop is.

Nothing is exchanged. At SIGTERM it winds up and writes what it knows as JSON to the file that its argument names.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import signal
import sys
import time
from pathlib import Path

from benchmarks.calls import Ledger, listening
from conveyor.app import garbage, logs
from conveyor.app.operator import Operator
from conveyor.app.settings import load
from conveyor.cluster.connection import from_kubeconfig
from conveyor.engine.lag import watch_lag

LAG_SECONDS = 0.02


async def measure() -> str:
    settings, stop, loop = load(os.environ), asyncio.Event(), asyncio.get_running_loop()
    if settings.kubeconfig is None:
        raise ValueError("CONVEYOR_KUBECONFIG has to name the cluster")
    ledger, late = Ledger(), list[tuple[float, float]]()

    loop.add_signal_handler(signal.SIGTERM, stop.set)
    lag = asyncio.create_task(watch_lag(lambda seconds: late.append((time.monotonic(), seconds)), interval=LAG_SECONDS))
    with listening(ledger):
        operator = Operator(settings, await from_kubeconfig(settings.kubeconfig))
        await operator.run(stop)
    lag.cancel()
    calls = [dataclasses.asdict(call) for call in ledger.calls]
    return json.dumps({"calls": calls, "passes": ledger.passes, "works": ledger.works, "lag": late})


if __name__ == "__main__":
    logs.configure()
    garbage.configure()
    Path(sys.argv[1]).write_text(asyncio.run(measure()))
