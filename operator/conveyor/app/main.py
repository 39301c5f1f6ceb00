"""`conveyor-operator`: read the settings, run until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from conveyor.app import garbage, logs
from conveyor.app.leader import LeadershipLostError
from conveyor.app.operator import Operator
from conveyor.app.settings import Settings, SettingsError, load
from conveyor.cluster.connection import from_kubeconfig, in_cluster
from conveyor.web.errors import OutsideError


def main() -> None:
    logs.configure()
    garbage.configure()
    try:
        asyncio.run(_run(load(os.environ)))
    except (SettingsError, OutsideError, OSError, LeadershipLostError) as error:
        sys.exit(f"conveyor-operator: {error}")


async def _run(settings: Settings) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    connection = await from_kubeconfig(settings.kubeconfig) if settings.kubeconfig is not None else in_cluster()
    await Operator(settings, connection).run(stop)
