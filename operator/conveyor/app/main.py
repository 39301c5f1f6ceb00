"""`conveyor-operator`: read the settings, run until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from typing import Any

from conveyor.app.leader import LeadershipLostError
from conveyor.app.logs import configure
from conveyor.app.operator import Operator
from conveyor.app.settings import Settings, SettingsError, load
from conveyor.cluster.connection import from_kubeconfig, in_cluster
from conveyor.web.errors import OutsideError

logger = logging.getLogger(__name__)


def main() -> None:
    configure()
    try:
        asyncio.run(_run(load(os.environ)))
    except (SettingsError, OutsideError, OSError, LeadershipLostError) as error:
        sys.exit(f"conveyor-operator: {error}")


async def _run(settings: Settings) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def listen_to_signals() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)

    listen_to_signals()
    connection = await from_kubeconfig(settings.kubeconfig) if settings.kubeconfig is not None else in_cluster()
    try:
        await Operator(settings, connection).run(stop, listen_to_signals=listen_to_signals)
    finally:
        loop.set_exception_handler(left_behind)


def left_behind(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Told of what goes with the loop. All of ours has ended by now; kopf leaves generators and waiters (1.45.2)."""
    logger.debug("left behind at the end", extra={"what": str(context.get("message"))})
