"""Showing on a ticket where its item is: state and comment, outside the item's own passes, latest wins.

A tracker that is slow or away holds no item up. What was shown is on record in `status.tracker`, so that a restart
neither forgets nor repeats it; comments carry a marker by which the tracker refuses a second one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pydantic import ValidationError

from conveyor.api.objects import WorkItem
from conveyor.api.stages import TERMINAL
from conveyor.api.workitem import Monitor, TrackerStatus, WorkItemStatus
from conveyor.cluster.merge_patch import model_patch
from conveyor.cluster.protocol import Key, Kind, Lost, Rejected, Uncertain, Won
from conveyor.engine import lanes
from conveyor.engine.hub import Hub
from conveyor.engine.observe import state_map
from conveyor.engine.outcomes import Again, Done, Outcome, Retry
from conveyor.engine.records import ItemRecord
from conveyor.engine.world import World
from conveyor.pipeline.indication import VERDICTS, LogicalState, StateMap, indicated_state
from conveyor.pipeline.people import later
from conveyor.pipeline.stalled import hears_a_close_later
from conveyor.pipeline.superseding import NEVER_SUPERSEDED
from conveyor.tracker.protocol import Tracker
from conveyor.web.errors import OutsideError, RateLimited


@dataclass(frozen=True, slots=True)
class Remark:
    """A comment; the marker names what it is about, so that it is made once."""

    marker: str
    text: str


def wanted_state(status: WorkItemStatus) -> LogicalState | None:
    if status.stage is None:
        return None
    question = status.last_run.question if status.last_run is not None else ""
    monitor = status.monitor
    return indicated_state(
        status.stage,
        stalled=status.stalled,
        approval=status.approval.gate if status.approval is not None else None,
        question=bool(question) and status.active_run is None,
        monitoring=monitor is not None and monitor.verdict == "Watching",
        degraded=monitor is not None and monitor.verdict == "Degraded",
    )


def remark(item: WorkItem) -> Remark | None:
    """What people have to be told in words; None where the state says it all."""
    status = item.status
    stalled = status.condition("Stalled")
    if status.stalled is not None and stalled is not None:
        return _remark(
            item, f"stalled/{stalled.reason}/{stalled.last_transition_time}", f"A person is needed: {stalled.message}"
        )
    if status.monitor is not None and status.monitor.verdict == "Degraded":
        return _remark(item, f"degraded/{status.monitor.until_time}", _degraded(item, status.monitor))
    last = status.last_run
    if last is not None and last.question and status.active_run is None:
        text = (
            f"The {last.role.value} asks: {last.question}\nAnswer in a comment and set the ticket to a starting state."
        )
        return _remark(item, f"question/{last.name}", text)
    if status.approval is not None:
        said = f"\n{last.summary}" if last is not None and last.summary else ""
        text = f"{status.approval.gate} waits for you: set the ticket to Approved or Rejected.{said}"
        return _remark(item, f"approval/{status.approval.gate}/{status.approval.opened_time}", text)
    return None


def _degraded(item: WorkItem, monitor: Monitor) -> str:
    found = f"What was deployed is degraded: {monitor.message}."
    if not monitor.freeze_id:
        return found
    name = item.spec.repository_ref.name
    return (
        f"{found}\nNothing is started or merged in {name} until a person clears the freeze: "
        f"kubectl workitem unfreeze {name} {monitor.freeze_id}"
    )


def _remark(item: WorkItem, about: str, text: str) -> Remark:
    digest = hashlib.sha256(f"{item.metadata.uid}/{about}".encode()).hexdigest()[:24]
    return Remark(marker=f"conveyor-{digest}", text=text)


class Indicator:
    def __init__(self, world: World, hub: Hub) -> None:
        self._world, self._hub = world, hub
        self._said: dict[Key, str] = {}
        """The marker last used for an item, so that a comment that stands is not sent again and again."""

    async def reconcile(self, key: Key) -> Outcome:
        try:
            with self._hub.showing(key):
                return await self._pass(key)
        except RateLimited as error:
            return Again(max(error.until_seconds, 1.0))
        except OutsideError as error:
            return Retry(f"{type(error).__name__}: {str(error)[:300]}")

    async def _pass(self, key: Key) -> Outcome:
        record = self._world.cache.items.get(key)
        if record is None or not record.issue_id:
            self._said.pop(key, None)
            return Done()
        repository, item = lanes.repository_of(self._world, record), _read(record)
        if item is None or isinstance(repository, str) or item.metadata.deletion_timestamp is not None:
            return Done()  # whoever lets a deleted item go has the last word
        wanted = wanted_state(item.status)
        tracker = await self._world.connections.tracker(repository)
        if wanted is None or tracker is None:
            return Done()
        states = await state_map(tracker, repository)
        return await self._show(item, tracker, states, states.id_of(wanted) or "")

    async def _show(self, item: WorkItem, tracker: Tracker, states: StateMap, state: str) -> Outcome:
        """Words first: whoever sees the state finds the reason beside it. Without a state only the words speak."""
        source, key, seen = item.spec.source, Key(item.metadata.namespace, item.name), item.status.tracker
        if source is None:
            return Done()
        await self._say(item, source.issue_id, tracker, _too_late(item, states) or remark(item))
        if not state or (seen is not None and (seen.indicated_state == state or _is_ended(item, seen, states))):
            return Done()
        if await _is_answered(item, source.issue_id, tracker, states):
            self._hub.ticket_changed(key)
            return Done()
        updated = await tracker.set_state(source.issue_id, state)
        return await self._record(item, TrackerStatus(state=state, ticket_updated_time=updated, indicated_state=state))

    async def _say(self, item: WorkItem, issue_id: str, tracker: Tracker, words: Remark | None) -> None:
        """Once per process, and once at all: the tracker refuses a marker it has."""
        key = Key(item.metadata.namespace, item.name)
        if words is None:
            self._said.pop(key, None)
        elif self._said.get(key) != words.marker:
            await tracker.comment(issue_id, words.text, marker=words.marker)
            self._said[key] = words.marker

    async def _record(self, item: WorkItem, shown: TrackerStatus, *, again: bool = True) -> Outcome:
        patch = model_patch(item.status, item.status.model_copy(update={"tracker": shown}))
        if patch is None:
            return Done()
        key, version = Key(item.metadata.namespace, item.name), item.metadata.resource_version
        match await self._world.cluster.patch_status(Kind.WORKITEM, key, resource_version=version, status=patch):
            case Won(stored):
                self._hub.item_seen(stored)
                return Done()
            case Lost() | Uncertain():
                return await self._record_anew(item, shown, again=again)
            case Rejected(message):
                return Retry(f"the API server rejects status.tracker: {message[:300]}")

    async def _record_anew(self, item: WorkItem, shown: TrackerStatus, *, again: bool) -> Outcome:
        """Somebody wrote the item meanwhile. What the ticket shows is true all the same, and is not set once more, as
        long as nobody has put another word about the ticket on record.
        """
        key = Key(item.metadata.namespace, item.name)
        fresh = await self._world.cluster.get(Kind.WORKITEM, key)
        if fresh is not None:
            self._hub.item_seen(fresh)
        record = self._world.cache.items.get(key)
        now = _read(record) if record is not None else None
        if now is None or (now.metadata.uid, now.status.tracker) != (item.metadata.uid, item.status.tracker):
            return Again(0.2)
        return await self._record(now, shown, again=False) if again else Again(0.2)


def _read(record: ItemRecord) -> WorkItem | None:
    """None for what cannot be read: its own passes say so."""
    try:
        return None if record.invalid else WorkItem.model_validate_json(record.body)
    except ValidationError:
        return None


def _is_ended(item: WorkItem, seen: TrackerStatus, states: StateMap) -> bool:
    """Whether a person cancelled or closed the ticket, and the item is to follow: until it can that word stands."""
    status = item.status
    closed = hears_a_close_later(status) and states.is_terminal(seen.state)
    by_a_person = seen.state != seen.indicated_state and status.stage not in TERMINAL
    return by_a_person and (closed or states.is_cancelled(seen.state))


def _too_late(item: WorkItem, states: StateMap) -> Remark | None:
    """Of a ticket that was cancelled while that is under way which is never broken off."""
    intent, seen = item.status.transition, item.status.tracker
    if intent is None or intent.effect not in NEVER_SUPERSEDED or seen is None:
        return None
    if not states.is_cancelled(seen.state) or not _is_ended(item, seen, states):
        return None
    text = (
        f"{intent.effect.value} is under way and is not broken off: this ticket is looked at again when it has ended."
    )
    return _remark(item, f"too-late/{intent.id}", text)


async def _is_answered(item: WorkItem, issue_id: str, tracker: Tracker, states: StateMap) -> bool:
    """Whether a word of a person that nobody has told us of stands on the ticket: setting a state would wipe it out.

    A verdict on the open gate, or that the ticket is cancelled.
    """
    approval, ticket = item.status.approval, await tracker.ticket(issue_id)
    if ticket is None:
        return False
    if item.status.stage not in TERMINAL and states.is_cancelled(ticket.state_id):
        return True
    verdict = states.logical_of(ticket.state_id) in VERDICTS
    return approval is not None and verdict and later(ticket.updated, approval.opened_time)
