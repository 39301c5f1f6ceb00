"""A gate in front of everything outside: a test holds a request up, loses it or its answer, or lets it land late.

Whose request it is follows from the task that makes it; what is made outside any `Strand` passes at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum

ALL = 10**6
"""Requests enough for any pass."""


class KilledError(BaseException):
    """The process ends here: nothing that catches errors may catch this."""


class Fate(StrEnum):
    """What becomes of a request; of one that only reads, there is an answer or none."""

    LANDS = "lands"
    ANSWER_LOST = "answer lost"
    """It is carried out, and its sender hears nothing."""
    LOST = "lost"
    LATE = "late"
    """Its sender has given it up, and it is still on its way."""


@dataclass(frozen=True, eq=False)
class Request:
    sender: Strand
    verb: str
    about: str
    """Kind or forge's name, and what it is about."""
    land: Callable[[], object] | None = None
    """Carries it out; None where it only reads."""


@dataclass(eq=False)
class Strand:
    """One line of work in one process, whose requests come one after another."""

    name: str
    passes: int = 0
    """How many requests are let through before the next is held up."""
    is_dead: bool = False
    held: list[tuple[Request, asyncio.Future[Fate]]] = field(default_factory=list)


STRAND: ContextVar[Strand | None] = ContextVar("strand", default=None)


class Gate:
    def __init__(self) -> None:
        self.late: list[Request] = []
        """On their way, with nobody waiting for them."""
        self.on_arrival: list[Callable[[Request], object]] = []
        """Told of each request when it is made, before it is held up."""
        self.on_passage: list[Callable[[Request], object]] = []
        """Told of each request that is about to be carried out, or read."""

    async def arrive(self, verb: str, about: str, land: Callable[[], object] | None = None) -> Fate:
        """Returns when it may go on, and how. Raises KilledError in a process that is dead."""
        strand = STRAND.get()
        if strand is None:
            return Fate.LANDS
        if strand.is_dead:
            raise KilledError
        request = Request(strand, verb, about, land)
        self._tell(self.on_arrival, request)
        fate = await self._held(strand, request)
        if fate in (Fate.LANDS, Fate.ANSWER_LOST):
            self._tell(self.on_passage, request)
        elif fate == Fate.LATE and land is not None:
            self.late.append(request)
        return fate

    async def _held(self, strand: Strand, request: Request) -> Fate:
        if strand.passes > 0:
            strand.passes -= 1
            return Fate.LANDS
        future: asyncio.Future[Fate] = asyncio.get_running_loop().create_future()
        strand.held.append((request, future))
        return await future

    def let_go(self, strand: Strand, fate: Fate) -> None:
        """The one that was held up first."""
        _, future = strand.held.pop(0)
        future.set_result(fate)

    def kill(self, strand: Strand) -> None:
        """What it sent goes on; it hears nothing any more, and sends nothing."""
        strand.is_dead = True
        for request, future in strand.held:
            if request.land is not None:
                self.late.append(request)
            future.set_exception(KilledError())
        strand.held.clear()

    def land_late(self, number: int) -> None:
        request = self.late.pop(number)
        self._tell(self.on_passage, request)
        if request.land is not None:
            request.land()

    def _tell(self, listeners: list[Callable[[Request], object]], request: Request) -> None:
        for listener in listeners:
            listener(request)
