"""`list`: a row per WorkItem, what is under way first, then the queue in its order, then what has ended."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from conveyor.api.fields import rfc3339
from conveyor.api.objects import WorkItem
from conveyor.api.stages import TERMINAL
from conveyor.api.workitem import Monitor
from conveyor.cli.api import Entry, Unreadable, namespace_of, repository_of, stage_of
from conveyor.cli.sheet import Column, Listing, Row, Sheet, Value
from conveyor.pipeline.lane import Waiter, is_under_way, order

UNREADABLE = "Unreadable"
NAMESPACE = Column("NAMESPACE", "namespace")
COLUMNS = (
    Column("NAME", "name"),
    Column("REPO", "repository"),
    Column("KEY", "key", wide=True),
    Column("STAGE", "stage"),
    Column("WAITING", "waiting"),
    Column("STALLED", "stalled", style="red"),
    Column("ATTEMPT", "attempt"),
    Column("IN-STAGE", "stageEnteredTime"),
    Column("AGE", "creationTimestamp"),
    Column("BRANCH", "branch", wide=True),
    Column("PR", "pullRequest", wide=True),
    Column("RUN", "run", wide=True),
    Column("HOLDER", "holder", wide=True),
    Column("MESSAGE", "message", wide=True, flexible=True),
)


def items(entries: Iterable[Entry], *, repository: str = "", all_namespaces: bool = False) -> Sheet:
    """`repository` leaves out the other ones' items."""
    chosen = [entry for entry in entries if repository in ("", repository_of(entry))]
    rows = tuple(row_of(entry) for entry in sorted(chosen, key=_order))
    return (Listing("items", (NAMESPACE, *COLUMNS) if all_namespaces else COLUMNS, rows),)


def row_of(entry: Entry) -> Row:
    return _unreadable(entry) if isinstance(entry, Unreadable) else _readable(entry)


def _readable(item: WorkItem) -> Row:
    status = item.status
    run, pull, waiting = status.active_run, status.pull_request, status.waiting
    return {
        "namespace": item.metadata.namespace,
        "name": item.name,
        "repository": item.spec.repository_ref.name,
        "key": item.key,
        "stage": status.stage,
        "waiting": waiting.reason if waiting is not None else None,
        "stalled": status.stalled,
        "attempt": run.attempt if run is not None else None,
        "stageEnteredTime": status.stage_entered_time,
        "creationTimestamp": item.metadata.creation_timestamp,
        "branch": status.branch,
        "pullRequest": pull.number if pull is not None else None,
        "run": run.name if run is not None else None,
        "holder": status.transition.holder if status.transition is not None else None,
        "message": waiting.message if waiting is not None else None,
    }


def _unreadable(entry: Unreadable) -> Row:
    known: dict[str, Value] = {
        "namespace": entry.namespace,
        "name": entry.name,
        "repository": entry.repository,
        "stage": entry.stage,
        "waiting": UNREADABLE,
        "creationTimestamp": entry.created,
        "message": entry.problem,
    }
    return {column.key: None for column in COLUMNS} | known


def dependencies_of(item: WorkItem) -> tuple[str, ...]:
    """By name, from spec and ticket."""
    of_spec, of_ticket = item.spec.depends_on, item.status.dependencies
    return tuple(sorted({needed.name for needed in of_spec} | {needed.name for needed in of_ticket}))


def watch_of(monitor: Monitor) -> str:
    """The watch over a deploy, in words."""
    match monitor.verdict:
        case "Watching":
            failed = f", {monitor.failures} failed in a row: {monitor.message}" if monitor.failures else ""
            return f"is watched until {rfc3339(monitor.until_time)}{failed}"
        case "Healthy":
            return "was found healthy"
        case "Degraded":
            return f"was found degraded: {monitor.message}"


def waiter_of(item: WorkItem) -> Waiter:
    """As the operator's queue sees it."""
    return Waiter(
        name=item.name,
        uid=item.metadata.uid,
        key=item.key,
        priority=item.spec.priority,
        created=item.metadata.creation_timestamp,
        dependencies=dependencies_of(item),
        suspended=item.spec.suspend,
    )


_Place = tuple[bool, str, str, int, tuple[int, datetime, str, str]]


def _order(entry: Entry) -> _Place:
    stage = stage_of(entry)
    ended = stage in TERMINAL
    where = (ended, namespace_of(entry), repository_of(entry))
    if isinstance(entry, Unreadable):
        return (*where, 0, (0, entry.created, entry.name, entry.uid))
    if not ended and not is_under_way(stage):
        return (*where, 1, order(waiter_of(entry)))
    ended_at = (entry.status.stage_entered_time or entry.metadata.creation_timestamp) if ended else None
    age = (0, entry.metadata.creation_timestamp, entry.name, entry.metadata.uid)
    return (*where, -int(ended_at.timestamp()) if ended_at is not None else 0, age)
