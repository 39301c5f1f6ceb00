"""What the model of a transition knows of the world, and the switches that make its variants.

One item, one transition from stage A to B with one effect; some processes, each with one worker for the item. All
counters are bounded by faults that run out. Versions are not counted: whoever read the item before its last write is
not `fresh`, and whoever read it before its intent last changed hands is not `current`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

NOBODY, GONE = -1, -2
"""Owner or holder: none; a process that is dead."""


class Kind(StrEnum):
    """What makes the other side refuse a second time."""

    MERGE = "merge"
    """A fast-forward from the base the intent names: refused for ever once the base has moved."""
    JOB = "job"
    """A Job under the intent's own name, held by a finalizer until its result is stored."""


@dataclass(frozen=True)
class Protocol:
    """The protocol as built; each switch takes one of its laws away."""

    kind: Kind = Kind.MERGE
    intent_first: bool = True
    """The intent is on record before the effect. Off: one write after the effect says both."""
    refusal: bool = True
    """The other side refuses what it was asked before: fast-forward only, or the name is taken."""
    held_name: bool = True
    """A Job's finalizer keeps its name taken until the result is stored."""
    versioned: bool = True
    """Writes of the status name the version that was read. Off: blind."""
    adopt: bool = True
    """An intent of another owner is taken over by a write that raises the token."""
    last_look: bool = True
    """Lease and intent are read again just before the effect."""
    base_first: bool = True
    """The base's head is read before it is asked whether it contains the commit."""
    recorded_mode: bool = True
    """Whether a Lease is needed is what the intent says. Off: what the switch says now."""
    started_by_uid: bool = True
    """A Job is created suspended, and started by the uid on record. Off: created at work."""
    own_login: bool = True
    """A merge by our own login is ours, also when its intent is gone. Off: it is somebody's."""
    retry_keeps: bool = True
    """A person's `retry` goes on with a Job that is there. Off: its intent gives way to a new one."""
    live_tidy: bool = True
    """A Job is let go by the item as the API server has it. Off: by the cache."""
    own_release: bool = True
    """A Lease is given up only while it is ours."""


class Limits(NamedTuple):
    """How many of each fault there may be."""

    crashes: int = 0
    wrong: int = 0
    """A live holder is taken for dead, or its term for over, or a forced release takes its Lease away."""
    meddles: int = 0
    """A person deletes a Lease, a Job, or pushes to the base."""
    flips: int = 0
    """The kill switch is thrown."""
    parks: int = 0
    """The intent's deadline passes, of a Job because it cannot be read, so that a person is asked."""
    late: int = 0
    """A status write arrives after its sender gave up waiting for it."""
    forced: int = 0
    """A person takes a Job away in spite of its finalizer."""
    overslept: int = 0
    """A sender sleeps between its last look and its request, or the request travels, for longer than a Job is kept."""


class Item(NamedTuple):
    stage: str = "A"
    """A; B: the effect's result is on record; S: done, for somebody else did it."""
    intent: int = 0
    """The number of the intent on record; 0: none."""
    phase: str = ""
    owner: int = NOBODY
    leased: bool = False
    base: int = 0
    """What the intent is about: the head tested on this base."""
    job: int = 0
    """The uid on record: which incarnation of the Job; 0: none."""
    asked: str = ""
    """A person's request: resume or retry."""
    runs: int = 0
    """Intents there have been; never down."""


class Other(NamedTuple):
    """The forge or the cluster."""

    base: int = 0
    """How often the base has moved."""
    landed: int = -1
    """The base on which the head that was merged had been tested; -1: none."""
    jobs: tuple[str, ...] = ("", "", "", "")
    """By intent: none, "suspended", "active", "ended", "let go" (no finalizer any more)."""
    made: tuple[int, ...] = (0, 0, 0, 0)
    """By intent: how often a Job was created; the last one's number is its uid."""
    applied: tuple[int, ...] = (0, 0, 0, 0)
    """By intent: how often it was applied."""


class Actor(NamedTuple):
    """A process and its worker for this item."""

    at: str = "rest"
    """rest, read, decided, acting, looked, sending, waiting; down."""
    action: str = ""
    seen: Item = Item()
    """The item as this process has it."""
    fresh: bool = True
    current: bool = True
    held: bool = False
    """Whether its own table says that it has the Lease."""
    read: int = -1
    """What was read in this pass and is written: the base's head, the Job's uid."""


class Request(NamedTuple):
    """On its way to the other side, whether or not its sender lives."""

    intent: int
    base: int
    uid: int = 0
    """Of the Job to be started; 0: it is to be created."""


class State(NamedTuple):
    item: Item
    other: Other
    actors: tuple[Actor, ...]
    left: Limits
    lease: int = NOBODY
    switch: bool = True
    """TRANSITION_LEASE_ENABLED."""
    flight: tuple[Request, ...] = ()
    writes: tuple[Item, ...] = ()
    """Status writes on their way whose version is still the newest."""
    passed: int = NOBODY
    """Whose last look succeeded under the present token."""
    broken: str = ""
    """The law that the last step broke, where the state alone does not show it."""


MAX_INTENTS, MAX_FLIGHT = 3, 2
