"""Fetch, then rows, then print: each command from options to text and exit code."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from conveyor.api.annotations import LABEL_REPOSITORY, LABEL_WORKITEM
from conveyor.api.objects import Repository, WorkItem
from conveyor.cli import asking, freezing, items, lanes, show, tree, verbs, why
from conveyor.cli.api import NOT_DONE, Api, Entry, JSONObject, Unreadable, read_item, read_repository
from conveyor.cli.hints import scope, scoped
from conveyor.cli.options import Options
from conveyor.cli.printing import Terminal, as_table
from conveyor.cli.sheet import Listing, Sheet, as_json, as_names
from conveyor.cli.text import clean
from conveyor.cli.until import read_until
from conveyor.web.errors import NotFound, Refused

OK, FAILED, WAITS_FOR_PERSON = 0, 1, 10


class WrongTime(Exception):
    """What was named as a time is none, or over."""


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
    patience: asking.Patience
    terminal: Terminal


async def run(session: Session) -> Result:
    """Raises `conveyor.web.errors`, asking.TooLong and WrongTime."""
    match session.options.command:
        case "list":
            return await _list(session)
        case "queue":
            return await _queue(session)
        case "show":
            return await _show(session)
        case "why":
            return await _why(session)
        case "tree":
            return await _tree(session)
        case "freeze" | "unfreeze":
            return await _freeze(session)
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
    return _printed(session, show.show(item, await _repository(session, item), scope=scope(session.options)))


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


async def _tree(session: Session) -> Result:
    item = await _item(session)
    if isinstance(item, Result):
        return item
    api, namespace = session.api, session.namespace
    entries, jobs, leases = await asyncio.gather(
        api.workitems(namespace),
        _if_allowed(api.jobs(namespace, f"{LABEL_WORKITEM}={item.name}")),
        _if_allowed(api.leases(namespace, f"{LABEL_REPOSITORY}={item.spec.repository_ref.name}")),
    )
    found = tree.Found(item, tuple(_read(entries)), tuple(jobs or ()), tuple(leases or ()))
    hidden = [name for name, objects in (("Jobs", jobs), ("Leases", leases)) if objects is None]
    printed = _printed(session, tree.tree(found))
    notes = "".join(f"{name} are not shown: you may not list them\n" for name in hidden)
    return Result(printed.code, printed.output, notes)


async def _freeze(session: Session) -> Result:
    options = session.options
    place = freezing.Place(session.api, session.namespace, options.name, session.now, session.patience)
    if options.command == "unfreeze":
        return _told(session, await freezing.unfreeze(place, options.which, options.reason))
    try:
        until = read_until(options.until, session.now()) if options.until else None
    except ValueError as error:
        raise WrongTime(f"argument --until: {error}") from None
    return _told(session, await freezing.freeze(place, options.reason, scope=options.freeze_scope, until=until))


async def _ask(session: Session, verb: str) -> Result:
    options = session.options
    wish = verbs.Wish(verb, options.name, reason=options.reason, move=options.move)
    return _told(session, await verbs.ask(session.api, session.namespace, wish, patience=session.patience))


def _told(session: Session, outcome: asking.Outcome) -> Result:
    """Good news on standard output, what went wrong and what to know on standard error."""
    text = scoped(f"{outcome.text}\n", [session.options.name], scope(session.options))
    note = f"{outcome.note}\n" if outcome.note else ""
    done = outcome.code == asking.OK
    return Result(outcome.code, output=text if done else "", notes=note if done else text + note)


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


async def _if_allowed(read: Awaitable[list[JSONObject]]) -> list[JSONObject] | None:
    """None where the user has no right to it: what hangs on an item is shown as far as that goes."""
    try:
        return await read
    except Refused as error:
        if error.status != 403:
            raise
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
