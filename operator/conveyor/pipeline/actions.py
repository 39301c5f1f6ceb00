"""What a decision can be. One pass carries out one of these; each is safe to find half done after a crash.

Settle      store this status by compare-and-swap if it differs, and look again after a while or when something changes
Admit       make the item the repository's active one, by compare-and-swap on the Repository, and decide again
StartRun    create the Job of the recorded run
StopRun     delete the Job of the recorded run; the next pass reads whether it is gone
StopEffect  delete the Job of the recorded intent, which is given up; the next pass reads whether it is gone
Apply       carry out the effect of the recorded intent; the next pass reads whether it happened
Amend       put on the Repository what the recorded intent came to, by compare-and-swap; the next pass reads it there
ReleaseLeases  take the item's Leases away from whoever holds them, then store what is said of it
Discard     delete the item itself: nothing has begun and nobody wants it
LetGo       take our finalizer off the item: it holds nothing any more
"""

from __future__ import annotations

from dataclasses import dataclass, field

from conveyor.api.repository import Coverage, Freeze, Production
from conveyor.api.stages import Stage
from conveyor.api.workitem import ActiveRun, Transition, WorkItemStatus
from conveyor.pipeline.indication import LogicalState


@dataclass(frozen=True, slots=True)
class Note:
    """An Event to record with a write. `reason` is one CamelCase word, `text` is escaped by the recorder."""

    reason: str
    text: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Moved:
    """A stage change, for metrics."""

    from_stage: Stage | None
    to_stage: Stage
    cause: str


@dataclass(frozen=True, slots=True)
class Settle:
    status: WorkItemStatus
    after: float | None = None
    """Seconds after which to look again though nothing was reported; None: somebody will report."""
    notes: tuple[Note, ...] = ()
    moved: Moved | None = None


@dataclass(frozen=True, slots=True)
class Admit:
    base_sha: str
    """The default branch's newest commit, read in this pass."""


@dataclass(frozen=True, slots=True)
class StartRun:
    run: ActiveRun


@dataclass(frozen=True, slots=True)
class StopRun:
    run: ActiveRun
    why: str


@dataclass(frozen=True, slots=True)
class StopEffect:
    transition: Transition
    why: str


@dataclass(frozen=True, slots=True)
class Apply:
    transition: Transition
    notes: tuple[Note, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Amend:
    """What is to stand in the Repository's status; each is applied to what stands there at the moment of the write."""

    coverage: Coverage | None = None
    """The ratchet's new mark: put there only upwards."""
    production: Production | None = None
    """What is deployed now."""
    replaces: Production | None = None
    """What it was decided to replace: put there in the place of nothing else."""
    freeze: Freeze | None = None
    """An automatic freeze, once per id; one that was cleared stays cleared."""


@dataclass(frozen=True, slots=True)
class ReleaseLeases:
    released: Settle
    """What is stored where there was one."""
    nothing: Settle
    """What is stored where there was none."""


@dataclass(frozen=True, slots=True)
class Discard:
    why: str


@dataclass(frozen=True, slots=True)
class Farewell:
    """What the ticket of a deleted item shows in the end."""

    state: LogicalState
    text: str
    """A comment; empty: the state says it all."""


@dataclass(frozen=True, slots=True)
class LetGo:
    farewell: Farewell | None = None
    notes: tuple[Note, ...] = ()


Ending = StopRun | StopEffect | LetGo
"""What is left to be done about an item that goes nowhere any more."""
Action = Settle | Admit | StartRun | Apply | Amend | ReleaseLeases | Discard | Ending
