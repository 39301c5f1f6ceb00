"""`kubectl-workitem`: what kubectl runs for `kubectl workitem …`."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from conveyor.cli.options import PROGRAM, Options, parse
from conveyor.cli.text import clean
from conveyor.web.errors import NotFound, OutsideError, Refused

if TYPE_CHECKING:
    from conveyor.cli.commands import Result

FAILED, USAGE, UNREACHABLE, INTERRUPTED = 1, 2, 3, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code; see `options.EPILOG`."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        result = asyncio.run(_run(options))
    except KeyboardInterrupt:
        return INTERRUPTED
    sys.stderr.write(result.notes)
    try:
        sys.stdout.write(result.output)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has seen enough; the interpreter would complain at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return result.code


async def _run(options: Options) -> Result:
    # Imported here, so that --help and a wrong usage are answered before half a second has gone into imports.
    from conveyor.cli import asking, cluster_api, commands, printing  # noqa: PLC0415

    def failed(code: int, why: str) -> Result:
        return commands.Result(code, notes=f"{PROGRAM}: {clean(why)}\n")

    patience = asking.Patience(options.wait, time.monotonic, asyncio.sleep)
    try:
        api = await cluster_api.connect(cluster_api.login(options.kubeconfig, options.context, os.environ))
        async with api:
            session = commands.Session(
                api,
                options,
                namespace="" if options.all_namespaces else options.namespace or api.namespace,
                now=lambda: datetime.now(UTC),
                patience=patience,
                terminal=printing.terminal(sys.stdout, os.environ),
            )
            return await commands.run(session)
    except (asking.TooLong, commands.WrongTime) as error:
        return failed(USAGE, str(error))
    except (NotFound, Refused) as error:
        return failed(FAILED, str(error))
    except OutsideError as error:
        return failed(UNREACHABLE, str(error))
