"""Who was taken for dead and has shown since that it lives.

A pod deleted by force is gone for the API server while its process may go on. Two such processes would take everything
from each other as long as both live, and neither would get to an effect. So a certificate of death counts once: what a
holder lost by it, and holds again, it can only have written alive.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from conveyor.cluster.protocol import Key

MOST = 1000
"""How many are remembered; of one that is forgotten the certificate counts once more."""


@dataclass(slots=True)
class Certificates:
    _used: dict[tuple[Key, str], int] = field(default_factory=dict)
    """By what was taken, and from which process: the token under which that one held it."""

    def use(self, key: Key, holder: str, *, token: int = 0) -> None:
        """The holder, who is called dead, loses it."""
        entry = (key, _process(holder))
        self._used.pop(entry, None)
        self._used[entry] = token
        if len(self._used) > MOST:
            del self._used[next(iter(self._used))]

    def is_void(self, key: Key, holder: str, *, token: int = 1) -> bool:
        """Whether this was taken from the holder's process before, and it holds it again, under a later token."""
        before = self._used.get((key, _process(holder)))
        return before is not None and before < token


def _process(holder: str) -> str:
    """The holder without its acquisition."""
    return holder.rpartition("/")[0]
