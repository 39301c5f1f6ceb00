"""What the demo prints at its end, for a person who was not watching."""

import os
import subprocess
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.text import Text

from examples.demo.programs import COMMANDS
from examples.demo.runner import Finished
from examples.demo.story import Story
from examples.demo.tickets import NAMESPACE, TICKETS
from examples.demo.world import World
from tests.cluster.binaries import binary

LOG_LINES = 15


def tell(world: World, finished: Finished, console: Console) -> None:
    for one in finished.stories:
        _print(console, _story(world, one))
    _print(console, _merges(finished))
    for check in finished.checks:
        mark, style = ("ok  ", "green") if check.passed else ("FAIL", "bold red")
        console.print(Text.assemble((mark, style), f"  {check.wanted}", (f"  {check.found}", "dim")), soft_wrap=True)


def _story(world: World, one: Story) -> Iterator[str]:
    yield f"\n{one.ticket.key}  {one.ticket.title}"
    yield f"  {one.pull_request}  {world.tracker.ticket_url(one.ticket.key)}"
    start = one.events[0].time if one.events else None
    for event in one.events:
        assert start is not None
        yield f"  {(event.time - start).total_seconds():6.1f} s  {event.text}"
    yield ""


def _merges(finished: Finished) -> Iterator[str]:
    merged = sorted((one.merged, one.ticket.item) for one in finished.stories if one.merged)
    yield "Merged in this order: " + ", ".join(f"{item} at {event.time:%H:%M:%S}" for event, item in merged)
    yield ""


def links(world: World) -> Iterator[str]:
    """Where to look around while everything still runs."""
    yield f"Plane's board  {world.tracker.url}/"
    yield f"Gitea          {world.gitea.url}/acme"
    yield f"who waits      {world.operator.url}/queue"
    yield f"kubectl        export KUBECONFIG={world.control.kubeconfig} PATH={_path()}:$PATH"
    yield f"               kubectl -n {NAMESPACE} get workitems; kubectl workitem -n {NAMESPACE} list"
    yield f"logs           {world.logs}"


def unfinished(world: World) -> Iterator[str]:
    """Why each item that is not done waits, and what the operator said last."""
    for ticket in TICKETS:
        status = world.watched.status(ticket.item)
        if status.get("stage") != "done":
            yield f"\n{ticket.key} is in {status.get('stage', 'no stage: there is no item')}:"
            yield why(world, ticket.item) or str((status.get("waiting") or {}).get("message", ""))
        elif world.tracker.state_of(ticket.key) != "Done":
            yield f"\n{ticket.key} is done, but its ticket is in {world.tracker.state_of(ticket.key)}"
    yield f"\nThe operator's last words:\n{world.operator.server.log_tail(LOG_LINES)}"


def why(world: World, item: str) -> str:
    """What `kubectl workitem why` says; "" where it does not answer."""
    command = [str(COMMANDS / "kubectl-workitem"), "why", item, "--namespace", NAMESPACE]
    env = os.environ | {"KUBECONFIG": str(world.control.kubeconfig), "NO_COLOR": "1"}
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _path() -> str:
    return f"{binary('kubectl').parent}:{COMMANDS}"


def _print(console: Console, lines: Iterable[str]) -> None:
    """Others' text among it: not as markup, and not cut."""
    for line in lines:
        console.print(Text(line), soft_wrap=True)
