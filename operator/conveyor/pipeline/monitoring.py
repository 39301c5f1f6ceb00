"""The watch after a deploy: what probes have found, and what follows from it. The item is done and stays so.

A streak of failed probes is followed to its end, also past the end of the watch. The streak is on record, so that a
degraded verdict needs no further probe: first the streak, then the freeze, read back, then the verdict with its id.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from conveyor.api.repository import MonitorSpec
from conveyor.api.stages import Stage
from conveyor.api.workitem import Monitor, WorkItemStatus
from conveyor.pipeline.actions import Action, Amend, Note, Settle
from conveyor.pipeline.case import Case, settle
from conveyor.pipeline.facts import ProbeFact
from conveyor.pipeline.freezes import freeze_of

GRACE = timedelta(minutes=5)
"""How long past the end of a watch the next item waits for its verdict, whatever keeps it from coming."""


def is_watched(spec: MonitorSpec) -> bool:
    return bool(spec.probes) and spec.window_seconds > 0


def watched(case: Case, status: WorkItemStatus) -> WorkItemStatus:
    """A status that enters `done` by a deploy of ours, with the watch begun where one is wanted."""
    spec = case.spec.monitor
    if not is_watched(spec):
        return status
    until = case.now + timedelta(seconds=spec.window_seconds)
    return status.model_copy(update={"monitor": Monitor(until_time=until, verdict="Watching")})


def seconds_to_probe(monitor: Monitor, spec: MonitorSpec, *, since: datetime, now: datetime) -> float:
    """How long until the probes are due. `since`: when they were asked last, else when the item was done.

    An interval after that; at the end of the watch, if that is earlier and nothing has failed.
    """
    passed = (now - since).total_seconds()
    if passed < 0:
        return 0.0  # the clock was set back
    left = spec.interval_seconds - passed
    if monitor.failures == 0 and since < monitor.until_time:
        left = min(left, (monitor.until_time - now).total_seconds())
    return max(left, 0.0)


def monitor(case: Case) -> Action:
    """The next step of an item that is done: nothing, unless it is being watched."""
    found = case.status.monitor
    if case.stage != Stage.DONE or found is None or found.verdict != "Watching":
        return settle(case, case.status)
    if not is_watched(case.spec.monitor):
        return _with(case, None)  # nothing is wanted to be watched any more: nobody can say that it is well
    if found.failures >= case.spec.monitor.failure_threshold:
        return _degraded(case, found)
    if case.facts.probes is None:
        return settle(case, case.status)
    return _probed(case, found, case.facts.probes)


def _probed(case: Case, found: Monitor, probes: tuple[ProbeFact, ...]) -> Action:
    failed = [probe for probe in probes if not probe.healthy]
    if failed:
        return _failed(case, found, failed)
    ended = {"verdict": "Healthy"} if case.now >= found.until_time else {}
    return _with(case, found.model_copy(update={"failures": 0, "message": "", **ended}))


def _failed(case: Case, found: Monitor, failed: list[ProbeFact]) -> Action:
    text = "; ".join(f"{probe.name}: {probe.reason}" for probe in failed)
    counted = found.model_copy(update={"failures": found.failures + 1, "message": text[:1024]})
    if counted.failures < case.spec.monitor.failure_threshold:
        return _with(case, counted)
    return _with(case, counted, after=0.0) if _freezes(case) else _degraded(case, counted)


def _degraded(case: Case, found: Monitor) -> Action:
    """The verdict. With a freeze to be made it comes after it: whoever reads the one finds the other."""
    identity = freeze_id(case)
    made = next((freeze for freeze in case.repository.status.freezes if freeze.id == identity), None)
    if _freezes(case) and made is None:
        reason = f"the deploy of {case.item.key} is degraded: {found.message}"[:1024]
        return Amend(freeze=freeze_of(case.item, identity, reason=reason, now=case.now))
    verdict = found.model_copy(update={"verdict": "Degraded", "freeze_id": made.id if made is not None else ""})
    stands = made is not None and made.cleared_time is None
    follows = f"Repository {case.repository.name} is frozen" if stands else "nothing is frozen"
    note = Note("Degraded", f"the deploy is degraded; {follows}: {found.message}", warning=True)
    return _with(case, verdict, notes=(note,))


def freeze_id(case: Case) -> str:
    """The id of the deploy's transition; without a deploy Job the merge was the deploy."""
    ids = (entry.transition_id for entry in reversed(case.status.history) if entry.transition_id)
    return next(ids, case.item.metadata.uid)


def _freezes(case: Case) -> bool:
    return case.policy.freeze and case.spec.monitor.on_degraded == "Freeze"


def _with(case: Case, found: Monitor | None, *, after: float | None = None, notes: tuple[Note, ...] = ()) -> Settle:
    return settle(case, case.status.model_copy(update={"monitor": found}), after=after, notes=notes)
