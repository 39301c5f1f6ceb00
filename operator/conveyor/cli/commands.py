"""Fetch, then rows, then print: each command from options to text and exit code."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from conveyor.api.objects import Repository, WorkItem
from conveyor.cli import items, lanes, show, verbs, why
from conveyor.cli.api import NOT_DONE, Api, Entry, JSONObject, Unreadable, read_item, read_repository
from conveyor.cli.options import Options
from conveyor.cli.printing import Terminal, as_table
from conveyor.cli.sheet import Listing, Sheet, as_json, as_names
from conveyor.cli.text import clean
from conveyor.web.errors import NotFound

OK, FAILED, WAITS_FOR_PERSON = 0, 1, 10


@dataclass(frozen=True, slots=True)
class Result:
    """`notes` go to standard error."""

    code: int = OK
    output: str = ""
    notes: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """One call of the command."""

    api: Api
    options: Options
    namespace: str
    """The one that was named, else the context's; empty for all."""
    now: Callable[[], datetime]
    patience: verbs.Patience
    terminal: Terminal


async def run(session: Session) -> Result:
    """Raises `conveyor.web.errors` and verbs.TooLong."""
    match session.options.command:
        case "list":
            return await _list(session)
        case "queue":
            return await _queue(session)
        case "show":
            return await _show(session)
        case "why":
            return await _why(session)
        case verb:
            return await _ask(session, verb)


async def _list(session: Session) -> Result:
    options = session.options
    fields = f"spec.repositoryRef.name={options.repository}" if options.repository else ""
    found = await session.api.workitems(session.namespace, labels=options.selector, fields=fields)
    sheet = items.items(_read(found), all_namespaces=options.all_namespaces)
    return _printed(session, sheet)


async def _queue(session: Session) -> Result:
    options = session.options
    found, repositories = await asyncio.gather(
        session.api.workitems(session.namespace, fields=NOT_DONE), session.api.repositories(session.namespace)
    )
    known = await _with_dependencies(session.api, _read(found), _repositories(repositories))
    sheet = lanes.queue(known, session.now(), repository=options.repository, all_namespaces=options.all_namespaces)
    return _printed(session, sheet)


async def _show(session: Session) -> Result:
    item = await _item(session)
    if isinstance(item, Result):
        return item
    return _printed(session, show.show(item, await _repository(session, item)))


async def _why(session: Session) -> Result:
    item = await _item(session)
    if isinstance(item, Result):
        return item
    repository = await _repository(session, item)
    lane = f"{NOT_DONE},spec.repositoryRef.name={item.spec.repository_ref.name}"
    others = await session.api.workitems(session.namespace, fields=lane) if why.needs_lane(item) else []
    entries = {entry.name: entry for entry in _read(others)} | {item.name: item}
    known = await _with_dependencies(session.api, entries.values(), [repository] if repository is not None else [])
    scene = why.Scene(item, repository, known, session.now(), scope=scope(session.options))
    printed = _printed(session, why.why(scene))
    waits = session.options.exit_code and why.explanation(scene).person
    return Result(WAITS_FOR_PERSON if waits else OK, printed.output)


async def _ask(session: Session, verb: str) -> Result:
    options = session.options
    outcome = await verbs.ask(
        session.api, session.namespace, options.name, verb=verb, reason=options.reason, patience=session.patience
    )
    text = f"{outcome.text}\n"
    return Result(outcome.code, output=text) if outcome.code == OK else Result(outcome.code, notes=text)


def scope(options: Options) -> str:
    """What a printed command must say too, to be about the same cluster and namespace."""
    named = {"-n": options.namespace, "--context": options.context, "--kubeconfig": options.kubeconfig}
    return "".join(f" {flag} {shlex.quote(value)}" for flag, value in named.items() if value is not None)


# --- fetching


def _read(objects: Iterable[JSONObject]) -> list[Entry]:
    return [read_item(obj) for obj in objects]


def _repositories(objects: Iterable[JSONObject]) -> list[Repository]:
    read = (read_repository(obj) for obj in objects)
    return [repository for repository in read if repository is not None]


async def _item(session: Session) -> WorkItem | Result:
    entry = read_item(await session.api.workitem(session.namespace, session.options.name))
    if not isinstance(entry, Unreadable):
        return entry
    where = f"kubectl get workitem.conveyor.dev {shlex.quote(entry.name)} -o yaml{scope(session.options)}"
    return Result(FAILED, notes=f"{entry.name} cannot be read: {clean(entry.problem)}; to look: {where}\n")


async def _repository(session: Session, item: WorkItem) -> Repository | None:
    """None where it is missing or cannot be read."""
    try:
        return read_repository(await session.api.repository(session.namespace, item.spec.repository_ref.name))
    except NotFound:
        return None


async def _with_dependencies(api: Api, entries: Iterable[Entry], repositories: Iterable[Repository]) -> lanes.Lanes:
    """With the items that some wait for and that were not listed: done ones, and those of other repositories.

    A lane's last one is done, too, while its deploy is watched.
    """
    entries, repositories = list(entries), list(repositories)
    missing = lanes.Lanes(entries, repositories).unknown()
    found = await asyncio.gather(*(_perhaps(api, *where) for where in missing))
    others = [entry for entry in found if entry is not None]
    return lanes.Lanes(entries, repositories, others)


async def _perhaps(api: Api, namespace: str, name: str) -> Entry | None:
    try:
        return read_item(await api.workitem(namespace, name))
    except NotFound:
        return None


# --- printing


def _printed(session: Session, sheet: Sheet) -> Result:
    match session.options.output:
        case "json":
            return Result(output=as_json(sheet))
        case "name":
            return Result(output=as_names(sheet))
        case form:
            pass
    if not any(section.rows for section in sheet if isinstance(section, Listing)) and _only_listings(sheet):
        where = f"namespace {session.namespace}" if session.namespace else "any namespace"
        return Result(notes=f"there is nothing to show in {where}\n")
    text = as_table(sheet, now=session.now(), on=session.terminal, wide=form == "wide")
    return Result(output=text)


def _only_listings(sheet: Sheet) -> bool:
    return all(isinstance(section, Listing) for section in sheet)
