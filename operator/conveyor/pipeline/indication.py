"""What a ticket's state in the tracker means to us, and which state shows where an item is.

Projects name their states freely; here they are looked up once per project and everything else speaks of logical ones.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from conveyor.api.stages import Stage
from conveyor.pipeline.facts import TrackerState

PROJECTS_KEPT = 2048
"""How many projects' states are kept as they were looked up."""


class LogicalState(StrEnum):
    """Keys of `spec.tracker.states`."""

    TO_ANALYSE = "to_analyse"
    """Set by people: work is to start."""
    ANALYSIS = "analysis"
    NEEDS_INPUT = "needs_input"
    IN_PROGRESS = "in_progress"
    CODE_REVIEW = "code_review"
    AWAITING_DEPLOY = "awaiting_deploy"
    DEPLOYING = "deploying"
    MONITORING = "monitoring"
    DONE = "done"
    BLOCKED = "blocked"
    APPROVED = "approved"
    """Set by people: verdict on the open gate."""
    REJECTED = "rejected"
    """Set by people: verdict on the open gate."""
    CANCELLED = "cancelled"


DEFAULT_NAMES: Mapping[LogicalState, tuple[str, ...]] = {
    LogicalState.TO_ANALYSE: ("To Analyse", "To Analyze"),
    LogicalState.ANALYSIS: ("Analysis", "In Analysis"),
    LogicalState.NEEDS_INPUT: ("Needs Input", "Need Input"),
    LogicalState.IN_PROGRESS: ("In Progress",),
    LogicalState.CODE_REVIEW: ("Code Review", "In Review", "Review"),
    LogicalState.AWAITING_DEPLOY: ("Awaiting Deploy", "Awaiting Deployment", "Ready to Deploy"),
    LogicalState.DEPLOYING: ("Deploying",),
    LogicalState.MONITORING: ("Monitoring",),
    LogicalState.DONE: ("Done",),
    LogicalState.BLOCKED: ("Blocked",),
    LogicalState.APPROVED: ("Approved",),
    LogicalState.REJECTED: ("Rejected",),
    LogicalState.CANCELLED: ("Cancelled", "Canceled"),
}
"""How projects usually call them, the first that exists counts; compared without regard to case."""

FALLBACK: Mapping[LogicalState, LogicalState] = {
    LogicalState.TO_ANALYSE: LogicalState.IN_PROGRESS,
    LogicalState.ANALYSIS: LogicalState.IN_PROGRESS,
    LogicalState.CODE_REVIEW: LogicalState.IN_PROGRESS,
    LogicalState.AWAITING_DEPLOY: LogicalState.IN_PROGRESS,
    LogicalState.DEPLOYING: LogicalState.IN_PROGRESS,
    LogicalState.MONITORING: LogicalState.DONE,
}

VERDICTS = (LogicalState.APPROVED, LogicalState.REJECTED)
CANCELLED_GROUP = "cancelled"
TERMINAL_GROUPS = frozenset({"completed", CANCELLED_GROUP})


@dataclass(frozen=True, slots=True)
class StateMap:
    """A project's states by what they mean to us; made by `resolve`."""

    states: Mapping[str, TrackerState]
    """By id."""
    ids: Mapping[LogicalState, str]
    """The state of each logical one that the project has; fallbacks are not in it."""
    start_ids: frozenset[str]
    """States by which people start work: `to_analyse`, else what it falls back to."""
    missing: tuple[str, ...]
    """Configured logical states that name no state, several, or one that cannot mean this."""

    def id_of(self, logical: LogicalState) -> str | None:
        """Which state shows this one; None where setting any would say something else, or start work."""
        own = self.ids.get(logical)
        if own is not None:
            return own
        instead = self.ids.get(FALLBACK[logical]) if logical in FALLBACK else None
        return None if instead in self.start_ids else instead

    def logical_of(self, state_id: str) -> LogicalState | None:
        """What a state means. Where it serves for several, what people say by it comes first."""
        meanings = [logical for logical, found in self.ids.items() if found == state_id]
        said = [logical for logical in meanings if logical in (LogicalState.TO_ANALYSE, *VERDICTS)]
        return next(iter(said + meanings), None)

    def group_of(self, state_id: str) -> str | None:
        state = self.states.get(state_id)
        return state.group if state else None

    def is_terminal(self, state_id: str) -> bool:
        """Told by the group, whatever the state is called. A state that we do not know is not terminal."""
        return self.group_of(state_id) in TERMINAL_GROUPS

    def is_cancelled(self, state_id: str) -> bool:
        return self.group_of(state_id) == CANCELLED_GROUP

    def lacking(self, *, person_gates: bool) -> tuple[str, ...]:
        """What keeps the project from being used: `missing`, and the verdicts where a person is to give them."""
        verdicts = [verdict.value for verdict in VERDICTS if person_gates and verdict not in self.ids]
        return tuple(dict.fromkeys([*self.missing, *verdicts]))


def resolve(states: tuple[TrackerState, ...], configured: Mapping[str, str]) -> StateMap:
    """Look up the logical states. `configured` gives names or ids; the rest is found by its usual names.

    A configured state that is not found is never replaced by the usual one: the project's people mean another.
    """
    return _resolved(states, tuple(configured.items()))


@functools.lru_cache(maxsize=PROJECTS_KEPT)
def _resolved(states: tuple[TrackerState, ...], pairs: tuple[tuple[str, str], ...]) -> StateMap:
    configured = dict(pairs)
    ids: dict[LogicalState, str] = {}
    named = _named(states)
    for logical in LogicalState:
        wanted = (configured[logical],) if logical in configured else DEFAULT_NAMES[logical]
        found = next((state for state in (_only(named, name) for name in wanted) if state is not None), None)
        if found is not None and _may_mean(logical, found.group):
            ids[logical] = found.id
    start_ids = _start_ids(ids, configured)
    for verdict in _ambiguous_verdicts(ids, start_ids):
        del ids[verdict]
    missing = tuple(name for name in configured if name not in ids)
    return StateMap({state.id: state for state in states}, ids, start_ids=start_ids, missing=missing)


_SHOWN_AT: Mapping[Stage, LogicalState | None] = {
    Stage.CREATED: None,
    Stage.ANALYSIS: LogicalState.ANALYSIS,
    Stage.ARCHITECTURE: LogicalState.ANALYSIS,
    Stage.DEVELOPMENT: LogicalState.IN_PROGRESS,
    Stage.REVIEW: LogicalState.CODE_REVIEW,
    Stage.TESTING: LogicalState.IN_PROGRESS,
    Stage.DEPLOY_STAGING: LogicalState.AWAITING_DEPLOY,
    Stage.DEPLOY: LogicalState.DEPLOYING,
    Stage.DONE: LogicalState.DONE,
    Stage.CANCELLED: LogicalState.CANCELLED,
}
_SHOWN_AT_GATE: Mapping[str, LogicalState] = {
    "analysis_approved": LogicalState.NEEDS_INPUT,
    "deploy_approved": LogicalState.AWAITING_DEPLOY,
}


def indicated_state(
    stage: Stage,
    *,
    stalled: str | None = None,
    approval: str | None = None,
    question: bool = False,
    monitoring: bool = False,
    degraded: bool = False,
) -> LogicalState | None:
    """Which state the ticket is to show; None leaves it alone.

    `stalled` is the reason of condition Stalled, `approval` the gate that is open for a person, `question` an agent's
    that nobody has answered, `monitoring` that the watch after the deploy is on, `degraded` its bad verdict.
    """
    if stage is Stage.CANCELLED:
        return LogicalState.CANCELLED
    if stalled or degraded:
        return LogicalState.BLOCKED
    if stage is Stage.DONE:
        return LogicalState.MONITORING if monitoring else LogicalState.DONE
    if question:
        return LogicalState.NEEDS_INPUT
    if approval is not None and approval in _SHOWN_AT_GATE:
        return _SHOWN_AT_GATE[approval]
    return _SHOWN_AT[stage]


_Named = tuple[Mapping[str, list[TrackerState]], ...]
"""By id in any case, by exact name, and by name in any case."""


def _named(states: tuple[TrackerState, ...]) -> _Named:
    named: tuple[dict[str, list[TrackerState]], ...] = ({}, {}, {})
    for state in states:
        for by, name in zip(named, (state.id.casefold(), state.name, state.name.strip().casefold()), strict=True):
            by.setdefault(name, []).append(state)
    return named


def _only(named: _Named, wanted: str) -> TrackerState | None:
    """The one state with this id, else with exactly this name, else with this name in any case."""
    folded = wanted.strip().casefold()
    for by, name in zip(named, (folded, wanted, folded), strict=True):
        if same := by.get(name):
            return same[0] if len(same) == 1 else None
    return None


def _may_mean(logical: LogicalState, group: str) -> bool:
    """Whether a state of this group can be used so: a ticket of a terminal group counts as closed by a person."""
    if logical in (LogicalState.DONE, LogicalState.MONITORING):
        return group != CANCELLED_GROUP
    if logical is LogicalState.CANCELLED:
        return group == CANCELLED_GROUP
    return group not in TERMINAL_GROUPS


def _start_ids(ids: Mapping[LogicalState, str], configured: Mapping[str, str]) -> frozenset[str]:
    own = ids.get(LogicalState.TO_ANALYSE)
    if own is None and LogicalState.TO_ANALYSE not in configured:
        own = ids.get(FALLBACK[LogicalState.TO_ANALYSE])
    return frozenset() if own is None else frozenset({own})


def _ambiguous_verdicts(ids: Mapping[LogicalState, str], start_ids: frozenset[str]) -> tuple[LogicalState, ...]:
    """Verdicts by whose state people could as well say the other one, or start work."""
    said = [ids[verdict] for verdict in VERDICTS if verdict in ids] + list(start_ids)
    return tuple(verdict for verdict in VERDICTS if verdict in ids and said.count(ids[verdict]) > 1)
