"""All cases there are: each write of the reference run with each fault, and the events of each watch with theirs."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from tests.faults.cases import Case, Scenario
from tests.faults.desk import Write
from tests.faults.faults import EVERY, LATE, Fault, Stale, Target
from tests.faults.stale import StaleTarget

T = TypeVar("T")
SPACING = 4
"""Writes between two that go wrong on one way, so that the operator has recovered from the one before the other."""
EVERY_NTH_EVENT = 3
"""Of a watch's events each third is disturbed: they are alike, and there are many."""


def cases(scenario: Scenario, writes: Sequence[Write], events: Mapping[str, int]) -> Iterator[Case]:
    """What of the scenario is disturbed, by the record of its undisturbed way."""
    return _of_watches(scenario.name, events) if scenario.watches else _of_writes(scenario, writes)


def _of_writes(scenario: Scenario, writes: Sequence[Write]) -> Iterator[Case]:
    first = next((number for number, write in enumerate(writes) if write.name == scenario.since), 0)
    for write in writes[first:]:
        for fault in Fault:
            yield Case(scenario.name, Target(write.name, write.nth), fault)
    for fault in Fault:
        if fault not in LATE:  # they would all be held back, and arrive together
            yield Case(scenario.name, EVERY, fault)


def _of_watches(scenario: str, events: Mapping[str, int]) -> Iterator[Case]:
    for resource, count in sorted(events.items()):
        for nth in range(1, count + 1, EVERY_NTH_EVENT):
            for kind in Stale:
                yield Case(scenario, StaleTarget(kind, resource, nth), kind)


def together(whole: Sequence[Case]) -> list[tuple[Case, ...]]:
    """The same in far fewer items: on each one's way every fourth write goes wrong, each in another way.

    All pairs of write and fault come up once; what is not about one write stays alone, and what is known to go wrong.
    """
    alone = [(case,) for case in whole if not _is_single(case)]
    groups: list[tuple[Case, ...]] = []
    for scenario in dict.fromkeys(case.scenario for case in whole):
        groups += _spaced([case for case in whole if _is_single(case) and case.scenario == scenario])
    return groups + alone


def _spaced(whole: Sequence[Case]) -> Iterator[tuple[Case, ...]]:
    pairs = {(case.target, case.fault): case for case in whole}
    writes, faults = list(dict.fromkeys(case.target for case in whole)), list(Fault)
    for first, shift in itertools.product(range(SPACING), range(len(faults))):
        mine = enumerate(writes[first::SPACING])
        found = (pairs.get((write, faults[(number + shift) % len(faults)])) for number, write in mine)
        if group := tuple(case for case in found if case is not None):
            yield group


def _is_single(case: Case) -> bool:
    return isinstance(case.target, Target) and not case.target.every and case.limit is None


def shard(whole: Sequence[T], part: str) -> list[T]:
    """`1/4` is the first of four parts. Raises ValueError where it is not of that form."""
    number, of = (int(word) for word in part.split("/"))
    if not 1 <= number <= of:
        raise ValueError(f"wanted a part such as 1/4, found {part}")
    return list(whole[number - 1 :: of])
