"""What can go wrong with one write, as data: who dies, who hears what, and what the other side has done by then."""

from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """Each happens once, to one write. `applied` and `dropped` are seen from the server's side."""

    KILL_BEFORE = "kill before"
    """SIGKILL to the operator, and the request never arrives."""
    KILL_AFTER = "kill after"
    """The request is carried out, SIGKILL, and nobody hears the answer."""
    DROP_REQUEST = "drop request"
    """The connection breaks before the server has heard anything."""
    DROP_ANSWER = "drop answer"
    """Carried out; the connection breaks instead of the answer."""
    CONFLICT = "409"
    """Not carried out; the answer says that somebody else was first."""
    BUSY = "429"
    """Not carried out; the answer says when to come again."""
    ERROR_APPLIED = "500 applied"
    """Carried out; the answer is 500."""
    ERROR_NOT_APPLIED = "500 not applied"
    """Not carried out; the answer is 500."""
    HANG = "hang"
    """Not carried out, and no answer, until the operator gives up."""
    REPEAT = "repeat"
    """Carried out twice; the answer is the first one's."""
    REPEAT_SECOND = "repeat, second answer"
    """Carried out twice, as by something in between that tries again; the answer is the second one's."""
    LATE = "late"
    """Held back; the operator is killed and started again; arrives after the next write of the new one."""
    LATE_IN_THE_RACE = "late, in the race"
    """The same, but it arrives just before the new operator's own write of the same name, or at the end."""
    LATE_AT_THE_END = "late, at the end"
    """Held back; the operator is killed and started again; arrives when the item is done."""


LATE = frozenset({Fault.LATE, Fault.LATE_IN_THE_RACE, Fault.LATE_AT_THE_END})
KILLS = frozenset({Fault.KILL_BEFORE, Fault.KILL_AFTER}) | LATE
"""Faults of which the operator dies; it is started again."""


@dataclass(frozen=True)
class Target:
    """One write of the reference run: the `nth` (from 1) of its name. With `every` it is the first of each name."""

    write: str = ""
    nth: int = 1
    every: bool = False

    def __str__(self) -> str:
        if self.every:
            return "every write"
        return self.write if self.nth == 1 else f"{self.write} ({self.nth})"


EVERY = Target(every=True)


class Stale(StrEnum):
    """What can go wrong with what the operator hears of changes."""

    FREEZE = "watch frozen"
    """Nothing more comes over this connection, for as long as it stays open."""
    LOSE = "event lost"
    """One event does not arrive."""
    REPLAY = "watch replayed"
    """All earlier events come once more, oldest first."""
    CUT = "watch cut in an event"
    """The connection breaks in the middle of an event."""
    GONE = "watch answers 410"
    """The server says that its history is too short, and ends the watch."""
    OLD_LIST = "older list"
    """The operator is killed, and the first lists of the new one are older than what the dead one had seen."""
