"""What every status write must be, judged from two states of an object alone: nothing of the product is asked.

The edges of docs/stages.md are written down here a second time on purpose, so that a mistake in the
code's table is one here.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Object = dict[str, Any]

EDGES: Mapping[str, frozenset[str]] = {
    start: frozenset(ends.split())
    for start, ends in {
        "created": "analysis cancelled",
        "analysis": "architecture cancelled",
        "architecture": "development cancelled",
        "development": "review done cancelled",
        "review": "testing development done cancelled",
        "testing": "deploy-staging development review done cancelled",
        "deploy-staging": "deploy development review done cancelled",
        "deploy": "done development cancelled",
        "done": "",
        "cancelled": "",
    }.items()
}
FIRM = ("effect", "from", "to", "precondition", "leaseUsed")
"""What of an intent never changes."""


def item_offences(old: Object, new: Object, *, known: set[str]) -> Iterator[str]:
    """What is wrong with one write of a WorkItem's status. `known` are the ids of all intents there were before."""
    yield from _edge(old, new)
    yield from _counters(old, new)
    yield from _intent(old, new, known)
    if old.get("mergeSHA") and new.get("mergeSHA") != old["mergeSHA"] and not _starts_over(new):
        yield f"mergeSHA {old['mergeSHA']} was replaced by {new.get('mergeSHA')}"


def _starts_over(new: Object) -> bool:
    """What was produced goes as soon as the way back to development has begun."""
    return "development" in (new.get("stage"), (new.get("transition") or {}).get("to"))


def _edge(old: Object, new: Object) -> Iterator[str]:
    start, end = old.get("stage"), new.get("stage")
    if start is None:
        if end not in (None, "created"):
            yield f"the first stage is {end}"
    elif end != start and end not in EDGES[start] and not _overridden(old, new):
        yield f"illegal edge {start} -> {end}"


def _overridden(old: Object, new: Object) -> bool:
    override = new.get("override") or {}
    fresh = override.get("id") != (old.get("override") or {}).get("id")
    return fresh and (override.get("from"), override.get("to")) == (old.get("stage"), new.get("stage"))


def _counters(old: Object, new: Object) -> Iterator[str]:
    for name in ("fencingToken", "runs"):
        if new.get(name, 0) < old.get(name, 0):
            yield f"{name} went down from {old[name]} to {new.get(name, 0)}"


def _intent(old: Object, new: Object, known: set[str]) -> Iterator[str]:
    before, after = old.get("transition"), new.get("transition")
    if after is None:
        return
    if before is None or after["id"] != before["id"]:
        yield from _begun(old, new, known)
    else:
        yield from _carried_on(before, after)
    if after["fencingToken"] > new.get("fencingToken", 0):
        yield f"intent {after['id']} has a token that the item has not given out"


def _begun(old: Object, new: Object, known: set[str]) -> Iterator[str]:
    after = new["transition"]
    if after["id"] in known:
        yield f"intent {after['id']} was begun a second time"
    if after["phase"] != "Prepared" or (after.get("job") or {}).get("uid"):
        yield f"intent {after['id']} was not begun as Prepared"
    if after["from"] != new.get("stage"):
        yield f"intent {after['id']} leaves {after['from']}, and the item is in {new.get('stage')}"
    if after["fencingToken"] <= old.get("fencingToken", 0):
        yield f"intent {after['id']} was begun without a new token"
    before = old.get("transition")
    if before is not None and before["phase"] == "Unknown":
        yield f"intent {after['id']} replaced {before['id']}, of which nobody knows whether it happened"


def _carried_on(before: Object, after: Object) -> Iterator[str]:
    name = f"intent {before['id']} ({before['effect']})"
    for field in FIRM:
        if before.get(field) != after.get(field):
            yield f"{name}: {field} changed from {before.get(field)} to {after.get(field)}"
    old_job, job = before.get("job") or {}, after.get("job") or {}
    if old_job.get("name") != job.get("name"):
        yield f"{name}: its Job was renamed from {old_job.get('name')} to {job.get('name')}"
    if old_job.get("uid") and job.get("uid") != old_job["uid"]:
        yield f"{name}: another Job took the place of {old_job['uid']}"
    if after["fencingToken"] < before["fencingToken"]:
        yield f"{name}: its token went down"
    if after["holder"] != before["holder"] and after["fencingToken"] <= before["fencingToken"]:
        yield f"{name}: taken over by {after['holder']} without a new token"


def repository_offences(old: Object, new: Object) -> Iterator[str]:
    """What is wrong with one write of a Repository's status."""
    if _percent(new) < _percent(old):
        yield f"the coverage mark went down from {_percent(old)} to {_percent(new)}"
    after = {freeze["id"]: freeze for freeze in new.get("freezes") or []}
    for freeze in old.get("freezes") or []:
        kept = after.get(freeze["id"], {})
        if freeze.get("clearedTime") and kept and not kept.get("clearedTime"):
            yield f"freeze {freeze['id']} was cleared and stands again"


def _percent(status: Object) -> float:
    return float((status.get("coverage") or {}).get("percent", 0.0))
