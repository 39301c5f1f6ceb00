"""Who else is at work in `whole-path`: the team lead, who lets everything pass, and CI, which can be made to wait."""

from __future__ import annotations

import asyncio

from benchmarks.whole_world import Item, WholeWorld, patiently

LOOK_SECONDS = 0.1
BACK = ("Coverage", "Conflict", "CI", "Review", "Testing", "Image", "Staging", "Deploy")
"""Causes of rework."""
GATE_STATES = ("Needs Input", "Awaiting Deploy")


class People:
    """`run` for ever. What waits in the re-test stays there until `released` is set, or for good if it fails."""

    def __init__(self, world: WholeWorld) -> None:
        self._world = world
        self._answered: set[tuple[str, str]] = set()
        self._tested: set[tuple[str, str]] = set()
        self.released = asyncio.Event()
        self._tasks = asyncio.TaskGroup()

    async def run(self) -> None:
        async with self._tasks:
            while True:
                for item in self._world.items.values():
                    self._look(item)
                await asyncio.sleep(LOOK_SECONDS)

    def in_retest(self) -> int:
        """How many items wait for CI on the commit that was rebased."""
        return sum(self._head_in_retest(item) != "" for item in self._world.items.values())

    def is_done(self, item: Item) -> bool:
        """Deployed, found healthy, and said so on its ticket."""
        status = self._world.audit.status(item.name)
        healthy = (status.get("monitor") or {}).get("verdict") == "Healthy"
        return status.get("stage") == "done" and healthy and self._state(item) == "Done"

    def sent_back(self) -> str:
        """An item that goes back to work, which none should; empty: there is none."""
        found = {name: self._world.audit.status(name).get("attempts") or [] for name in self._world.items}
        return next((name for name, charged in found.items() if any(one["cause"] in BACK for one in charged)), "")

    def stages(self) -> dict[str, int]:
        """How many items are in which stage."""
        found = [self._world.audit.status(name).get("stage", "none") for name in self._world.items]
        return {stage: found.count(stage) for stage in sorted(set(found))}

    def _look(self, item: Item) -> None:
        gate = (self._world.audit.status(item.name).get("approval") or {}).get("gate", "")
        if gate and (item.name, gate) not in self._answered and self._state(item) in GATE_STATES:
            self._answered.add((item.name, gate))
            self._world.tracker.move(item.ticket, "Approved")
        head = self._head_in_retest(item)
        if head and self.released.is_set() and (item.name, head) not in self._tested:
            self._tested.add((item.name, head))
            project = self._world.projects[item.lane]
            self._tasks.create_task(asyncio.to_thread(patiently, lambda: project.call_green(head)))

    def _head_in_retest(self, item: Item) -> str:
        status = self._world.audit.status(item.name)
        waits = (status.get("waiting") or {}).get("reason") == "CI" and status.get("stage") == "deploy-staging"
        return str(status.get("headSHA", "")) if waits else ""

    def _state(self, item: Item) -> str:
        ticket = self._world.tracker.store.ticket(item.ticket)
        return self._world.tracker.store.project(ticket.project_id).state(ticket.state_id).name
