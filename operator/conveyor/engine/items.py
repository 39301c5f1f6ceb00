"""The pass over one WorkItem: observe, decide, act one step.

    reconcile(key) -> Done | Again(after) | Retry(error) | Person(reason)

It carries no state from one pass to the next but the few notes named here, which a restart may lose.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from pydantic import ValidationError

from conveyor.api.objects import Repository, WorkItem
from conveyor.cluster.merge_patch import merge_patch
from conveyor.cluster.protocol import Key, Kind, Lost, Rejected, Uncertain, Won
from conveyor.engine import effects, lanes, runs
from conveyor.engine.admission import admit
from conveyor.engine.events import EventRecorder
from conveyor.engine.hub import Hub
from conveyor.engine.observe import Subject, observe
from conveyor.engine.outcomes import Again, Done, Outcome, Person, Retry
from conveyor.engine.records import ItemRecord
from conveyor.engine.slots import Slots
from conveyor.engine.world import World
from conveyor.pipeline.actions import Action, Admit, Apply, Discard, Settle, StartRun, StopRun
from conveyor.pipeline.case import Case, Policy
from conveyor.pipeline.decide import decide, decide_without_repository
from conveyor.pipeline.facts import Unknown
from conveyor.pipeline.wants import Want, wants
from conveyor.web.errors import OutsideError, RateLimited

logger = logging.getLogger(__name__)


class ItemReconciler:
    def __init__(self, world: World, hub: Hub, slots: Slots, events: EventRecorder) -> None:
        self._world, self._hub, self._slots, self._events = world, hub, slots, events
        self._refusals: dict[str, str] = {}
        """By transition id: why its effect was refused a moment ago; taken by the next pass."""

    async def reconcile(self, key: Key) -> Outcome:
        record = self._world.cache.items.get(key)
        if record is None:
            return Done()
        item = self._read(record)
        if isinstance(item, str):
            self._world.telemetry.invariant_violated("UnreadableWorkItem")
            return Person(item)
        try:
            return await self._pass(record, item)
        except RateLimited as error:
            return Again(max(error.until_seconds, 1.0))
        except OutsideError as error:
            return Retry(f"{type(error).__name__}: {str(error)[:300]}")

    def _read(self, record: ItemRecord) -> WorkItem | str:
        if record.invalid:
            return record.invalid
        try:
            return WorkItem.model_validate_json(record.body)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"

    async def _pass(self, record: ItemRecord, item: WorkItem) -> Outcome:
        repository = lanes.repository_of(self._world, record)
        if isinstance(repository, str):
            return await self._settle(item, decide_without_repository(item, self._world.now(), repository))
        case = await self._case(record, item, repository)
        action = decide(case)
        if _claims(case, action) and not self._slots.take(record):
            action = decide(replace(case, facts=replace(case.facts, slot_free=False)))
        try:
            outcome = await self._act(case, action)
        finally:
            self._slots.put_back(record.key)
        await runs.tidy(self._world, runs.untidy(item, self._world.cache.jobs_of(record.key)))
        return outcome

    async def _case(self, record: ItemRecord, item: WorkItem, repository: Repository) -> Case:
        lane = lanes.lane_of(self._world, record, repository)
        look = self._hub.take_ticket_flag(record.key)
        wanted = wants(item, repository, lane, look_at_ticket=look)
        facts = await observe(
            Subject(item, repository, wanted),
            self._world.cluster,
            self._world.connections,
            lane=lane,
            slot_free=self._slots.free(record),
            nonce=self._world.nonce(),
        )
        facts = replace(facts, **lanes.blockers(self._world, record, facts.ticket))
        if any(isinstance(getattr(facts, want.value), Unknown) for want in wanted):
            self._world.telemetry.gate_error()
        if look and Want.TICKET in wanted and isinstance(facts.ticket, Unknown):
            self._hub.put_back_ticket_flag(record.key)
        transition = item.status.transition
        if transition is not None:
            facts = replace(facts, refusal=self._refusals.pop(transition.id, ""))
        return Case(item, repository, facts, await self._policy(repository), self._world.now())

    async def _policy(self, repository: Repository) -> Policy:
        settings = self._world.settings
        logins = await self._world.connections.agent_logins(repository)
        return Policy(
            holder=settings.holder,
            poll_seconds=settings.reconcile_interval_seconds,
            dependencies=settings.dependencies,
            dependencies_source=settings.dependencies_source,
            agent_logins=frozenset(logins.values()),
            reviewer_login=logins.get("reviewer", ""),
        )

    # --- acting

    async def _act(self, case: Case, action: Action) -> Outcome:
        match action:
            case Settle():
                return await self._settle(case.item, action)
            case Admit():
                return await admit(self._world, self._hub, case.item, case.repository)
            case StartRun(run):
                return await runs.start(self._world, case.item, case.repository, run)
            case StopRun(run):
                return await runs.stop(self._world, case.item, run)
            case Apply(transition):
                applied = await effects.apply(self._world, case.item, case.repository, transition)
                if applied.refusal:
                    self._refusals[transition.id] = applied.refusal
                return Again(applied.after)
            case Discard(why):
                return await self._discard(case.item, why)

    async def _settle(self, item: WorkItem, action: Settle) -> Outcome:
        patch = merge_patch(item.status.dump(), action.status.dump())
        rest: Outcome = Done() if action.after is None else Again(action.after)
        if patch is None:
            return rest
        key = _key(item)
        version = item.metadata.resource_version
        match await self._world.cluster.patch_status(Kind.WORKITEM, key, resource_version=version, status=patch):
            case Won(stored):
                self._hub.item_written(stored)
                self._report(item, action)
                await self._events.record(item, action.notes)
                return rest
            case Lost():
                self._world.telemetry.conflict()
                return await self._look_anew(key)
            case Uncertain():
                return await self._look_anew(key)
            case Rejected(message):
                self._world.telemetry.invariant_violated("WriteRejected")
                logger.error("the API server rejects a status", extra={"key": str(key), "error": message[:500]})
                return Person(f"the API server rejects the next status: {message[:200]}")

    async def _look_anew(self, key: Key) -> Outcome:
        """Somebody else wrote, or nobody knows: read what is there and decide anew, never write the same again."""
        fresh = await self._world.cluster.get(Kind.WORKITEM, key)
        if fresh is None:
            return Done()
        self._hub.item_written(fresh)
        return Again(0.0)

    def _report(self, item: WorkItem, action: Settle) -> None:
        status, last = action.status, action.status.last_run
        if action.moved is not None:
            entered = item.status.stage_entered_time
            seconds = (self._world.now() - entered).total_seconds() if entered is not None else None
            self._world.telemetry.stage_moved(action.moved, seconds_in_stage=seconds)
            moved = {"from": action.moved.from_stage, "to": action.moved.to_stage, "cause": action.moved.cause}
            logger.info("stage moved", extra={"key": str(_key(item)), **moved})
        if last is not None and last != item.status.last_run and status.active_run is None:
            took = (last.finished_time - last.started_time).total_seconds()
            self._world.telemetry.run_finished(last.role.value, last.verdict.value, seconds=took)

    async def _discard(self, item: WorkItem, why: str) -> Outcome:
        logger.info("item discarded", extra={"key": str(_key(item)), "why": why})
        await self._world.cluster.delete(Kind.WORKITEM, _key(item), uid=item.metadata.uid)
        return Done()


def _key(item: WorkItem) -> Key:
    return Key(item.metadata.namespace, item.name)


def _claims(case: Case, action: Action) -> bool:
    """Whether the action records a run that was not there before."""
    if not isinstance(action, Settle) or action.status.active_run is None:
        return False
    old = case.status.active_run
    return old is None or old.name != action.status.active_run.name
