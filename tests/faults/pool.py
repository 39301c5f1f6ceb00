"""Several lanes side by side: most of a case is waiting for other processes, so a lane leaves the processors idle."""

import asyncio
import contextlib
import itertools
import logging
import secrets
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
        waiting = asyncio.Queue[Case]()
        for case in sorted(cases, key=_is_stale):
            waiting.put_nowait(case)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._plan.lanes, waiting.qsize())):
                group.create_task(self._work(waiting, told))

    async def reference(self, scenario: str) -> tuple[Result, list[Write], Mapping[str, int]]:
        """The undisturbed way: its writes, and how many events of each resource there were.

        Not the first of its operator, which writes once what later ones find.
        """
        async with self._lane(None) as lane:
            await run(lane, Case(scenario), self._plan.scenarios[scenario])
            result, writes = await run(lane, Case(scenario), self._plan.scenarios[scenario])
            return result, writes, dict(lane.seen)

    async def _work(self, waiting: asyncio.Queue[Case], told: Callable[[Case, Result], None]) -> None:
        while not waiting.empty():
            first = waiting.get_nowait()
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

    def _lane(self, case: Case | None) -> Lane:
        resync = RESYNC_SECONDS if case is not None and _is_stale(case) else None
        return Lane(self._servers, f"{self._prefix}-{next(self._numbers)}", resync=resync, patch=self._plan.patch)


def _is_stale(case: Case) -> bool:
    return isinstance(case.target, StaleTarget)


def _next(waiting: asyncio.Queue[Case], *, like: Case) -> Case | None:
    """The next case, if it can go through the same lane."""
    with contextlib.suppress(asyncio.QueueEmpty):
        case = waiting.get_nowait()
        if _is_stale(case) == _is_stale(like):
            return case
        waiting.put_nowait(case)
    return None
