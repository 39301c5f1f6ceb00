"""What each run and each effect costs: the calls of the passes about it, and the API server's time for them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.api_costs import Request, request_of
from benchmarks.calls import BETWEEN, WRITES, Call

OTHERS = {
    "indication": "the ticket's state",
    "repository": "the Repository",
    "poll": "the poll",
    "process": "the clock",
}
"""On whose behalf calls are made that no pass over an item makes, by the actor."""


def group_of(call: Call, works: Mapping[int, str]) -> str:
    """`works`: what each pass over an item was about."""
    return OTHERS.get(call.behalf.actor) or works.get(call.behalf.pass_number, BETWEEN)


@dataclass
class Share:
    """Calls and writes by system, and seconds of the API server."""

    calls: Counter[str] = field(default_factory=Counter)
    writes: Counter[str] = field(default_factory=Counter)
    cpu: float = 0.0


def shares(calls: Sequence[Call], works: Mapping[int, str], costs: Mapping[Request, float]) -> dict[str, Share]:
    """By group. A request that the metrics do not know costs nothing."""
    found: defaultdict[str, Share] = defaultdict(Share)
    for call in calls:
        share = found[group_of(call, works)]
        share.calls[call.system] += 1
        share.writes[call.system] += call.method in WRITES
        if call.system == "api":
            share.cpu += costs.get(request_of(call.method, call.route), 0.0)
    return dict(found)
