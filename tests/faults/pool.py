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
from tests.faults.stale import StaleTarget

logger = logging.getLogger(__name__)
CASES_PER_LANE = 40
"""A lane is made anew now and then, and after every failure, so that nothing is carried from case to case."""
RESYNC_SECONDS = 3.0
"""For what only the relist finds; where writes are disturbed it stays at its own, so that it hides nothing."""


@dataclass(frozen=True)
class Plan:
    """`patch` is code that runs in each operator before its own."""

    scenarios: Mapping[str, Scenario]
    lanes: int = 4
    patch: str = ""


class Pool:
    def __init__(self, servers: Servers, plan: Plan) -> None:
        self._servers, self._plan = servers, plan
        self._prefix, self._numbers = f"faults-{secrets.token_hex(3)}", itertools.count(1)

    async def run(self, cases: Iterable[Case], told: Callable[[Case, Result], None]) -> None:
        """All of them; `told` is called as each ends."""
        waiting = deque(sorted(cases, key=_kind))
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._plan.lanes, len(waiting))):
                group.create_task(self._work(waiting, told))

    async def reference(self, scenario: str) -> tuple[Result, list[Write], Mapping[str, int]]:
        """The undisturbed way: its writes, and how many events of each resource there were.

        Not the first of its operator, which writes once what later ones find.
        """
        async with self._lane(Case(scenario)) as lane:
            await run(lane, Case(scenario), self._plan.scenarios[scenario])
            result, writes = await run(lane, Case(scenario), self._plan.scenarios[scenario])
            return result, writes, dict(lane.seen)

    async def _work(self, waiting: deque[Case], told: Callable[[Case, Result], None]) -> None:
        while waiting:
            first = waiting.popleft()
            async with self._lane(first) as lane:
                case: Case | None = first
                for _ in range(CASES_PER_LANE):
                    if case is None:
                        break
                    result = await self._attempt(lane, case)
                    told(case, result)
                    if result.outcome in ("failed", "broken"):
                        break
                    case = _next(waiting, like=case)

    async def _attempt(self, lane: Lane, case: Case) -> Result:
        try:
            result, _ = await run(lane, case, self._plan.scenarios[case.scenario])
            if result.outcome == "not reached":
                result, _ = await run(lane, case, self._plan.scenarios[case.scenario])
        except Exception as error:  # one case that cannot be carried out must not cost the others
            logger.exception("case %s", case)
            return Result(str(case), "broken", 0.0, 0, 0, [f"broken: {type(error).__name__}: {error}"[:500]])
        return result

    def _lane(self, case: Case) -> Lane:
        resync = RESYNC_SECONDS if isinstance(case.target, StaleTarget) else None
        spec = self._plan.scenarios[case.scenario].spec
        name = f"{self._prefix}-{next(self._numbers)}"
        return Lane(self._servers, name, spec, resync=resync, patch=self._plan.patch)


def _kind(case: Case) -> tuple[str, bool]:
    """Cases of one kind can go through one lane."""
    return case.scenario, isinstance(case.target, StaleTarget)


def _next(waiting: deque[Case], *, like: Case) -> Case | None:
    """The next case, if it can go through the same lane."""
    return waiting.popleft() if waiting and _kind(waiting[0]) == _kind(like) else None
