"""Every stage with every combination of the facts that it reads: what no decision may ever do.

What must be known before an item goes forward is written down here once more, in the design's words and not the code's.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from conveyor.api.stages import EDGES, Stage
from conveyor.api.workitem import Effect, Monitor, StalledReason, Transition, WorkItemStatus
from conveyor.pipeline.actions import Action, Admit, Amend, Apply, ReleaseLeases, Settle, StartRun
from conveyor.pipeline.case import Case, with_status
from conveyor.pipeline.decide import decide
from conveyor.pipeline.resuming import DEPLOY_ENDED
from tests.quick import thinned
from tests.unit.pipeline.job_rules import amends_what_happened, rolled_back_or_done
from tests.unit.pipeline.needs import INTENDS, NEEDS
from tests.unit.pipeline.overrides import broken_glass, is_override
from tests.unit.pipeline.situations import cases_in, oddities

STAGES = (None, *Stage)
STEPS_TO_REST = 6


def violations(stage: Stage | None, rule: Callable[[Case, Action], str]) -> list[str]:
    """Sentences for what breaks a rule, the first few; the rule says what is wrong, or nothing."""
    found = []
    for name, case in thinned(cases_in(stage)):
        action = decide(case)
        if wrong := "; ".join(filter(None, (rule(case, one) for one in stored_by(action)))):
            found.append(f"{name}: {oddities(case.facts)}\n    {wrong}\n    -> {str(action)[:300]}")
            if len(found) == 5:
                break
    return found


def stored_by(action: Action) -> tuple[Action, ...]:
    """What a rule is about: of a forced release both of its ends."""
    return (action.released, action.nothing) if isinstance(action, ReleaseLeases) else (action,)


def only_edges(case: Case, action: Action) -> str:
    if not isinstance(action, Settle) or action.status.stage == case.status.stage:
        return ""
    old, new = case.status.stage, action.status.stage
    legal = new == Stage.CREATED if old is None else new in EDGES[old]
    return "" if legal or is_override(case, action) else f"{old} -> {new} is no edge"


def gates_known(case: Case, action: Action) -> str:
    """Going forward, and beginning what cannot be taken back, only with everything known and good."""
    if not isinstance(action, Settle) or case.status.stage is None or action.status.stage is None:
        return ""
    edge = (case.stage, action.status.stage)
    if is_override(case, action):
        return ""
    if edge in NEEDS and not NEEDS[edge](case):
        return f"{edge[0]} -> {edge[1]} although its gates do not hold"
    new, old = action.status.transition, case.status.transition
    begun = new is not None and (old is None or new.id != old.id)
    started_over = case.status.stalled in (StalledReason.BRANCH_GONE, StalledReason.MERGED_LATE)
    if new is not None and begun and not started_over and not INTENDS[new.effect](case):
        return f"intends {new.effect.value} although it must not"
    return ""


def only_our_own_head(case: Case, action: Action) -> str:
    """Before the merge another head is taken on where our rebase brought it, and everything else goes back."""
    if not isinstance(action, Settle) or not case.status.stage == action.status.stage == Stage.DEPLOY_STAGING:
        return ""
    intent, facts = case.status.transition, case.facts
    if action.status.head_sha in (case.status.head_sha, None) or case.status.pull_request is None:
        return ""
    ours = intent is not None and intent.effect == Effect.REBASE and facts.change_id == intent.precondition.change_id
    return "" if ours and facts.base_in_head is True else "takes a head for its own that may be anybody's"


def the_mark_goes_up(case: Case, action: Action) -> str:
    if not isinstance(action, Amend) or action.coverage is None:
        return ""
    mark, merged = case.repository.status.coverage, case.status.merge_sha
    up = mark is None or action.coverage.percent > mark.percent
    return "" if up and action.coverage.sha == merged and merged else "a mark that is not the merge's, or goes down"


def nothing_starts_unasked(case: Case, action: Action) -> str:
    """No run without a slot, none while suspended or Stalled; never a run and an effect at once."""
    match action:
        case StartRun() | Apply() | Admit() if case.status.stage in (Stage.DONE, Stage.CANCELLED):
            return "acts although the item has ended"
        case Apply(transition) if _merges_in_a_freeze(case, transition):
            return "merges although merges are frozen"
        case Apply() if case.status.stalled is not None and case.facts.head_in_base is not True:
            return "applies an effect although Stalled"
        case Settle(status=status):
            return _starts(case, status)
        case _:
            return ""


def _merges_in_a_freeze(case: Case, transition: Transition) -> bool:
    """What the base has already is only marked as merged."""
    freeze = case.facts.lane.freeze
    frozen = freeze is not None and freeze.scope == "merge"
    return frozen and transition.effect == Effect.MERGE and case.facts.head_in_base is not True


def _starts(case: Case, status: WorkItemStatus) -> str:
    new_run = status.active_run is not None and (
        case.status.active_run is None or case.status.active_run.name != status.active_run.name
    )
    new_intent = status.transition is not None and case.status.transition is None
    told = bool(case.item.metadata.annotations)
    wrong = {
        "a run and an effect at once": status.active_run is not None and status.transition is not None,
        "a run without a slot": new_run and not case.facts.slot_free,
        "a new run while suspended": new_run and case.item.spec.suspend,
        "a new effect while suspended": new_intent and case.item.spec.suspend and not told,
        "a new run on a Stalled item": new_run and status.stalled is not None,
        "a new effect on a Stalled item": new_intent and status.stalled is not None,
        "a failed deploy again, unasked": new_intent and case.status.stalled in DEPLOY_ENDED,
    }
    return ", ".join(what for what, is_so in wrong.items() if is_so and not (told and "unasked" in what))


def the_end_is_the_end(case: Case, action: Action) -> str:
    """Of what has ended only the watch, people's echoes and conditions change; the Repository only to be frozen."""
    if case.status.stage not in (Stage.DONE, Stage.CANCELLED):
        return ""
    old, new = case.status.monitor, case.status
    match action:
        case Settle(status=status):
            new = status
        case Amend(freeze=freeze, coverage=None, production=None) if freeze is not None:
            failed = old is not None and old.verdict == "Watching" and old.failures >= 3
            return "" if failed and case.spec.monitor.on_degraded == "Freeze" else "freezes although it must not"
        case _:
            return f"{type(action).__name__} on what has ended"
    kept = ("monitor", "conditions", "handled_requests", "observed_generation")
    if new.model_copy(update={name: getattr(case.status, name) for name in kept}) != case.status:
        return "more than the watch changes"
    return _verdict_known(case, old, new.monitor)


def _verdict_known(case: Case, old: Monitor | None, new: Monitor | None) -> str:
    if old == new:
        return ""
    probes, watched = case.facts.probes, bool(case.spec.monitor.probes)
    well = probes is not None and all(probe.healthy for probe in probes)
    wrong = {
        "a verdict was changed": old is None or old.verdict != "Watching",
        "a watch ended unasked": new is None and watched,
        "healthy, and nobody knows": new is not None and new.verdict == "Healthy" and not well,
        "healthy before the end": new is not None and new.verdict == "Healthy" and new.until_time > case.now,
        "degraded too early": new is not None and new.verdict == "Degraded" and new.failures < 3,
        "counted without a probe": new is not None and new.failures != (old.failures if old else 0) and probes is None,
        "degraded before it is frozen": new is not None
        and new.verdict == "Degraded"
        and case.spec.monitor.on_degraded == "Freeze"
        and new.freeze_id not in {freeze.id for freeze in case.repository.status.freezes},
    }
    return ", ".join(what for what, is_so in wrong.items() if is_so)


def counts_monotone(case: Case, action: Action) -> str:
    """What the API server would refuse."""
    if not isinstance(action, Settle):
        return ""
    old, new = case.status, action.status
    wrong = {
        "runs went down": (new.runs or 0) < (old.runs or 0),
        "the fencing token went down": (new.fencing_token or 0) < (old.fencing_token or 0),
        "an attempt count was lowered": any(
            0 < new.attempts_of(attempt.cause).count < attempt.count for attempt in old.attempts
        ),
        "a cause was removed": {attempt.cause for attempt in old.attempts} > {entry.cause for entry in new.attempts},
    }
    return ", ".join(what for what, is_so in wrong.items() if is_so)


def can_be_stored(case: Case, action: Action) -> str:
    """Every length and pattern of the kind holds; a status like one that was tried already is not tried again."""
    if not isinstance(action, Settle):
        return ""
    new = action.status
    parts = (new.stage, new.waiting, new.transition, new.active_run, new.last_run, new.approval, new.monitor)
    like = (*parts, new.conditions)
    words = tuple((gate.name, gate.passed, gate.reason) for gate in new.gates)
    if (like, words) in STORED:
        return ""
    STORED.add((like, words))
    return "" if WorkItemStatus.model_validate(new.dump()) == new else "it reads back as another"


STORED: set[object] = set()


def says_why(case: Case, action: Action) -> str:
    """An item that stands still says why."""
    if not isinstance(action, Settle) or action.status.stage in (None, Stage.DONE, Stage.CANCELLED):
        return ""
    status = action.status
    if action.after is None and status.waiting is None and status != case.status:
        return "it waits and does not say why"
    return ""


def comes_to_rest(case: Case, action: Action) -> str:
    """With nothing changed outside, it stops writing after a few steps or needs an effect or a run."""
    for _ in range(STEPS_TO_REST):
        if not isinstance(action, Settle) or action.status == case.status or _began(case, action.status):
            return ""
        case = with_status(case, action.status)
        action = decide(case)
    return f"still writing after {STEPS_TO_REST} steps"


def _began(case: Case, status: WorkItemStatus) -> bool:
    run, intent = status.active_run, status.transition
    old_run, old_intent = case.status.active_run, case.status.transition
    new_run = run is not None and (old_run is None or run.name != old_run.name)
    return new_run or (intent is not None and (old_intent is None or intent.id != old_intent.id))


RULES = (
    only_edges,
    broken_glass,
    gates_known,
    only_our_own_head,
    the_mark_goes_up,
    nothing_starts_unasked,
    the_end_is_the_end,
    amends_what_happened,
    rolled_back_or_done,
    counts_monotone,
    can_be_stored,
    says_why,
    comes_to_rest,
)


def every_rule(case: Case, action: Action) -> str:
    return "; ".join(wrong for wrong in (rule(case, action) for rule in RULES) if wrong)


LONG = {Stage.DEPLOY_STAGING}  # it has half of all situations
BY_STAGE = [pytest.param(stage, id=str(stage), marks=[pytest.mark.long] * (stage in LONG)) for stage in STAGES]


@pytest.mark.parametrize("stage", BY_STAGE)
def test_whatever_the_facts_the_decision_keeps_every_rule(stage: Stage | None) -> None:
    found = violations(stage, every_rule)
    assert not found, "\n".join(found)


@pytest.mark.long
def test_the_situations_are_many() -> None:
    number = sum(1 for stage in STAGES for _ in cases_in(stage))
    print(f"{number} situations")
    assert number > 25_000
