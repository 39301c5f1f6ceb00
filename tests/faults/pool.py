"""Several lanes side by side: most of a case is waiting for other processes, so a lane leaves the processors idle."""

import asyncio
import itertools
import logging
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from tests.faults.cases import Case, Result, Scenario, run
from tests.faults.desk import Write
from tests.faults.lane import Lane, Servers

logger = logging.getLogger(__name__)
GROUPS_PER_LANE = 40
"""A lane is made anew now and then, and after every failure, so that nothing is carried from case to case."""
RESYNC_SECONDS = 3.0
"""For what only the relist finds; where writes are disturbed it stays at its own, so that it hides nothing."""


Group = tuple[Case, ...]
"""Cases that happen on one item's way."""


@dataclass(frozen=True)
class Plan:
    """`patch` is code that runs in each operator before its own."""

    scenarios: Mapping[str, Scenario]
    lanes: int = 4
    patch: str = ""


class Pool:
    def __init__(self, servers: Servers, plan: Plan) -> None:
        self._servers, self._plan = servers, plan
        self._again: set[Case] = set()
        """Cases that are carried out a second time, alone: the way may not have come by the write the first time."""
        self._prefix, self._numbers = f"faults-{secrets.token_hex(3)}", itertools.count(1)

    async def run(self, groups: Iterable[Group], told: Callable[[Case, Result], None]) -> None:
        """All of them; `told` is called as each case has its result. What a group leaves open is done one by one."""
        waiting = deque(sorted(filter(None, groups), key=_kind))
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(self._plan.lanes, len(waiting))):
                tasks.create_task(self._work(waiting, told))

    async def reference(self, scenario: str) -> tuple[Result, list[Write], Mapping[str, int]]:
        """The undisturbed way: its writes, and how many events of each resource there were.

        Not the first of its operator, which writes once what later ones find.
        """
        undisturbed = Case(scenario)
        whole = self._plan.scenarios[scenario]
        async with self._lane(undisturbed) as lane:
            await run(lane, [undisturbed], whole.before or whole)
            (result,), writes = await run(lane, [undisturbed], whole)
            return result, writes, dict(lane.seen)

    async def _work(self, waiting: deque[Group], told: Callable[[Case, Result], None]) -> None:
        while waiting:
            first, started = waiting.popleft(), False
            try:
                async with self._lane(first[0]) as lane:
                    started = True
                    await self._go_through(lane, first, waiting, told)
            except Exception as error:  # a lane that cannot be had or ended must not cost the others
                logger.exception("a lane failed")
                for case in () if started else first:
                    told(case, _broken(case, error))

    async def _go_through(
        self, lane: Lane, first: Group, waiting: deque[Group], told: Callable[[Case, Result], None]
    ) -> None:
        before = self._plan.scenarios[first[0].scenario].before
        if before is not None:
            await run(lane, [], before)
        group = first
        for _ in range(GROUPS_PER_LANE):
            results = await self._attempt(lane, group)
            for case, result in zip(group, results, strict=True):
                if result.outcome == "ok" or case in self._again:
                    told(case, result)
                elif len(group) > 1 or result.outcome == "not reached":
                    self._again.add(case)
                    waiting.append((case,))
                else:
                    told(case, result)
            if any(result.outcome in ("failed", "broken") for result in results):
                return
            if not waiting or _kind(waiting[0]) != _kind(group):
                return
            group = waiting.popleft()

    async def _attempt(self, lane: Lane, group: Group) -> list[Result]:
        try:
            results, _ = await run(lane, group, self._plan.scenarios[group[0].scenario])
        except Exception as error:  # one case that cannot be carried out must not cost the others
            logger.exception("cases %s", group)
            return [_broken(case, error) for case in group]
        return results

    def _lane(self, case: Case) -> Lane:
        resync = RESYNC_SECONDS if case.is_stale else None
        spec = self._plan.scenarios[case.scenario].spec
        name = f"{self._prefix}-{next(self._numbers)}"
        return Lane(self._servers, name, spec, resync=resync, patch=self._plan.patch)


def _broken(case: Case, error: Exception) -> Result:
    return Result(str(case), "broken", 0.0, 0, 0, [f"broken: {type(error).__name__}: {error}"[:500]])


def _kind(group: Group) -> tuple[str, bool]:
    """Groups of one kind can go through one lane."""
    return group[0].scenario, group[0].is_stale
