"""The process `conveyor-ingress`, from start to end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Coroutine

from aiohttp import web

from conveyor_ingress import answers, cluster_access, limits, logs, ops, settings
from conveyor_ingress.api_server import ApiServer
from conveyor_ingress.connections import Listener
from conveyor_ingress.metrics import Metrics
from conveyor_ingress.remembered import Remembered
from conveyor_ingress.secrets import Secrets
from conveyor_ingress.server import Receiver
from conveyor_ingress.settings import Settings

log = logging.getLogger(__name__)

CANNOT_START = 2


def main() -> None:
    logs.configure()
    try:
        config = settings.load()
        access = cluster_access.find(config.kubeconfig, os.environ)
        asyncio.run(serve(config, access))
    except (settings.InvalidSettings, cluster_access.NoAccess, OSError) as error:
        print(f"conveyor-ingress cannot start: {error}", file=sys.stderr)  # noqa: T201  # for the person who starts it
        sys.exit(CANNOT_START)


async def serve(config: Settings, access: cluster_access.Access) -> None:
    """Serves until SIGTERM or SIGINT. Raises OSError where it cannot listen."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    metrics = Metrics()
    secrets = Secrets(config.ingress_secrets_dir, monotonic=time.monotonic)
    readiness = ops.Readiness(secrets)
    async with ApiServer(access) as store:
        receiver = Receiver(
            store=store,
            secrets=secrets,
            metrics=metrics,
            max_body_bytes=config.ingress_max_body_bytes,
            namespaces=config.namespaces,
            held=limits.Held(),
            remembered=Remembered(time.monotonic),
        )
        listener = Listener(
            receiver,
            on_malformed=lambda: metrics.not_http(answers.MALFORMED),
            on_refused=metrics.connection_refused,
        )
        async with _ops(config, readiness, metrics), _background(ops.reach(store, readiness)):
            await listener.start(*config.ingress_address)
            log.info("listening", extra={"port": config.ingress_address.port})
            await stop.wait()
            readiness.draining = True
            await listener.drain()
    log.info("ended")


@contextlib.asynccontextmanager
async def _ops(config: Settings, readiness: ops.Readiness, metrics: Metrics) -> AsyncIterator[None]:
    runner = web.AppRunner(ops.application(readiness, metrics), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, config.ingress_ops_address.host or None, config.ingress_ops_address.port).start()
        yield
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def _background(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


if __name__ == "__main__":
    main()
