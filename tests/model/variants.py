"""Every model with its variants, and the expected answer of each: which laws break, and whether all can end.

An answer that differs from the expected one fails the tests. When a guard of the code changes, its variant comes first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tests.model import admission, marks, rollback, transition
from tests.model.search import Findings, Model, explore
from tests.model.states import Kind, Limits, Protocol

ONCE = "an intent has its effect once"
RECORDED = "recorded first"
ONE_SENDER = "one sender per token"
DEPLOYED = "what we merged is deployed"
NEVER_BACK = "the stage never goes back"
ONE_JOB = "one Job of an item begins"


@dataclass(frozen=True)
class Variant:
    name: str
    make: Callable[[], Model[Any]]
    breaks: frozenset[str] = frozenset()
    converges: bool = True
    deep: bool = False
    """Takes long: left out of the tests, run by `python -m tests.model --deep`."""

    def __str__(self) -> str:
        return self.name

    def explore(self) -> Findings:
        return explore(self.make())

    def as_expected(self, found: Findings) -> bool:
        return frozenset(found.broken) == self.breaks and (found.stuck is None) == self.converges


def _of(
    name: str,
    limits: Limits,
    *breaks: str,
    protocol: Protocol | None = None,
    actors: int = 2,
    deep: bool = False,
) -> Variant:
    chosen = protocol or Protocol()
    return Variant(
        f"{chosen.kind.value}: {name}",
        lambda: transition.model(chosen, limits, actors=actors),
        frozenset(breaks),
        deep=deep,
    )


JOB = Protocol(kind=Kind.JOB)
AT_WORK = Protocol(Kind.JOB, started_by_uid=False)
"""Without that a Job is created suspended: then all hangs on its name."""
AS_BUILT = [
    _of("as built, 2 crashes", Limits(crashes=2)),
    _of("as built, a wrong certificate and a crash", Limits(crashes=1, wrong=1)),
    _of("as built, two wrong certificates", Limits(wrong=2)),
    _of("as built, a person deletes the Lease, pushes or merges", Limits(crashes=1, meddles=1)),
    _of("as built, a status write that arrives late", Limits(crashes=1, late=1)),
    _of("as built, the switch is thrown, and back", Limits(flips=2)),
    _of("as built, a person retries what may still arrive", Limits(parks=1)),
    _of("as built, 3 processes", Limits(), actors=3),
    _of("as built, 3 processes, a wrong certificate", Limits(wrong=1), actors=3, deep=True),
    _of("as built, 3 crashes and a wrong certificate", Limits(crashes=3, wrong=1), deep=True),
    _of("as built, 2 crashes, 2 wrong certificates, a late write", Limits(crashes=2, wrong=2, late=1), deep=True),
    _of("as built, 2 crashes", Limits(crashes=2), protocol=JOB),
    _of("as built, a wrong certificate and a crash", Limits(crashes=1, wrong=1), protocol=JOB),
    _of("as built, a person deletes the Lease or the Job", Limits(meddles=1), protocol=JOB),
    _of("as built, a crash, and a person deletes either", Limits(crashes=1, meddles=1), protocol=JOB, deep=True),
    _of("as built, a status write that arrives late", Limits(crashes=1, late=1), protocol=JOB),
    _of("as built, the switch is thrown", Limits(flips=1, wrong=1), protocol=JOB),
    _of("as built, a person retries what could not be read", Limits(parks=1), protocol=JOB),
    _of("as built, a crash, and a person retries what could not be read", Limits(1, parks=1), protocol=JOB, deep=True),
    _of("as built, 3 processes", Limits(), protocol=JOB, actors=3),
    _of("as built, a sender sleeps for longer than a Job is kept", Limits(overslept=1), protocol=JOB),
    _of("as built, a person takes the finalizer off", Limits(forced=1), protocol=JOB, deep=True),
    _of("as built, a name that can be freed", Limits(meddles=1), protocol=replace(JOB, held_name=False), deep=True),
    _of("as built, 3 processes, a wrong certificate", Limits(wrong=1), protocol=JOB, actors=3, deep=True),
    _of("as built, 3 crashes and a wrong certificate", Limits(crashes=3, wrong=1), protocol=JOB, deep=True),
]
WITHOUT = [
    _of("effect before the intent", Limits(crashes=1), RECORDED, protocol=Protocol(intent_first=False)),
    _of("no refusal", Limits(), ONCE, protocol=Protocol(refusal=False)),
    _of("blind writes", Limits(wrong=1), NEVER_BACK, protocol=Protocol(versioned=False)),
    _of("no adoption", Limits(wrong=1), ONE_SENDER, protocol=Protocol(adopt=False)),
    _of("no last look", Limits(wrong=1), ONE_SENDER, protocol=Protocol(last_look=False)),
    _of("the base is read last", Limits(), DEPLOYED, protocol=Protocol(base_first=False, own_login=False)),
    _of("a merge by our own login is somebody's", Limits(parks=1), DEPLOYED, protocol=Protocol(own_login=False)),
    _of(
        "the switch decides in mid-transition",
        Limits(flips=1),
        "the mode is the intent's",
        protocol=Protocol(recorded_mode=False),
    ),
    _of(
        "a foreign Lease is released",
        Limits(wrong=1),
        "nobody gives up another's Lease",
        protocol=Protocol(own_release=False),
    ),
    _of("effect before the intent", Limits(crashes=1), RECORDED, protocol=replace(AT_WORK, intent_first=False)),
    _of("no refusal", Limits(), ONCE, protocol=replace(AT_WORK, refusal=False)),
    _of("a name that can be freed", Limits(meddles=1), ONCE, protocol=replace(AT_WORK, held_name=False)),
    _of("let go by an old cache", Limits(), ONCE, protocol=replace(AT_WORK, live_tidy=False)),
    _of("a sender sleeps for longer than a Job is kept", Limits(overslept=1), ONCE, protocol=AT_WORK),
    _of("a person takes the finalizer off", Limits(forced=1), ONCE, protocol=AT_WORK),
    _of("a retry gives up a Job", Limits(parks=1), ONE_JOB, protocol=replace(JOB, retry_keeps=False), actors=1),
    _of("blind writes", Limits(wrong=1), NEVER_BACK, protocol=Protocol(Kind.JOB, versioned=False)),
    _of("no adoption", Limits(wrong=1), ONE_SENDER, protocol=Protocol(Kind.JOB, adopt=False)),
    _of("no last look", Limits(wrong=1), ONE_SENDER, protocol=Protocol(Kind.JOB, last_look=False)),
]


def _rollback(name: str, way: rollback.Way, *breaks: str, actors: int = 2, crashes: int = 1) -> Variant:
    return Variant(f"rollback: {name}", lambda: rollback.model(way, actors=actors, crashes=crashes), frozenset(breaks))


EXCLUDE, SAYS, LOST = (
    "rolled back and done exclude each other",
    "the stage says what happened",
    "a lost race has no effect",
)
OTHERS = [
    _rollback("as built, 2 processes, 2 crashes", rollback.Way(), crashes=2),
    _rollback("as built, 3 processes, 2 crashes", rollback.Way(), actors=3, crashes=2),
    _rollback("a deploy that is late is rolled back, and passes", rollback.Way(reads_end=False), actors=3),
    _rollback("effect before the claim", rollback.Way(claims=False, reads_end=False), EXCLUDE, LOST),
    _rollback("blind", rollback.Way(claims=False, versioned=False, reads_end=False), EXCLUDE),
    _rollback("claimed by a blind write", rollback.Way(versioned=False, reads_end=False), EXCLUDE, SAYS),
    Variant("mark: as built", lambda: marks.model(marks.Way())),
    Variant("mark: blind", lambda: marks.model(marks.Way(versioned=False)), frozenset({"the mark never goes down"})),
    Variant(
        "mark: the last one wins",
        lambda: marks.model(marks.Way(upwards=False)),
        frozenset({"the mark never goes down"}),
    ),
    Variant("admission: as built", lambda: admission.model(admission.Way())),
    Variant(
        "admission: blind",
        lambda: admission.model(admission.Way(versioned=False)),
        frozenset({"one item of a serial lane is under way", "nothing is admitted after a freeze"}),
    ),
    Variant(
        "admission: a holder that the cache does not know counts as gone",
        lambda: admission.model(admission.Way(live_holder=False)),
        frozenset({"one item of a serial lane is under way"}),
    ),
    Variant(
        "admission: freeze from the cache",
        lambda: admission.model(admission.Way(live_freeze=False)),
        frozenset({"nothing is admitted after a freeze"}),
    ),
]
VARIANTS = [*AS_BUILT, *WITHOUT, *OTHERS]
