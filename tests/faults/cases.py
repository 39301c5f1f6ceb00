"""A case is one thing that goes wrong on an item's way from admission to its end, and what came of it."""

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from conveyor.engine.leases import RENEW_SECONDS
from conveyor.engine.renewing import ROUNDS_PER_SWEEP
from tests.faults.agents import Work
from tests.faults.desk import Write
from tests.faults.faults import Fault, Stale, Target
from tests.faults.judge import Evidence, Expected, findings, unfinished
from tests.faults.lane import Lane
from tests.faults.limits import LIMITS, Limit
from tests.faults.project import Project
from tests.faults.stale import StaleTarget

LIMIT_SECONDS, MORE_SECONDS = 180.0, 20.0
"""Until an item must have come to its end, and how much more for each fault. An idle machine needs a tenth."""
QUIET_SECONDS, LATE_SECONDS = 0.3, 2.0
"""How long it is watched afterwards, without and with a request that arrived after the end."""
CLEARED_SECONDS = ROUNDS_PER_SWEEP * RENEW_SECONDS + 10.0
"""Until a Lease that the dead took too late has been swept away: nobody is told of it."""
LEAST_COVERAGE = 40.0
"""Each item has a hundredth more than the one before, so that the mark is raised by each."""
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Scenario:
    """What the Repository asks for, what happens beside, and what must have come of it."""

    name: str
    spec: Mapping[str, Any]
    expected: Expected
    beside: Mapping[str, Callable[[Project], None]] = field(default_factory=dict)
    failing: frozenset[str] = frozenset()
    """Effect Jobs that end with an error."""
    before: "Scenario | None" = None
    """What an item of the lane has to have gone through first, undisturbed."""
    since: str = ""
    """The first write that is disturbed; those before it are another scenario's."""
    watches: bool = False
    """Whether it is what the operator hears that is disturbed here, and not what it writes."""


@dataclass(frozen=True)
class Case:
    scenario: str
    target: Target | StaleTarget | None = None
    fault: Fault | Stale | None = None

    @property
    def is_stale(self) -> bool:
        """Whether it is about what the operator hears, and not about what it writes."""
        return isinstance(self.target, StaleTarget)

    @property
    def limit(self) -> Limit | None:
        at, fault = self.target, self.fault
        return LIMITS.get((at.write, fault)) if isinstance(at, Target) and isinstance(fault, Fault) else None

    def __str__(self) -> str:
        return f"{self.scenario} | {self.target or 'nothing'} | {self.fault or 'no fault'}"


@dataclass
class Result:
    case: str
    outcome: str
    """`ok`, `not reached` (the write never came, so nothing went wrong), `known limit` or `failed`."""
    seconds: float
    """From the item's creation to its end."""
    crashes: int
    """Times that the operator was killed on that way; of several cases on one way the first has them."""
    writes: int
    findings: list[str] = field(default_factory=list)
    log: str = ""
    """The end of the operator's log, of failures."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


async def run(lane: Lane, group: Sequence[Case], scenario: Scenario) -> tuple[list[Result], list[Write]]:
    """One item, on whose way all of these happen; a result for each, and the writes that went past."""
    number = next(_numbers)
    name = f"c{number}"
    before = await asyncio.to_thread(lane.project.look)
    coverage = round(LEAST_COVERAGE + number / 100, 2)
    work = Work(lane.project, beside=scenario.beside, coverage=coverage, failing=scenario.failing)
    crashes, offset = lane.crashes, lane.log.stat().st_size
    lane.audit.offences.clear()
    _arm(lane, group)
    await lane.begin(name, work)

    def is_over() -> bool:
        return not any(unfinished(lane.audit, name, scenario.expected))

    took = await lane.until(is_over, LIMIT_SECONDS, per_fault=MORE_SECONDS)
    await _afterwards(lane, is_over)
    evidence = Evidence(
        audit=lane.audit,
        name=name,
        found=(await asyncio.to_thread(lane.project.look)).since(before),
        ran=list(work.ran),
        offences=[*lane.desk.offences, *lane.audit.offences],
        coverage=coverage,
        log=lane.log.read_bytes()[offset:].decode(errors="replace"),
    )
    wrong = list(findings(evidence, scenario.expected))
    reached = [case for case in group if _happened(lane, case)]
    writes, lane.seen = lane.desk.writes, dict(lane.watches.events)
    _arm(lane, ())
    if not await lane.remove(name):
        wrong.append("half: the item cannot be deleted")
    if scenario.expected.stalled:
        await lane.unfreeze()
    log = evidence.log[-6000:] if wrong else ""
    outcome = "ok" if not wrong else "known limit" if _is_known(group, wrong) else "failed"
    whole = Result("", outcome, round(took, 2), lane.crashes - crashes, len(writes), wrong, log)
    missed = replace(whole, outcome="failed" if wrong else "not reached")
    results = [replace(whole if case in reached else missed, case=str(case)) for case in group]
    return [results[0], *(replace(result, crashes=0) for result in results[1:])], writes


def _arm(lane: Lane, group: Sequence[Case]) -> None:
    """What happens to the next item; nothing, of an empty group."""
    targets = {case.target: case.fault for case in group}
    lane.watches.begin(next((target for target in targets if isinstance(target, StaleTarget)), None))
    lane.desk.begin({at: fault for at, fault in targets.items() if isinstance(at, Target) and isinstance(fault, Fault)})


def _is_known(group: Sequence[Case], wrong: Sequence[str]) -> bool:
    limit = group[0].limit
    return len(group) == 1 and limit is not None and limit.covers(wrong)


def _happened(lane: Lane, case: Case) -> bool:
    match case.target:
        case Target() as target:
            return lane.desk.fired(target)
        case StaleTarget():
            return lane.watches.fired > 0
        case _:
            return True


async def _afterwards(lane: Lane, is_over: Callable[[], bool]) -> None:
    """What was held back arrives; then nothing more may happen, and what does is to be over again."""
    late = await lane.desk.at_the_end()
    await asyncio.sleep(LATE_SECONDS if late else QUIET_SECONDS)
    await lane.until(is_over, CLEARED_SECONDS if late else 2.0)
