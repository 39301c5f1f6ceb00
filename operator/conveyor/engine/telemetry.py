"""What the engine reports about itself. Callers say what happened; who counts how is the implementation's matter."""

from __future__ import annotations

from typing import Protocol

from conveyor.pipeline.actions import Moved


class Telemetry(Protocol):
    def stage_moved(self, moved: Moved, *, seconds_in_stage: float | None) -> None: ...

    def effect_applied(self, effect: str, result: str, *, seconds: float) -> None:
        """`result`: applied, refused, conflict, unavailable or unknown, as the other side's answer reads."""

    def run_finished(self, role: str, verdict: str, *, seconds: float) -> None: ...

    def monitor_ended(self, verdict: str) -> None:
        """The watch after a deploy has found it Healthy or Degraded."""

    def conflict(self) -> None:
        """Somebody else wrote first; normal, and a measure of how many write."""

    def lease_taken_over(self, reason: str) -> None:
        """`reason`: Gone, its holder provably is; Expired, not renewed in time; Forced, by a person or a limit."""

    def fact_learned(self, source: str, via: str) -> None:
        """`via`: webhook or poll. Their quotient is the share of lost webhooks."""

    def gate_error(self) -> None:
        """A fact that a gate needs could not be read."""

    def invariant_violated(self, what: str) -> None:
        """Something that must never be: an unreadable object, a write that the API server refuses."""
