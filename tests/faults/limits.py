"""What is known to go wrong and is left so, with the reason; it is shown, and a failure once it is anything else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.faults.faults import Fault


@dataclass(frozen=True)
class Limit:
    """The findings begin with `findings`, in this order and with nothing beside."""

    why: str
    findings: tuple[str, ...]

    def covers(self, found: Sequence[str]) -> bool:
        same_count = len(found) == len(self.findings)
        return same_count and all(map(str.startswith, found, self.findings))


LIMITS: Mapping[tuple[str, Fault], Limit] = {
    ("forge: POST pulls", Fault.LATE_AT_THE_END): Limit(
        "Gitea refuses a second open pull request of a branch, but not one of a branch that is merged already: a"
        " request that is later than the whole rest of the item's way opens a pull request without any change in it."
        " Nothing is merged or built by that; it is closed by hand.",
        ("double: 2 pull requests", "half: pull request #"),
    ),
}
