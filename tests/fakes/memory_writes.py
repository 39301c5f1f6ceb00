"""What the memory cluster remembers of each call that meant to change something."""

from dataclasses import dataclass
from enum import StrEnum

from conveyor.cluster.protocol import JSONObject, Key, Lost, Rejected, Uncertain, Won, Written


@dataclass(frozen=True)
class Write:
    """One call that meant to change something. `outcome`: applied, unchanged, lost, rejected, or not sent."""

    verb: str
    kind: str
    key: Key
    outcome: str
    body: JSONObject
    fault: StrEnum | None = None


def outcome_of(written: Written, *, changed: bool) -> str:
    match written:
        case Won():
            return "applied" if changed else "unchanged"
        case Lost():
            return "lost"
        case Rejected():
            return "rejected"
        case Uncertain():
            raise AssertionError("an act in memory is never uncertain")
