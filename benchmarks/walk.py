"""One item walked through the pipeline in memory, to have statuses that the pipeline itself has made.

What is stored is then what the operator would have written, and finding it, the operator has nothing to write.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import cast

from benchmarks import naming, templates
from benchmarks.outside import InstantJobs, InventedForge, InventedTracker, Mood, Outside
from benchmarks.templates import UID, Template
from conveyor.api.objects import Repository, WorkItem
from conveyor.api.repository import ActiveItem
from conveyor.api.stages import Stage
from conveyor.api.workitem import TrackerStatus, WorkItemSpec, WorkItemStatus
from conveyor.cluster.protocol import Cluster, JSONObject, Key
from conveyor.engine.changes import Changes
from conveyor.engine.connections import Connections
from conveyor.engine.indicate import wanted_state
from conveyor.engine.observe import Subject, observe, state_map
from conveyor.forge.protocol import Forge
from conveyor.pipeline.actions import Action, Admit, Apply, Settle, StartRun
from conveyor.pipeline.case import Case, Policy
from conveyor.pipeline.decide import decide
from conveyor.pipeline.facts import JobFact
from conveyor.pipeline.lane import Lane
from conveyor.pipeline.wants import wants
from conveyor.tracker.protocol import Tracker

POLICY = Policy(holder="benchmark", agent_logins=frozenset({naming.REVIEWER}), reviewer_login=naming.REVIEWER)
FREE = Lane(ready=True, not_ready="", first=True)
OCCUPIED = replace(FREE, occupied_by="another", first=False)
MAX_STEPS = 100

Reached = Callable[[WorkItemStatus], bool]


class Walk:
    """The clock goes by half a minute a step from a fixed time, so that the same statuses come out each time."""

    def __init__(
        self, repository_spec: JSONObject, *, ticket: bool, mood: Mood = Mood.GREEN, lane: Lane = FREE
    ) -> None:
        number = naming.TEMPLATE_NUMBER
        self._repository, self._lane, self._now = templates.repository(repository_spec), lane, templates.START
        outside = Outside(mood=lambda _: mood, heads={number: None}, ticket_states={number: "state-to-analyse"})
        forge = InventedForge(outside, repository=naming.TEMPLATE_LANE, login=naming.OPERATOR)
        tracker = InventedTracker(outside, identifier="SHOP") if ticket else None
        self._outside, self._doors = outside, _Doors(forge, tracker)
        self._spec = templates.item_spec(ticket=ticket)
        self._item = WorkItem(
            metadata=templates.metadata(naming.item(number)), spec=WorkItemSpec.model_validate(self._spec)
        )

    async def until(self, reached: Reached) -> Template:
        for _ in range(MAX_STEPS):
            if reached(self._item.status):
                return Template(self._spec, self._item.status.dump())
            await self._step()
        raise RuntimeError(f"in {MAX_STEPS} steps the item only came to {self._item.status.stage}")

    async def to_rest(self) -> Template:
        """To where only something outside can move it."""
        for _ in range(MAX_STEPS):
            before = self._item.status
            action = await self._step()
            if isinstance(action, Settle) and self._item.status == before:
                return Template(self._spec, before.dump())
        raise RuntimeError(f"after {MAX_STEPS} steps nothing holds the item; it is in {self._item.status.stage}")

    def cancel(self) -> None:
        self._spec = self._spec | {"cancel": True}
        self._item = self._item.model_copy(update={"spec": WorkItemSpec.model_validate(self._spec)})

    async def _step(self) -> Action:
        self._now += timedelta(seconds=30)
        wanted = wants(self._item, self._repository, self._lane, look_at_ticket=False)
        facts = await observe(
            Subject(self._item, self._repository, wanted),
            cast("Cluster", self._doors),
            cast("Connections", self._doors),
            changes=Changes(lambda: 0.0),
            lane=self._lane,
            slot_free=True,
            nonce="00ff",
        )
        case = Case(self._item, self._repository, facts, POLICY, self._now)
        action = decide(case)
        if isinstance(action, Admit):
            self._act(action)
            action = decide(replace(case, repository=self._repository, facts=replace(facts, admitted=True)))
        self._act(action)
        await self._show()
        return action

    def _act(self, action: Action) -> None:
        number = naming.TEMPLATE_NUMBER
        match action:
            case Settle(status):
                self._set(status)
                if status.stage == Stage.DEPLOY_STAGING:
                    self._outside.merged.add(number)
            case Admit():
                admitted = {"active_item": ActiveItem(name=self._item.name, uid=UID)}
                status_of_lane = self._repository.status.model_copy(update=admitted)
                self._repository = self._repository.model_copy(update={"status": status_of_lane})
            case StartRun(run):
                self._doors.jobs.add(run.name, uid=UID, token=run.token, number=number)
                self._outside.heads[number] = naming.head(number)
            case Apply(transition):
                self._outside.heads[number] = transition.precondition.base_sha
            case _:
                raise RuntimeError(f"nothing is prepared for {action}")

    def _set(self, status: WorkItemStatus) -> None:
        """As the store gives it back: times in whole seconds."""
        stored = WorkItemStatus.model_validate(status.dump())
        self._item = self._item.model_copy(update={"status": stored})

    async def _show(self) -> None:
        """As the engine's indicator does: the ticket shows where the item is."""
        wanted, tracker = wanted_state(self._item.status), self._doors.invented_tracker
        if wanted is None or tracker is None:
            return
        state = (await state_map(tracker, self._repository)).id_of(wanted) or ""
        updated = await tracker.set_state(naming.issue(naming.TEMPLATE_NUMBER), state)
        shown = TrackerStatus(state=state, ticket_updated_time=updated, indicated_state=state)
        self._set(self._item.status.model_copy(update={"tracker": shown}))


class _Doors:
    """What `observe` asks of cluster and connections."""

    def __init__(self, forge: Forge, tracker: Tracker | None) -> None:
        self._forge, self.invented_tracker = forge, tracker
        self.jobs = InstantJobs()

    async def forge(self, _: Repository) -> Forge:
        return self._forge

    async def tracker(self, _: Repository) -> Tracker | None:
        return self.invented_tracker

    async def job(self, key: Key, *, with_message: bool) -> JobFact:
        return self.jobs.get(key.name)
