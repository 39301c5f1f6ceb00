"""What there is to carry: repositories with their policy, and the ways in which their items go, as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tests.faults.scenarios import AUTO, FAILING, MOVED, PLAIN, WHOLE


class Way(StrEnum):
    """What happens to one item."""

    PLAIN = "undisturbed by people"
    MOVED = "others were faster"
    """Somebody else's work lands after the tester's."""
    CANCELLED = "cancelled by a person"
    SUSPENDED = "held and let go by a person"
    FROZEN = "repository frozen and thawed by a person"
    BY_HAND = "merged by a person"
    FAILING = "deploy fails, rollback, rework"
    DEGRADED = "deployed and found ill"


@dataclass(frozen=True)
class Plot:
    """One Repository and the ways of its items, each as often as it is named."""

    name: str
    spec: Mapping[str, Any]
    ways: tuple[Way, ...]
    at_once: int = 1
    """How many items are kept under way or waiting."""


_DEPLOY: Mapping[str, Any] = FAILING.spec["deploy"]
PLOTS = (
    Plot("plain", PLAIN.spec, (Way.PLAIN, Way.CANCELLED, Way.SUSPENDED, Way.FROZEN, Way.MOVED)),
    Plot("by-hand", PLAIN.spec, (Way.BY_HAND, Way.BY_HAND, Way.MOVED)),
    Plot("moved", MOVED.spec, (Way.MOVED, Way.MOVED, Way.CANCELLED, Way.FROZEN)),
    Plot("whole", WHOLE.spec, (Way.MOVED, Way.PLAIN, Way.DEGRADED)),
    Plot("whole-people", WHOLE.spec, (Way.CANCELLED, Way.BY_HAND, Way.FROZEN, Way.SUSPENDED, Way.PLAIN)),
    Plot("held", {"gates": AUTO, "deploy": _DEPLOY}, (Way.FAILING, Way.FAILING, Way.PLAIN)),
    Plot("reworked", {"gates": AUTO, "deploy": {**_DEPLOY, "onFailure": "Rework"}}, (Way.FAILING, Way.PLAIN)),
    Plot("crowd", {**PLAIN.spec, "serialGate": {"mode": "Disabled"}}, (Way.PLAIN, Way.PLAIN, Way.MOVED), at_once=3),
)
QUEUED = 1
"""Items that wait behind those, so that there is always somebody to be admitted."""
