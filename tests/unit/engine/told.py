"""Telemetry that a test can ask."""

from dataclasses import dataclass, field

from conveyor.pipeline.actions import Moved


@dataclass
class Told:
    """What the engine reported about itself."""

    moves: list[Moved] = field(default_factory=list)
    verdicts: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    takeovers: list[str] = field(default_factory=list)
    conflicts: int = 0
    unreadable: int = 0
    failures: list[BaseException] = field(default_factory=list)

    def stage_moved(self, moved: Moved, *, seconds_in_stage: float | None) -> None:
        self.moves.append(moved)

    def effect_applied(self, effect: str, result: str, *, seconds: float) -> None:
        return

    def run_finished(self, role: str, verdict: str, *, seconds: float) -> None:
        return

    def monitor_ended(self, verdict: str) -> None:
        self.verdicts.append(verdict)

    def conflict(self) -> None:
        self.conflicts += 1

    def lease_taken_over(self, reason: str) -> None:
        self.takeovers.append(reason)

    def fact_learned(self, source: str, via: str) -> None:
        return

    def gate_error(self) -> None:
        self.unreadable += 1

    def invariant_violated(self, what: str) -> None:
        self.violations.append(what)
