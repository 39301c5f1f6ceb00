"""The fake Plane's ledger: every write that changed something, in the order in which it took effect."""

from dataclasses import dataclass
from datetime import datetime

from tests.fakes.plane_records import Via


@dataclass(frozen=True)
class Effect:
    """`what` is `created`, `state`, `comment`, `relation`, `deleted`, `archived` or the changed field's name.

    Of a state, `old` and `new` are names; of a comment, `new` is its HTML; of a relation, `new` is `<type> <key>`.
    """

    time: datetime
    actor: str
    via: Via
    ticket: str
    what: str
    old: str | None
    new: str | None


class Ledger(list[Effect]):
    def of(self, ticket: str, what: str | None = None, *, via: Via | None = None) -> list[Effect]:
        """The effects on one ticket, by its key."""
        return [
            effect
            for effect in self
            if effect.ticket == ticket and what in (None, effect.what) and via in (None, effect.via)
        ]

    def states(self, ticket: str, *, via: Via | None = None) -> list[str]:
        """The names of the states a ticket was set to, in order."""
        return [effect.new or "" for effect in self.of(ticket, "state", via=via)]

    def comments(self, ticket: str, *, via: Via | None = None) -> list[str]:
        return [effect.new or "" for effect in self.of(ticket, "comment", via=via)]
