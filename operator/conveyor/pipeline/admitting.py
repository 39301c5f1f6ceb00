"""Before an item begins: what holds it back, and its admission."""

from __future__ import annotations

from conveyor.api.names import branch_name
from conveyor.api.objects import WorkItem
from conveyor.api.stages import Stage
from conveyor.api.workitem import DependencyStatus, Effect, StalledReason, WaitingReason
from conveyor.pipeline.actions import Action, Admit, Discard
from conveyor.pipeline.case import Case, on_repository, settle, stall, wait
from conveyor.pipeline.facts import Fact, Ticket, Unknown
from conveyor.pipeline.intents import Target, intended
from conveyor.pipeline.lane import DependencyState
from conveyor.pipeline.progress import (
    poll,
)


def created(case: Case) -> Action:
    held = _held_back(case)
    if held is not None:
        return held
    title = case.item.spec.title or ""
    if case.item.spec.source is not None:
        wanted = _wanted(case)
        if not isinstance(wanted, str):
            return wanted
        title = wanted
    recorded_first = _depends(case)
    if recorded_first is not None:
        return recorded_first
    return _start(case, case.status.branch or branch_name(case.item.key, title))


def _depends(case: Case) -> Action | None:
    """Put on record what must be done first, from spec and ticket; None where that is done."""
    source = case.policy.dependencies_source if case.policy.dependencies else "none"
    named = {needed.name: "Spec" for needed in case.item.spec.depends_on} if source in ("spec", "both") else {}
    if source in ("tracker", "both"):
        named = dict.fromkeys(case.facts.blockers, "Tracker") | named
    wanted = tuple(DependencyStatus.model_validate({"name": name, "source": named[name]}) for name in sorted(named))
    if wanted != case.status.dependencies:
        return settle(case, case.status.model_copy(update={"dependencies": wanted}), after=0.0)
    if case.facts.blockers_without_item and source in ("tracker", "both"):
        text = (
            f"{case.facts.blockers_without_item} of the tickets that block it were never started: start or unlink them"
        )
        return wait(case, WaitingReason.DEPENDENCY_MISSING, text, on=on_repository(case), after=poll(case))
    return None


def planned_branch(item: WorkItem, ticket: Fact[Ticket | None]) -> str | None:
    """The branch an item in `created` would get; None while its title is not known."""
    if item.status.branch is not None:
        return item.status.branch
    if item.spec.source is None:
        return branch_name(item.key, item.spec.title or "")
    return branch_name(item.key, ticket.name) if isinstance(ticket, Ticket) else None


def _wanted(case: Case) -> Action | str:
    """The ticket's title if it is to be started, else what to do instead."""
    ticket, states = case.facts.ticket, case.facts.states
    if ticket is None:
        return Discard("its ticket is gone")
    if isinstance(ticket, Unknown):
        return wait(case, WaitingReason.TRACKER, f"the ticket could not be read: {ticket.reason}", after=poll(case))
    if isinstance(states, Unknown):
        return wait(case, WaitingReason.TRACKER, f"the states could not be read: {states.reason}", after=poll(case))
    if case.item.spec.source is not None and ticket.key != case.item.spec.source.key:
        return Discard(f"its ticket is {ticket.key}, not {case.item.spec.source.key}")
    if ticket.state_id not in states.start_ids and not _is_ours(case, ticket):
        return Discard(f"ticket {ticket.key} is in no starting state")
    return ticket.name


def _is_ours(case: Case, ticket: Ticket) -> bool:
    """Whether we set the ticket's state ourselves, to show that the item is Stalled."""
    seen = case.status.tracker
    return seen is not None and bool(seen.indicated_state) and ticket.state_id == seen.indicated_state


def _held_back(case: Case) -> Action | None:
    """What the cache knows to be in the way. Only the head of a lane says more than that others go first."""
    lane = case.facts.lane
    held = dependencies(case)
    if held is not None:
        return held
    if lane.occupied_by or not lane.first:
        text = "an earlier item of the repository goes first: kubectl workitem queue shows the order"
        return wait(case, WaitingReason.EARLIER_ITEM, text, on=on_repository(case))
    if not lane.ready:
        return wait(case, WaitingReason.FORGE, f"the Repository is not Ready: {lane.not_ready}", on=on_repository(case))
    if lane.freeze is not None:
        return wait(case, WaitingReason.REPOSITORY_FROZEN, f"frozen: {lane.freeze.reason}", on=on_repository(case))
    if lane.watched_until is not None:
        text = "the repository's last deploy is still being watched: kubectl workitem queue shows until when"
        left = (lane.watched_until - case.now).total_seconds()
        return wait(case, WaitingReason.MONITOR, text, on=on_repository(case), after=max(left, 0.0) + 0.1)
    return None


def dependencies(case: Case) -> Action | None:
    """What keeps an item that nothing else holds back waiting for others; None where nothing does."""
    lane = case.facts.lane
    by_state = {
        state: [needed.name for needed in lane.dependencies if needed.state == state] for state in DependencyState
    }
    if lane.cycle:
        circle = " -> ".join([*lane.cycle, lane.cycle[0]])
        return stall(case, StalledReason.DEPENDENCY_CYCLE, f"these wait for each other: {circle}")
    if gone := by_state[DependencyState.CANCELLED]:
        text = f"{', '.join(gone)} was cancelled: take it out of dependsOn to go on"
        return stall(case, StalledReason.DEPENDENCY_CANCELLED, text)
    if missing := by_state[DependencyState.MISSING]:
        text = f"there is no WorkItem {', '.join(missing)}"
        return wait(case, WaitingReason.DEPENDENCY_MISSING, text, on=("WorkItem", missing[0]))
    if still_open := by_state[DependencyState.OPEN]:
        return wait(
            case, WaitingReason.DEPENDENCY, f"waits for {', '.join(still_open)}", on=("WorkItem", still_open[0])
        )
    return None


def _start(case: Case, branch: str) -> Action:
    """Admission has three writes: the lane on the Repository, the intent on the item, and the branch."""
    match case.facts.branch_head, case.facts.base_head:
        case Unknown(reason=reason), _:
            return wait(case, WaitingReason.FORGE, f"the branch could not be read: {reason}", after=poll(case))
        case str(), _:
            text = (
                f"branch {branch} is there already: remove it, or kubectl workitem retry {case.item.name} for another"
            )
            planned = case.status.model_copy(update={"branch": branch})
            return stall(case, StalledReason.PRIOR_WORK_FOUND, text, status=planned, after=60.0)
        case _, Unknown(reason=reason):
            return wait(case, WaitingReason.FORGE, f"the default branch could not be read: {reason}", after=poll(case))
        case _, None:
            text = f"there is no branch {case.spec.forge.default_branch}"
            return wait(case, WaitingReason.FORGE, text, on=on_repository(case), after=poll(case))
        case _, base:
            return _admit(case, branch, base)


def _admit(case: Case, branch: str, base: str) -> Action:
    if not case.facts.admitted:
        return Admit(base_sha=base)
    status = case.status.model_copy(
        update={"branch": branch, "base_branch": case.spec.forge.default_branch, "base_sha": base}
    )
    target = Target(effect=Effect.CUT_BRANCH, to=Stage.ANALYSIS, base_sha=base)
    return settle(case, intended(case, status, target), after=0.0)
