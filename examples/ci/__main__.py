"""`python -m examples.ci`: a little CI for some repositories of one Gitea, until SIGTERM or SIGINT."""

import argparse
import asyncio
import contextlib
import signal
from pathlib import Path

import aiohttp
from aiohttp import web

from examples.ci.builder import Builder
from examples.ci.gitea import Gitea
from examples.ci.hooks import application


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="examples.ci", description="Runs the tests of every branch's newest commit.")
    parser.add_argument("--gitea", required=True, metavar="URL")
    parser.add_argument("--repository", required=True, action="append", metavar="OWNER/NAME")
    parser.add_argument("--token-file", required=True, type=Path, help="token of the user who posts the statuses")
    parser.add_argument("--secret-file", required=True, type=Path, help="secret of the push webhooks")
    parser.add_argument("--port", type=int, required=True, help="for webhooks and logs, on 127.0.0.1")
    parser.add_argument("--poll-seconds", type=float, default=3.0, help="how often branches are looked at anyway")
    return parser.parse_args()


async def serve(chosen: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    token, secret = chosen.token_file.read_text().strip(), chosen.secret_file.read_text().strip()
    address = f"http://127.0.0.1:{chosen.port}"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        builders = {
            name: Builder(Gitea(session, chosen.gitea, name, token=token), logs_url=f"{address}/logs")
            for name in chosen.repository
        }
        runner = web.AppRunner(application(builders, secret), access_log=None)
        await runner.setup()
        work = [asyncio.create_task(each.run(poll_seconds=chosen.poll_seconds)) for each in builders.values()]
        try:
            await web.TCPSite(runner, "127.0.0.1", chosen.port).start()
            await stop.wait()
        finally:
            for task in work:
                task.cancel()
            for task in work:
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve(options()))
