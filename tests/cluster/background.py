"""`scripts/cluster`: a cluster that stays up in the background for people to play with.

`up` starts one supervising process, which is the parent of all servers and plays the node; `down` ends it, and with it
everything. State is a directory of the cache: pid, log, what `env` prints, and the servers' data.
"""

import argparse
import asyncio
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from tests.cluster import binaries, crds
from tests.cluster.api import Kube
from tests.cluster.control_plane import ControlPlane
from tests.cluster.gitea import Gitea
from tests.cluster.node import ImageSpec, ProcessNode

MODULE = "tests.cluster.background"
COMMANDS = Path(sys.executable).parent  # of the virtual environment: conveyor-agent, kubectl-workitem
TOOLS_IMAGE = "conveyor:dev"


def state() -> Path:
    return binaries.cache_root() / "cluster"


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def running() -> int | None:
    """The supervisor's pid; None when there is none, or when its number belongs to another program by now."""
    try:
        pid = int((state() / "pid").read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if MODULE.encode() in command and str(state()).encode() in command else None


def up(*, with_gitea: bool) -> int:
    if running():
        say(f"it is up already; for its settings: {hint()}")
        return 0
    shutil.rmtree(state(), ignore_errors=True)
    state().mkdir(parents=True, mode=0o700)
    binaries.ensure([*binaries.CONTROL_PLANE, *(["gitea"] if with_gitea else [])], say)
    began = time.monotonic()
    options = [] if with_gitea else ["--no-gitea"]
    with (state() / "log").open("wb") as log:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", MODULE, "run", *options, "--state", str(state())],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    (state() / "pid").write_text(str(supervisor.pid))
    while not (state() / "env").exists():
        if supervisor.poll() is not None:
            say(f"the cluster did not start:\n{(state() / 'log').read_text()[-3000:]}")
            return 1
        time.sleep(0.1)
    say(f"up after {time.monotonic() - began:.1f} s; for its settings: {hint()}")
    return 0


def hint() -> str:
    return 'eval "$(scripts/cluster env)"'


def down(seconds: float = 30) -> int:
    pid = running()
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + seconds
        while running() and time.monotonic() < end:
            time.sleep(0.1)
        if running():
            os.kill(pid, signal.SIGKILL)  # its guard then ends the servers
    shutil.rmtree(state(), ignore_errors=True)
    return 0


def env() -> int:
    if not running() or not (state() / "env").exists():
        say("there is no cluster; start one with scripts/cluster up")
        return 1
    print((state() / "env").read_text(), end="")
    return 0


async def run(*, with_gitea: bool) -> None:
    """Everything, until SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    tools = ImageSpec(path=(COMMANDS,))
    async with AsyncExitStack() as stack:
        plane = stack.enter_context(ControlPlane(state() / "cluster", say=say))
        with Kube(plane.kubeconfig) as kube, suppress(crds.NoCrdsError):
            crds.install(kube)
        settings = {"KUBECONFIG": str(plane.kubeconfig), "CONVEYOR_AGENT_TOOLS_IMAGE": TOOLS_IMAGE}
        if with_gitea:
            gitea = stack.enter_context(Gitea(state() / "gitea", say=say))
            admin = gitea.admin
            settings |= {"GITEA_URL": gitea.url, "GITEA_USER": admin.name}
            settings |= {"GITEA_PASSWORD": admin.password, "GITEA_TOKEN": admin.token}
        node = await stack.enter_async_context(ProcessNode(plane.kubeconfig, images={TOOLS_IMAGE: tools}))
        write_env(settings | {"POD_LOGS": str(node.logs_directory)})
        await stop.wait()


def write_env(settings: Mapping[str, str]) -> None:
    """Shell lines, for `eval`; the file appears when all of it is there."""
    directories = f"{binaries.binary('kubectl').parent}:{COMMANDS}"
    lines = [f"export {name}={shlex.quote(value)}" for name, value in settings.items()]
    lines.append(f'export PATH={shlex.quote(directories)}:"$PATH"')
    partial = state() / "env.partial"
    partial.touch(mode=0o600)
    partial.write_text("\n".join(lines) + "\n")
    partial.rename(state() / "env")


def main() -> int:
    text = "A local cluster with a Gitea, in the background."
    parser = argparse.ArgumentParser(prog="scripts/cluster", description=text)
    commands = parser.add_subparsers(dest="command", required=True, metavar="{up,down,env}")
    start = commands.add_parser("up", help="start it, in seconds once its programs are built")
    supervise = commands.add_parser("run")  # what `up` starts; not for people
    supervise.add_argument("--state", help="what `down` recognizes the process by")
    for command in (start, supervise):
        command.add_argument("--no-gitea", action="store_true", help="the cluster alone")
    commands.add_parser("down", help="stop it and remove its data")
    commands.add_parser("env", help="print shell lines: KUBECONFIG, GITEA_URL, POD_LOGS and more")
    asked = parser.parse_args()
    try:
        match asked.command:
            case "up":
                return up(with_gitea=not asked.no_gitea)
            case "down":
                return down()
            case "env":
                return env()
            case _:
                asyncio.run(run(with_gitea=not asked.no_gitea))
                return 0
    except binaries.CannotBuildError as error:
        say(f"error: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
