"""The pass over one WorkItem: observe, decide, act one step.

    reconcile(key) -> Done | Again(after) | Retry(error) | Person(reason)

It carries no state from one pass to the next but the few notes named here, which a restart may lose.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from pydantic import ValidationError

from conveyor.api.objects import Repository, WorkItem
from conveyor.api.stages import TERMINAL
from conveyor.api.workitem import ActiveRun, Transition, WaitingReason
from conveyor.cluster.merge_patch import model_patch
from conveyor.cluster.protocol import JSONObject, Key, Kind, Lost, Rejected, Uncertain, Won, Written
from conveyor.engine import effects, lanes, runs, standing
from conveyor.engine.admission import admit
from conveyor.engine.adopting import Adopting
from conveyor.engine.amend import apply_amend
from conveyor.engine.changes import Changes
from conveyor.engine.deploying import deploy_under_way, held_by
from conveyor.engine.effects import Applied
from conveyor.engine.endings import Endings, hold
from conveyor.engine.events import EventRecorder, Regarding, regarding
from conveyor.engine.hub import Hub
from conveyor.engine.leases import Held, HeldBy, Owner, Unsure
from conveyor.engine.newest import begins_by_repository, is_newest
from conveyor.engine.observe import Subject, observe
from conveyor.engine.orphans import orphan
from conveyor.engine.outcomes import Again, Done, Outcome, Person, Retry, within
from conveyor.engine.policy import policy_of
from conveyor.engine.probing import Prober
from conveyor.engine.records import ItemRecord
from conveyor.engine.reporting import report
from conveyor.engine.slots import Slots
from conveyor.engine.world import World
from conveyor.pipeline.actions import (
    Action,
    Admit,
    Amend,
    Apply,
    Discard,
    LetGo,
    Note,
    ReleaseLeases,
    Settle,
    StartRun,
    StopEffect,
    StopRun,
)
from conveyor.pipeline.case import SOON, Case, wait
from conveyor.pipeline.decide import decide, ticket_again
from conveyor.pipeline.effect_jobs import follow_job
from conveyor.pipeline.ended import may_be_merged_late
from conveyor.pipeline.facts import JobFact, Unknown
from conveyor.pipeline.leases import kept, leases_of, needed
from conveyor.pipeline.orphaned import decide_without_repository
from conveyor.pipeline.requests import wait_to_answer
from conveyor.pipeline.runs import follow
from conveyor.pipeline.wants import Want, wants
from conveyor.web.errors import OutsideError, RateLimited

logger = logging.getLogger(__name__)

SHORTEST_REST = 1.0


class ItemReconciler:
    def __init__(self, world: World, hub: Hub, slots: Slots, events: EventRecorder, *, prober: Prober) -> None:
        self._world, self._hub, self._slots, self._events = world, hub, slots, events
        self._leases, self._prober, self._endings = world.leases, prober, Endings(world, hub, events)
        self._leases.released = hub.lease_released
        self._changes = Changes(world.leases.clock)
        self._adopting = Adopting(world.leases.judge, world.leases.clock)
        self._refusals: dict[Key, tuple[str, Applied]] = {}
        """Transition id, and how its effect was refused a moment ago; taken by the next pass."""
        self._patience = effects.Patience()

    async def reconcile(self, key: Key) -> Outcome:
        record = self._world.cache.items.get(key)
        try:
            if record is None:
                return await self._after_the_end(key)
            if record.rests and self._is_left_alone(record):
                return Done()
            item = self._read(record)
            if isinstance(item, str):
                return await self._unreadable(record, item)
            return await self._pass(record, item)
        except RateLimited as error:
            return Again(max(error.until_seconds, 1.0))
        except OutsideError as error:
            return Retry(f"{type(error).__name__}: {str(error)[:300]}")

    def _is_left_alone(self, record: ItemRecord) -> bool:
        """Whether nobody says anything new of it, and nothing of ours is left of it."""
        left = self._world.cache.jobs_of(record.key) or self._leases.held(record.uid)
        return not left and not self._hub.ticket_notes(record.key)

    def _read(self, record: ItemRecord) -> WorkItem | str:
        if record.invalid:
            return record.invalid
        try:
            return WorkItem.model_validate_json(record.body)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"

    def _cached(self, key: Key) -> WorkItem | None:
        """The item as it stands now, as far as we have heard; None where it is gone or cannot be read."""
        record = self._world.cache.items.get(key)
        item = self._read(record) if record is not None else None
        return item if isinstance(item, WorkItem) else None

    async def _after_the_end(self, key: Key) -> Outcome:
        """The item is gone: let go of its finished Jobs, which nobody will ask any more."""
        self._refusals.pop(key, None)
        self._patience.forget(key)
        self._adopting.forget(key)
        await runs.tidy(self._world, [job for job in self._world.cache.jobs_of(key) if job.left_over])
        await self._leases.release_gone(key)
        return Done()

    async def _unreadable(self, record: ItemRecord, why: str) -> Outcome:
        """Nothing is written over what we do not understand: an Event, a metric and the log say so."""
        self._world.telemetry.invariant_violated("UnreadableWorkItem")
        logger.error("item cannot be read", extra={"key": str(record.key), "error": why[:300]})
        note = Note("Unreadable", f"this item is left alone, for it cannot be read: {why}", warning=True)
        await self._events.record(Regarding(Kind.WORKITEM, record.key, record.uid), (note,))
        return Person(why)

    async def _pass(self, record: ItemRecord, item: WorkItem) -> Outcome:
        repository = lanes.repository_of(self._world, record)
        if isinstance(repository, str):
            return await self._without_repository(record, item, why=repository)
        notes = self._hub.ticket_notes(record.key)
        case = await self._case(record, item, repository, look_at_ticket=notes > 0)
        try:
            action = await self._owned(case, self._claimed(record, case))
            again = ticket_again(case, action) if notes > 0 else None
            outcome = await self._act(case, action, notes=notes if again is None else 0)
            if (run := standing.claims(case, action)) is not None:
                outcome = await self._start_claimed(case, run, outcome)
        finally:
            if self._slots.put_back(record.key):
                self._hub.wake_for_slot()
        await self._release(record.key, case)
        if not isinstance(action, LetGo):  # which has done that itself
            await self._tidy(record.key)
        return within(again or SOON, outcome) if again or self._may_start(record.key) else outcome

    async def _without_repository(self, record: ItemRecord, item: WorkItem, *, why: str) -> Outcome:
        found = await orphan(self._world, self._hub, record, item)
        if found is None:
            return Again(0.0)
        action = decide_without_repository(found, why)
        await self._leases.release(item.metadata.uid)
        if isinstance(action, Settle):
            return await self._settle(item, action)
        return await self._endings.carry_out(item, None, action)

    def _claimed(self, record: ItemRecord, case: Case) -> Action:
        """The decision, with a slot taken for the run that it claims."""
        action = decide(case)
        if standing.claims(case, action) is not None and not self._slots.take(record):
            return decide(replace(case, facts=replace(case.facts, slot_free=False)))
        return action

    async def _owned(self, case: Case, action: Action) -> Action:
        """The action, with the Leases that it needs in our hands; else to wait for them, or to look again."""
        owner, names = _owner(case.item), needed(case.item, action, enabled=case.policy.transition_lease)
        intent = case.status.transition
        adopts = intent is not None and standing.adopts(intent, action)
        if intent is not None and adopts and not names:
            return action if await self._adopting.is_left(owner.key, intent) else Settle(case.status, after=1.0)
        if text := deploy_under_way(self._world, case, action):
            return wait_to_answer(case, WaitingReason.LEASE, text, after=case.policy.poll_seconds)
        for name in sorted(names):
            match await self._leases.take(name, owner):
                case Held() if adopts and not await self._leases.confirm(name, owner):
                    return Settle(case.status, after=1.0)  # who put the intent in its name had the Lease from us
                case Held():
                    continue
                case HeldBy(holder) if holder.endswith(f"/{owner.uid}"):
                    return Settle(case.status, after=SOON)  # whoever has it writes this very status
                case HeldBy(holder):
                    text = held_by(self._world, case, name=name, holder=holder)
                    return wait_to_answer(case, WaitingReason.LEASE, text, after=case.policy.poll_seconds)
                case Unsure(reason):
                    return wait_to_answer(
                        case, WaitingReason.LEASE, f"Lease {name} cannot be taken now: {reason}", after=1.0
                    )
        if begins_by_repository(case, action) and not await is_newest(self._world, self._hub, case):
            return Settle(case.status, after=SHORTEST_REST)
        return action

    async def _release(self, key: Key, case: Case) -> None:
        """What the item as it stands now no longer needs."""
        if not self._leases.held(case.item.metadata.uid):
            return
        item = self._cached(key)
        if item is not None:
            keep = kept(item, enabled=case.policy.transition_lease)
            await self._leases.release(item.metadata.uid, keep=keep)

    async def _tidy(self, key: Key) -> None:
        """Jobs that the item, as it stands now, waits for no more: the step that took an answer may be its last."""
        jobs = [job for job in self._world.cache.jobs_of(key) if job.left_over]
        item = self._cached(key) if jobs else None
        if item is not None:
            await runs.tidy(self._world, runs.untidy(item, jobs))

    def _may_start(self, key: Key) -> bool:
        """Whether a slot got free while it was put on record that there is none: nobody would tell."""
        record = self._world.cache.items.get(key)
        return record is not None and record.waiting == WaitingReason.RUN_SLOT and self._slots.free(record)

    async def _case(self, record: ItemRecord, item: WorkItem, repository: Repository, *, look_at_ticket: bool) -> Case:
        lane = lanes.lane_of(self._world, record, repository)
        may_be_merged = may_be_merged_late(item, now=self._world.now())
        wanted = wants(item, repository, lane, look_at_ticket=look_at_ticket, may_be_merged=may_be_merged)
        facts = await observe(
            Subject(item, repository, wanted),
            self._world.cluster,
            self._world.connections,
            changes=self._changes,
            lane=lane,
            slot_free=self._slots.free(record),
            nonce=self._world.nonce(),
        )
        if Want.TICKET in wanted:
            facts = replace(facts, **lanes.blockers(self._world, record, facts.ticket))
        if any(isinstance(getattr(facts, want.value), Unknown) for want in wanted):
            self._world.telemetry.gate_error()
        if record.watched_until is not None:
            facts = replace(facts, probes=self._prober.watch(record))
        about, refused = self._refusals.pop(record.key, ("", None))
        transition = item.status.transition
        if transition is not None and transition.id == about and refused is not None:
            facts = replace(facts, refusal=refused.refusal, conflict=refused.conflict)
        return Case(item, repository, facts, await policy_of(self._world, item, repository), self._world.now())

    # --- acting

    async def _act(self, case: Case, action: Action, *, notes: int) -> Outcome:
        match action:
            case Settle():
                return await self._settle(case.item, action, notes=notes)
            case Admit():
                return await self._admit(case, notes)
            case StartRun(run):
                return await self._start(case, run)
            case StopRun() | StopEffect() | LetGo():
                return await self._endings.carry_out(case.item, case.repository, action)
            case Apply(transition):
                return await self._apply(case, transition)
            case Amend():
                return await apply_amend(self._world, self._hub, case.item, action)
            case ReleaseLeases():
                return await self._take_leases_away(case.item, action)
            case Discard(why):
                return await self._discard(case.item, why)

    async def _admit(self, case: Case, notes: int) -> Outcome:
        """With the lane won the intent follows at once, from the same facts: nobody else gets in between."""
        admitted = await admit(self._world, self._hub, case.item, case.repository)
        if not isinstance(admitted, Repository):
            return admitted
        action = decide(replace(case, repository=admitted, facts=replace(case.facts, admitted=True)))
        return await self._settle(case.item, action, notes=notes) if isinstance(action, Settle) else Again(0.5)

    async def _start_claimed(self, case: Case, run: ActiveRun, outcome: Outcome) -> Outcome:
        """With the claim on record its run follows at once; where more has changed since, another pass looks first."""
        item = self._cached(_key(case.item))
        if item is None or not standing.has_run(item, run, before=case.item):
            return outcome
        await self._release(_key(item), case)  # what a start reads may take its time
        return await self._start(replace(case, item=item), run)

    async def _start(self, case: Case, run: ActiveRun) -> Outcome:
        """With the Job created, its uid goes on record from the answer, and nothing else is decided."""
        started = await runs.start(self._world, case.item, case.repository, run)
        if isinstance(started, JobFact):
            item = self._cached(_key(case.item))  # what the ticket shows may have gone on record meanwhile
            if item is None or not standing.has_run(item, run, before=case.item):
                return Again(0.0)
            action = follow(replace(case, item=item, facts=replace(case.facts, run_job=started)), run)
            return await self._settle(item, action) if isinstance(action, Settle) else Again(0.0)
        if not isinstance(started, str):
            return started
        text = f"the {run.role.value} cannot be started: {started}"
        return await self._settle(case.item, wait(case, WaitingReason.RUN, text, on=("Job", run.name), after=SOON))

    async def _apply(self, case: Case, transition: Transition) -> Outcome:
        applied = await effects.apply(self._world, case.item, case.repository, transition)
        if applied.refusal:
            self._refusals[_key(case.item)] = (transition.id, applied)
        if applied.result == "superseded":
            return await self._look_anew(_key(case.item))
        if applied.created is not None:
            return await self._put_down(case, transition, applied.created)
        if applied.result == "applied":
            return Again(applied.after)
        return Again(max(applied.after, self._patience.pause(_key(case.item), transition.id, now=self._leases.clock())))

    async def _put_down(self, case: Case, transition: Transition, job: JobFact) -> Outcome:
        """The uid of an effect's Job goes on record from the answer; another pass lets it begin."""
        item = self._cached(_key(case.item))
        if item is None or not standing.has_intent(item, transition, before=case.item):
            return Again(0.0)
        action = follow_job(replace(case, item=item, facts=replace(case.facts, effect_job=job)), transition)
        return await self._settle(item, action) if isinstance(action, Settle) else Again(0.0)

    async def _take_leases_away(self, item: WorkItem, action: ReleaseLeases) -> Outcome:
        """First they go, then it is said: dead in between, the next process finds none and says so."""
        gone = await self._leases.force_release(_owner(item), leases_of(item))
        if gone:
            logger.warning("leases released by force", extra={"key": str(_key(item)), "leases": gone})
        return await self._settle(item, action.released if gone else action.nothing)

    async def _settle(self, item: WorkItem, action: Settle, *, notes: int = 0) -> Outcome:
        """`notes`: how many said that the ticket is to be read, and it was: what stands has heard them."""
        key, patch = _key(item), model_patch(item.status, action.status)
        if patch is None:
            self._hub.ticket_was_read(key, notes)
            # What changes nothing is never asked for again at once, or it would be asked for without end.
            return Done() if action.after is None else Again(max(action.after, SHORTEST_REST))
        if self._is_outdated(item):
            return Again(0.0)
        match await self._write(item, action, patch):
            case Won(stored):
                self._hub.ticket_was_read(key, notes)
                self._hub.item_written(stored)
                if action.status.transition != item.status.transition:
                    self._leases.stepped(item.metadata.uid)
                report(self._world.telemetry, item, action, now=self._world.now())
                await self._events.record(regarding(item), action.notes)
                ended = item.held and action.status.stage in TERMINAL
                return Again(0.0) if ended else (Done() if action.after is None else Again(action.after))
            case Lost():
                self._world.telemetry.conflict()
                return await self._look_anew(key)
            case Uncertain():
                return await self._look_anew(key)
            case Rejected(message):
                self._world.telemetry.invariant_violated("WriteRejected")
                return Retry(f"the API server rejects the next status: {message[:300]}")

    async def _write(self, item: WorkItem, action: Settle, patch: JSONObject) -> Written:
        """On the version decided upon. Before the first intent goes the finalizer, which is no part of a status."""
        key, version = _key(item), item.metadata.resource_version
        if action.status.transition is not None and not item.held:
            held = await hold(self._world, item)
            if not isinstance(held, Won):
                return held
            version = held.object["metadata"]["resourceVersion"]
        return await self._world.cluster.patch_status(Kind.WORKITEM, key, resource_version=version, status=patch)

    def _is_outdated(self, item: WorkItem) -> bool:
        """Whether we have heard meanwhile of a newer version: a write on this one is refused, and need not be sent."""
        record = self._world.cache.items.get(_key(item))
        return (
            record is not None
            and record.uid == item.metadata.uid
            and record.version > int(item.metadata.resource_version)
        )

    async def _look_anew(self, key: Key) -> Outcome:
        """Somebody else wrote, or nobody knows: read what is there and decide anew, never write the same again."""
        fresh = await self._world.cluster.get(Kind.WORKITEM, key)
        if fresh is None:
            return Done()
        self._hub.item_written(fresh)
        return Again(0.0)

    async def _discard(self, item: WorkItem, why: str) -> Outcome:
        """On the version decided upon: one that was begun since, or is to be looked at anew, stays."""
        logger.info("item discarded", extra={"key": str(_key(item)), "why": why})
        metadata = item.metadata
        await self._world.cluster.delete(
            Kind.WORKITEM, _key(item), uid=metadata.uid, resource_version=metadata.resource_version
        )
        return Again(SHORTEST_REST)


def _key(item: WorkItem) -> Key:
    return Key(item.metadata.namespace, item.name)


def _owner(item: WorkItem) -> Owner:
    return Owner(_key(item), item.metadata.uid, item.spec.repository_ref.name)
