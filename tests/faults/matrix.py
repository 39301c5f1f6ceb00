"""All cases there are: each write of the reference run with each fault, and the events of each watch with theirs."""

from collections.abc import Iterator, Mapping, Sequence

from tests.faults.cases import Case
from tests.faults.desk import Write
from tests.faults.faults import LATE, Fault, Stale, Target
from tests.faults.stale import StaleTarget

EVERY_NTH_EVENT = 3
"""Of a watch's events each third is disturbed: they are alike, and there are many."""


def cases(scenario: str, writes: Sequence[Write], events: Mapping[str, int]) -> Iterator[Case]:
    for write in writes:
        for fault in Fault:
            yield Case(scenario, Target(write.name, write.nth), fault)
    for fault in Fault:
        if fault not in LATE:  # they would all be held back, and arrive together
            yield Case(scenario, Target(every=True), fault)
    for resource, count in sorted(events.items()):
        for nth in range(1, count + 1, EVERY_NTH_EVENT):
            for kind in Stale:
                yield Case(scenario, StaleTarget(kind, resource, nth), kind)


def shard(whole: Sequence[Case], part: str) -> list[Case]:
    """`1/4` is the first of four parts. Raises ValueError where it is not of that form."""
    number, of = (int(word) for word in part.split("/"))
    if not 1 <= number <= of:
        raise ValueError(f"wanted a part such as 1/4, found {part}")
    return list(whole[number - 1 :: of])
