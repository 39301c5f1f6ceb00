"""Carrying out one effect of a recorded intent. What came of it is not believed from the answer: the next pass reads.

The order is that of docs/why-nothing-happens-twice.md: intent on record, last look, effect; `pipeline.effects` reads
what happened.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from conveyor.api.objects import Repository, WorkItem
from conveyor.api.workitem import Effect, Transition
from conveyor.cluster.jobs import job_fact
from conveyor.cluster.protocol import Key, Kind, Lost, Rejected, Uncertain, Won, Written
from conveyor.engine.leases import Owner
from conveyor.engine.manifests import effect_job
from conveyor.engine.world import World
from conveyor.forge.protocol import Forge
from conveyor.pipeline.actions import Apply
from conveyor.pipeline.facts import JobFact
from conveyor.pipeline.job_kinds import JOB_KINDS
from conveyor.pipeline.leases import needed
from conveyor.web.errors import Ambiguous, Conflict, NotFound, OutsideError, RateLimited, Refused, Unavailable

RECOMPUTED_SECONDS = 1.0
"""How long Gitea takes to compute the merge base of a branch that it rebased (measured: about 0.5 s)."""
STARTED_SECONDS = 60.0
"""When a Job that was let begin is looked at, if nothing of it is heard before."""
LONGEST_PAUSE_SECONDS = 15.0
_ADDRESS = re.compile(r"https?://[A-Za-z0-9._~:/?&=%+-]{1,1000}")


@dataclass(frozen=True, slots=True)
class Applied:
    """The other side's word, as a hint for when to read. `refusal`: it understood and said no."""

    result: str
    after: float
    refusal: str = ""
    conflict: tuple[str, ...] | None = None
    """The files that both sides changed, where a rebase was refused for a conflict; empty: they could not be read."""
    created: JobFact | None = None
    """The Job that is there now, where the API server says that it made it for us."""


class Patience:
    """How long an effect that did not come about is left alone: an eighth of the time since it was first tried."""

    def __init__(self) -> None:
        self._tried: dict[Key, tuple[str, float]] = {}

    def pause(self, key: Key, transition: str, *, now: float) -> float:
        """In seconds; `now` by a monotonic clock."""
        about, since = self._tried.get(key, ("", now))
        if about != transition:
            self._tried[key] = (transition, since := now)
        return min((now - since) / 8, LONGEST_PAUSE_SECONDS)

    def forget(self, key: Key) -> None:
        self._tried.pop(key, None)


async def apply(world: World, item: WorkItem, repository: Repository, transition: Transition) -> Applied:
    """Last look, then the effect, once."""
    if not await _still_ours(world, item, transition):
        return Applied("superseded", 0.0)
    began = time.monotonic()
    applied = await _attempt(world, item, repository, transition)
    world.telemetry.effect_applied(transition.effect.value, applied.result, seconds=time.monotonic() - began)
    return applied


async def _still_ours(world: World, item: WorkItem, transition: Transition) -> bool:
    """Whether the API server itself still has this very intent with us as its owner, and its Leases for long enough."""
    owner = Owner(Key(item.metadata.namespace, item.name), item.metadata.uid, item.spec.repository_ref.name)
    for name in sorted(needed(item, Apply(transition), enabled=transition.lease_used)):
        if not await world.leases.confirm(name, owner):
            return False
    fresh = await world.cluster.get(Kind.WORKITEM, owner.key)
    recorded, metadata = (fresh or {}).get("status", {}).get("transition", {}), (fresh or {}).get("metadata", {})
    if metadata.get("deletionTimestamp"):
        return False  # nothing is begun any more
    return (metadata.get("uid"), recorded.get("id"), recorded.get("holder"), recorded.get("fencingToken")) == (
        item.metadata.uid,
        transition.id,
        transition.holder,
        transition.fencing_token,
    )


async def _attempt(world: World, item: WorkItem, repository: Repository, transition: Transition) -> Applied:
    try:
        return await EFFECTS[transition.effect](world, item, repository, transition)
    except Conflict as error:
        return Applied("conflict", 0.5, refusal=str(error)[:300])
    except (Refused, NotFound) as error:
        return Applied("refused", 0.0, refusal=str(error)[:300])
    except RateLimited as error:
        return Applied("unavailable", max(error.until_seconds, 1.0))
    except Unavailable:
        return Applied("unavailable", 0.5)
    except (Ambiguous, OutsideError):
        return Applied("unknown", 0.5)


async def _cut_branch(world: World, item: WorkItem, repository: Repository, transition: Transition) -> Applied:
    forge = await world.connections.forge(repository)
    await forge.create_branch(item.status.branch or "", at=transition.precondition.base_sha)
    return Applied("applied", 0.0)


async def _open_pull_request(world: World, item: WorkItem, repository: Repository, _: Transition) -> Applied:
    forge = await world.connections.forge(repository)
    title = await _title(world, item, repository)
    body = address(item.spec.source.url) if item.spec.source is not None else ""
    await forge.open_pull_request(
        head=item.status.branch or "", base=item.status.base_branch or "", title=f"{item.key}: {title}"[:250], body=body
    )
    return Applied("applied", 0.0)


def address(url: str) -> str:
    """An address and nothing beside: whoever may create items wrote it, and the forge reads Markdown."""
    return url if _ADDRESS.fullmatch(url) else ""


async def _title(world: World, item: WorkItem, repository: Repository) -> str:
    """For people; a ticket that cannot be read now does not hold the pull request up."""
    if item.spec.source is None:
        return item.spec.title or item.name
    try:
        tracker = await world.connections.tracker(repository)
        ticket = await tracker.ticket(item.spec.source.issue_id) if tracker is not None else None
    except OutsideError:
        return item.name
    return ticket.name if ticket is not None else item.name


async def _rebase(world: World, item: WorkItem, repository: Repository, transition: Transition) -> Applied:
    """Of the head that was decided about, as far as that can be seen to: the forge's call itself pins none."""
    forge = await world.connections.forge(repository)
    pull, head = item.status.pull_request, transition.precondition.head_sha
    found = await forge.pull_request(pull.number) if pull is not None else None
    if found is None or found.head_sha != head:
        return Applied("refused", 0.0, refusal="the head moved before the rebase")
    try:
        await forge.update_by_rebase(found.number)
    except Conflict as error:
        files = await _changed_by_both(forge, found.base, head)
        return Applied("conflict", 0.0, refusal=str(error)[:300], conflict=files)
    return Applied("applied", RECOMPUTED_SECONDS)


async def _changed_by_both(forge: Forge, base: str, head: str) -> tuple[str, ...]:
    """What both sides changed since they parted; nothing where that cannot be read now."""
    try:
        ours = {file.path for file in await forge.changed_files(base, head)}
        theirs = {file.path for file in await forge.changed_files(head, base)}
    except OutsideError:
        return ()
    return tuple(sorted(ours & theirs))


async def _merge(world: World, item: WorkItem, repository: Repository, transition: Transition) -> Applied:
    """Fast-forward to exactly the tested head; where the base has it already, what is left is to mark it merged."""
    forge = await world.connections.forge(repository)
    pull, head = item.status.pull_request, transition.precondition.head_sha
    if pull is None:
        return Applied("refused", 0.0, refusal="no pull request is on record")
    if await forge.contains(item.status.base_branch or "", head):
        return await _mark_merged(forge, pull.number, head)
    await forge.merge(pull.number, head=head)
    return Applied("applied", 0.0)


async def _mark_merged(forge: Forge, number: int, head: str) -> Applied:
    """Gitea itself closes it a moment after the base moved (measured: 0.1 to 0.2 s); only a crash leaves it open."""
    found = await forge.pull_request(number)
    if found is not None and found.state == "open":
        await forge.mark_merged(number, commit=head)
    return Applied("applied", 0.3)


async def _run_job(world: World, item: WorkItem, repository: Repository, transition: Transition) -> Applied:
    """Created, suspended; and once its uid is on record, that very Job is let begin."""
    job = transition.job
    if job is None or job.uid is None:
        written = await world.cluster.create_job(effect_job(item, repository, transition))
        created = job_fact(written.object, []) if isinstance(written, Won) else None
        return replace(_hint(written, after=0.0), created=created)
    key = Key(item.metadata.namespace, job.name)
    return _hint(await world.cluster.start_job(key, uid=job.uid), after=STARTED_SECONDS)


def _hint(written: Written, *, after: float) -> Applied:
    match written:
        case Won():
            return Applied("applied", after)
        case Lost():
            return Applied("conflict", 0.5)
        case Rejected(message):
            return Applied("refused", 0.0, refusal=message[:300])
        case Uncertain():
            return Applied("unknown", 0.5)


EFFECTS: dict[Effect, Callable[[World, WorkItem, Repository, Transition], Awaitable[Applied]]] = {
    Effect.CUT_BRANCH: _cut_branch,
    Effect.OPEN_PULL_REQUEST: _open_pull_request,
    Effect.REBASE: _rebase,
    Effect.MERGE: _merge,
    **dict.fromkeys(JOB_KINDS, _run_job),
}
