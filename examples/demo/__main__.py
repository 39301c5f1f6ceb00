"""`scripts/demo`: three tickets from "To Analyse" to production, on real servers, with nothing left behind."""

import argparse
import asyncio
import signal
import sys

from rich.console import Console
from rich.text import Text

from examples.demo import report
from examples.demo.runner import run
from examples.demo.table import show
from examples.demo.world import NotReadyError, World
from tests.cluster.binaries import CannotBuildError
from tests.cluster.processes import ServerFailedError


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end, until Ctrl-C")
    parser.add_argument("--no-ingress", action="store_true", help="lose all webhooks: the same result, later")
    parser.add_argument("--no-color", action="store_true", help="plain text; so does NO_COLOR=1")
    parser.add_argument("--seconds", type=float, default=600, help="give up after this time (default: %(default)s)")
    return parser.parse_args()


async def demonstrate(chosen: argparse.Namespace, console: Console) -> int:
    def say(line: str) -> None:
        console.print(Text(line), soft_wrap=True)

    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with World(with_ingress=not chosen.no_ingress, say=say) as world:
        finished = await run(world, seconds=chosen.seconds, beside=show(world.watched, console))
        if finished is not None:
            report.tell(world, finished, console)
        else:
            say(f"\nNot finished after {chosen.seconds:.0f} s.")
            for line in await asyncio.to_thread(lambda: list(report.unfinished(world))):  # Plane answers in this loop
                say(line)
        passed = finished is not None and finished.passed
        if not passed:
            say(f"\nAll logs are kept in {await asyncio.to_thread(world.keep_logs)}")
        if chosen.keep:
            for line in ("", *report.links(world), "", "Everything runs until Ctrl-C."):
                say(line)
            await asyncio.Event().wait()
    return 0 if passed else 1


def main() -> int:
    chosen = options()
    console = Console(no_color=chosen.no_color or None, highlight=False)
    try:
        return asyncio.run(demonstrate(chosen, console))
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("stopped, and nothing left behind")
        return 130
    except (CannotBuildError, ServerFailedError, NotReadyError) as error:
        console.print(Text(f"error: {error}"), soft_wrap=True)
        return 1


if __name__ == "__main__":
    sys.exit(main())
