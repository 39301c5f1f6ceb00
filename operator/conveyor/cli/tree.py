"""`tree`: one item with all that hangs on it: what it needs and who needs it, its Jobs, its side effect, its Leases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from conveyor.api.annotations import LABEL_ATTEMPT, LABEL_EFFECT, LABEL_ROLE, LABEL_WORKITEM_UID
from conveyor.api.objects import WorkItem
from conveyor.api.stages import Stage
from conveyor.cli.api import Entry, JSONObject, Unreadable
from conveyor.cli.items import dependencies_of
from conveyor.cli.sheet import Column, Listing, Row, Sheet, Value

COLUMNS = (
    Column("NAME", "name", indent="depth"),
    Column("KIND", "kind"),
    Column("RELATION", "relation"),
    Column("STATE", "state"),
    Column("AGE", "since"),
    Column("MESSAGE", "message", flexible=True),
)
NEEDS, NEEDED_BY = "needs", "needed by"


@dataclass(frozen=True, slots=True)
class Found:
    """`entries` are the namespace's; `jobs` carry the item's label, `leases` the repository's."""

    item: WorkItem
    entries: tuple[Entry, ...]
    jobs: tuple[JSONObject, ...] = ()
    leases: tuple[JSONObject, ...] = ()


def tree(found: Found) -> Sheet:
    item = found.item
    known: dict[str, Entry] = {entry.name: entry for entry in found.entries} | {item.name: item}
    rows = [
        _item(item, item.name, depth=0, relation=""),
        *_items(known, item.name, NEEDS, lambda name: _needs(known.get(name))),
        *_items(known, item.name, NEEDED_BY, lambda name: _dependents(known.values(), name)),
        *_runs(item, found.jobs),
        *_effects(item, found.jobs),
        *_leases(item, found.leases),
    ]
    return (Listing("tree", COLUMNS, tuple(rows)),)


def _row(kind: str, name: str, *, depth: int = 1, relation: str, state: str, **more: Value) -> Row:
    rest: dict[str, Value] = {"since": None, "message": "", **more}
    return {"depth": depth, "kind": kind, "name": name, "relation": relation, "state": state, **rest}


# --- items


def _needs(entry: Entry | None) -> tuple[str, ...]:
    return dependencies_of(entry) if isinstance(entry, WorkItem) else ()


def _dependents(entries: Iterable[Entry], name: str) -> tuple[str, ...]:
    return tuple(sorted(entry.name for entry in entries if name in _needs(entry)))


def _items(
    known: Mapping[str, Entry], start: str, relation: str, beside: Callable[[str], tuple[str, ...]]
) -> list[Row]:
    """Depth first; each is followed once, or a cycle would have no end."""
    rows: list[Row] = []
    followed = {start}
    ahead = [(name, 1) for name in reversed(beside(start))]
    while ahead:
        name, depth = ahead.pop()
        again = name in followed
        rows.append(_item(known.get(name), name, depth=depth, relation=relation, again=again))
        if not again:
            followed.add(name)
            ahead += [(further, depth + 1) for further in reversed(beside(name))]
    return rows


def _item(entry: Entry | None, name: str, *, depth: int, relation: str, again: bool = False) -> Row:
    if entry is None:
        return _row("WorkItem", name, depth=depth, relation=relation, state="missing")
    if isinstance(entry, Unreadable):
        message = f"cannot be read: {entry.problem}"
        return _row("WorkItem", name, depth=depth, relation=relation, state=entry.stage, message=message)
    status = entry.status
    stalled = f"Stalled: {status.stalled}" if status.stalled is not None else ""
    waits = f"waits for {status.waiting.reason.value}" if status.waiting is not None else ""
    return _row(
        "WorkItem",
        name,
        depth=depth,
        relation=relation,
        state=(status.stage or Stage.CREATED).value,
        since=entry.metadata.creation_timestamp,
        message="as above" if again else stalled or waits,
    )


# --- Jobs, the side effect, Leases


def _mine(item: WorkItem, jobs: Iterable[JSONObject], label: str) -> Iterator[JSONObject]:
    for job in jobs:
        labels = job["metadata"].get("labels", {})
        if label in labels and labels.get(LABEL_WORKITEM_UID) == item.metadata.uid:
            yield job


def _runs(item: WorkItem, jobs: Iterable[JSONObject]) -> Iterator[Row]:
    run, there = item.status.active_run, list(_mine(item, jobs, LABEL_ROLE))
    for job in sorted(there, key=_created):
        labels = job["metadata"]["labels"]
        attempt = f", attempt {labels[LABEL_ATTEMPT]}" if LABEL_ATTEMPT in labels else ""
        yield _job(job, relation="run", message=f"{labels[LABEL_ROLE]}{attempt}")
    if run is not None and run.name not in {job["metadata"]["name"] for job in there}:
        message = f"{run.role.value}, attempt {run.attempt}: on record, its Job is not seen"
        yield _row("Job", run.name, relation="run", state="claimed", since=run.started_time, message=message)


def _effects(item: WorkItem, jobs: Iterable[JSONObject]) -> Iterator[Row]:
    """The one under way, with its Job below it; then the Jobs of those that have ended."""
    transition = item.status.transition
    there = {job["metadata"]["name"]: job for job in sorted(_mine(item, jobs, LABEL_EFFECT), key=_created)}
    if transition is not None:
        way = f"{transition.from_stage} -> {transition.to_stage}, held by {transition.holder}"
        phase = "parked" if transition.phase == "Unknown" else "under way"
        yield _row("Effect", transition.effect.value, relation="effect", state=phase, message=way)
        if transition.job is not None:
            job = there.pop(transition.job.name, None)
            if job is not None:
                yield _job(job, relation="effect", message=transition.effect.value, depth=2)
            else:
                yield _row("Job", transition.job.name, depth=2, relation="effect", state="not seen")
    for job in there.values():
        yield _job(job, relation="effect", message=job["metadata"]["labels"][LABEL_EFFECT])


def _job(job: JSONObject, *, relation: str, message: str, depth: int = 1) -> Row:
    name, since = job["metadata"]["name"], _time(job["metadata"].get("creationTimestamp"))
    return _row("Job", name, depth=depth, relation=relation, state=_state(job), since=since, message=message)


def _state(job: JSONObject) -> str:
    conditions = job.get("status", {}).get("conditions") or []
    ended = {"Complete": "complete", "Failed": "failed"}
    found = [ended[it["type"]] for it in conditions if it.get("type") in ended and it.get("status") == "True"]
    if found:
        return found[0]
    return "being deleted" if job["metadata"].get("deletionTimestamp") else "at work"


def _created(job: JSONObject) -> tuple[str, str]:
    return str(job["metadata"].get("creationTimestamp", "")), job["metadata"]["name"]


def _leases(item: WorkItem, leases: Iterable[JSONObject]) -> Iterator[Row]:
    """Those that this item's transitions own: a holder ends with the item's uid."""
    for lease in sorted(leases, key=lambda each: str(each["metadata"]["name"])):
        spec = lease.get("spec") or {}
        holder = str(spec.get("holderIdentity") or "")
        if holder.endswith(f"/{item.metadata.uid}"):
            since = _time(spec.get("acquireTime"))
            name = lease["metadata"]["name"]
            yield _row("Lease", name, relation="lease", state="held", since=since, message=f"by {holder}")


def _time(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        return None
