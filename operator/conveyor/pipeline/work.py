"""What each stage does when nothing is under way: look at its facts, ask its gates, take one step."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from conveyor.api.names import branch_name
from conveyor.api.objects import WorkItem
from conveyor.api.stages import Stage
from conveyor.api.workitem import Cause, DependencyStatus, Effect, StalledReason, WaitingReason, WorkItemStatus
from conveyor.pipeline.actions import Action, Admit, Discard
from conveyor.pipeline.budgets import CAUSE_OF_STAGE
from conveyor.pipeline.case import Case, advanced, settle, stall, wait, with_status
from conveyor.pipeline.effects import Target, intended, production_seconds
from conveyor.pipeline.facts import Fact, PullRequest, Ticket, Unknown
from conveyor.pipeline.gates import Failed, NotEvaluated, evaluate, first_open, head_sha, recorded
from conveyor.pipeline.lane import DependencyState
from conveyor.pipeline.people import ask
from conveyor.pipeline.proposal import proposed
from conveyor.pipeline.pulls import head_moved, pull_trouble
from conveyor.pipeline.runs import begin, entered, rework, role_passed, why_here, worked

NEXT: Mapping[Stage, Stage] = {
    Stage.ANALYSIS: Stage.ARCHITECTURE,
    Stage.ARCHITECTURE: Stage.DEVELOPMENT,
    Stage.DEVELOPMENT: Stage.REVIEW,
    Stage.REVIEW: Stage.TESTING,
    Stage.TESTING: Stage.DEPLOY_STAGING,
}


def _repository(case: Case) -> tuple[str, str]:
    return ("Repository", case.repository.name)


# --- created


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
        return wait(case, WaitingReason.DEPENDENCY_MISSING, text, on=_repository(case), after=_poll(case))
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
        return wait(case, WaitingReason.TRACKER, f"the ticket could not be read: {ticket.reason}", after=_poll(case))
    if isinstance(states, Unknown):
        return wait(case, WaitingReason.TRACKER, f"the states could not be read: {states.reason}", after=_poll(case))
    if case.item.spec.source is not None and ticket.key != case.item.spec.source.key:
        return Discard(f"its ticket is {ticket.key}, not {case.item.spec.source.key}")
    if ticket.state_id not in states.start_ids and not _is_ours(case, ticket):
        return Discard(f"ticket {ticket.key} is in no starting state")
    return ticket.name


def _is_ours(case: Case, ticket: Ticket) -> bool:
    """Whether we set the ticket's state ourselves, to show that the item is Stalled."""
    seen = case.status.tracker
    return seen is not None and bool(seen.indicated_state) and ticket.state_id == seen.indicated_state


def _poll(case: Case) -> float:
    return case.policy.poll_seconds


def _held_back(case: Case) -> Action | None:
    """What the cache knows to be in the way. Only the head of a lane says more than that others go first."""
    lane = case.facts.lane
    held = dependencies(case)
    if held is not None:
        return held
    if lane.occupied_by or not lane.first:
        text = "an earlier item of the repository goes first: kubectl workitem queue shows the order"
        return wait(case, WaitingReason.EARLIER_ITEM, text, on=_repository(case))
    if not lane.ready:
        return wait(case, WaitingReason.FORGE, f"the Repository is not Ready: {lane.not_ready}", on=_repository(case))
    if lane.freeze is not None:
        return wait(case, WaitingReason.REPOSITORY_FROZEN, f"frozen: {lane.freeze.reason}", on=_repository(case))
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
            return wait(case, WaitingReason.FORGE, f"the branch could not be read: {reason}", after=_poll(case))
        case str(), _:
            text = (
                f"branch {branch} is there already: remove it, or kubectl workitem retry {case.item.name} for another"
            )
            planned = case.status.model_copy(update={"branch": branch})
            return stall(case, StalledReason.PRIOR_WORK_FOUND, text, status=planned, after=60.0)
        case _, Unknown(reason=reason):
            return wait(case, WaitingReason.FORGE, f"the default branch could not be read: {reason}", after=_poll(case))
        case _, None:
            text = f"there is no branch {case.spec.forge.default_branch}"
            return wait(case, WaitingReason.FORGE, text, on=_repository(case), after=_poll(case))
        case _, base:
            return _admit(case, branch, base)


def _admit(case: Case, branch: str, base: str) -> Action:
    active = case.repository.status.active_item
    if active is None or active.uid != case.item.metadata.uid:
        return Admit(base_sha=base)
    status = case.status.model_copy(
        update={"branch": branch, "base_branch": case.spec.forge.default_branch, "base_sha": base}
    )
    target = Target(effect=Effect.CUT_BRANCH, to=Stage.ANALYSIS, base_sha=base)
    return settle(case, intended(case, status, target), after=0.0)


# --- analysis, architecture


def documents(case: Case) -> Action:
    first = role_passed(case) or changed_nothing(case)
    if first is not None:
        return first
    return through_gates(case, on_failure=lambda judged, why: rework(judged, CAUSE_OF_STAGE[judged.stage], why))


def changed_nothing(case: Case) -> Action | None:
    """Rework that left the head where it was sent back from is charged to the same cause again."""
    head = head_sha(case)
    for cause in (Cause.REVIEW, Cause.TESTING, Cause.REJECTED):
        charge = case.status.attempts_of(cause)
        if head and charge.count and charge.sha == head:
            return rework(case, cause, f"nothing was changed since: {_last_reason(case)}")
    return None


def _last_reason(case: Case) -> str:
    waiting = case.status.waiting
    return why_here(case) or (waiting.message if waiting is not None else "it was sent back")


def through_gates(case: Case, *, on_failure: Callable[[Case, str], Action]) -> Action:
    """To the next stage if all gates of this one hold, else what the first open gate calls for."""
    words = evaluate(case, case.stage)
    judged = with_status(case, recorded(case, case.status, words))
    held = first_open(words)
    if held is None:
        to = NEXT[case.stage]
        why = ", ".join(name for name, _ in words)
        return settle(
            judged, entered(judged, to, cause=why), after=0.0, cause="gates", notes=(advanced(judged, to, why),)
        )
    return _held_at(judged, *held, on_failure=on_failure)


def _held_at(
    case: Case, gate: str, word: Failed | NotEvaluated, *, on_failure: Callable[[Case, str], Action]
) -> Action:
    match word:
        case Failed(reason=reason):
            return on_failure(case, reason)
        case NotEvaluated(waiting=WaitingReason.APPROVAL):
            return ask(case, gate)
        case NotEvaluated(reason=reason, silent=True):
            return stall(case, StalledReason.CI_SILENT, f"{reason} within the time limit", after=_poll(case))
        case NotEvaluated(reason=reason, waiting=waiting):
            return wait(case, waiting, f"{gate}: {reason}", on=_pull(case), after=_poll(case))


def _pull(case: Case) -> tuple[str, str]:
    pull = case.status.pull_request
    return ("PullRequest", f"#{pull.number}") if pull is not None else _repository(case)


# --- development, review, testing


def development(case: Case) -> Action:
    first = pull_trouble(case) or role_passed(case) or proposed(case) or changed_nothing(case)
    if first is not None:
        return first
    match case.facts.pull:
        case PullRequest() as pull:
            return through_gates(seen(case, pull), on_failure=lambda judged, why: rework(judged, Cause.CI, why))
        case _:
            return wait(
                case, WaitingReason.FORGE, "the pull request could not be read", on=_pull(case), after=_poll(case)
            )


def seen(case: Case, pull: PullRequest) -> Case:
    """With the head and change just read on record."""
    change = case.facts.change_id
    if isinstance(change, Unknown):
        change = case.status.change_id or "" if case.status.head_sha == pull.head_sha else ""
    update = {"head_sha": pull.head_sha, "change_id": change or None}
    return with_status(case, case.status.model_copy(update=update))


def review(case: Case) -> Action:
    trouble = pull_trouble(case) or proposed(case)
    if trouble is not None:
        return trouble
    match case.facts.pull:
        case PullRequest() as pull if head_moved(case, pull):
            text = "the branch has moved since the last review"
            return begin(case, reason=text, status=seen(case, pull).status)
        case _:
            pass
    first = role_passed(case)
    if first is not None:
        return first
    if _disagrees(case):
        text = "the reviewer says its review is posted, but the forge has none of this commit"
        return rework(case, Cause.INFRASTRUCTURE, text)
    judged = with_change(case)
    return through_gates(judged, on_failure=lambda again, why: rework(again, Cause.REVIEW, why, to=Stage.DEVELOPMENT))


def with_change(case: Case) -> Case:
    """With the change of the head on record, if it could not be read before."""
    match case.facts.pull:
        case PullRequest() as pull if case.status.change_id is None:
            return seen(case, pull)
        case _:
            return case


def _disagrees(case: Case) -> bool:
    """Whether the reviewer claims a review that the forge does not have."""
    mine, said = case.policy.reviewer_login, ("APPROVED", "REQUEST_CHANGES", "COMMENT")
    match case.facts.reviews, case.facts.pull:
        case tuple() as reviews, PullRequest() as pull:
            words = [entry for entry in reviews if entry.state in said and entry.commit == pull.head_sha]
            return not any(not mine or entry.author == mine for entry in words)
        case _:
            return False


def testing(case: Case) -> Action:
    first = pull_trouble(case) or proposed(case) or _back_to_review(case) or role_passed(case)
    if first is not None:
        return first
    last = worked(case)
    if last is not None and last.sha != case.status.head_sha:
        return rework(case, Cause.INFRASTRUCTURE, "the tester's answer is about another commit")
    judged = with_change(case)
    return through_gates(judged, on_failure=lambda again, why: rework(again, Cause.TESTING, why, to=Stage.DEVELOPMENT))


def _back_to_review(case: Case) -> Action | None:
    match case.facts.pull:
        case PullRequest() as pull if head_moved(case, pull):
            text = f"somebody pushed {pull.head_sha[:12]}"
            return rework(case, Cause.HEAD_MOVED, text, to=Stage.REVIEW, status=seen(case, pull).status)
        case _:
            return None


# --- deploy-staging, deploy


def deploy_staging(case: Case) -> Action:
    trouble = pull_trouble(case) or proposed(case) or _back_to_review(case)
    if trouble is not None:
        return trouble
    words = evaluate(case, Stage.DEPLOY_STAGING)
    judged = with_change(with_status(case, recorded(case, case.status, words)))
    held = first_open(words)
    if held is not None:
        return _held_at(judged, *held, on_failure=lambda failed, why: _not_to_be_merged(failed, held[0], why))
    freeze = case.facts.lane.freeze
    if freeze is not None and freeze.scope == "merge":
        return wait(
            judged, WaitingReason.REPOSITORY_FROZEN, f"merges are frozen: {freeze.reason}", on=_repository(case)
        )
    return _merge(judged)


def _not_to_be_merged(case: Case, gate: str, why: str) -> Action:
    match gate:
        case "branch_mergeable":
            text = f"{why}: bring {case.status.branch} up to date with {case.status.base_branch}, then retry"
            return stall(case, StalledReason.BASE_MOVED, text, after=_poll(case))
        case "ci_green":
            return rework(case, Cause.CI, why, to=Stage.DEVELOPMENT)
        case _:
            return rework(case, Cause.REVIEW, why, to=Stage.DEVELOPMENT)


def _merge(case: Case) -> Action:
    match case.facts.pull, case.facts.base_head:
        case PullRequest() as pull, str() as base:
            target = Target(
                effect=Effect.MERGE,
                to=Stage.DEPLOY,
                head_sha=pull.head_sha,
                base_sha=base,
                change_id=case.status.change_id or "",
            )
            return settle(case, intended(case, case.status, target), after=0.0)
        case _:
            return wait(case, WaitingReason.FORGE, "base and head could not be read", after=_poll(case))


def deploy(case: Case) -> Action:
    if not case.spec.deploy.template:
        status: WorkItemStatus = entered(case, Stage.DONE, cause="merged; no deploy is configured")
        return settle(case, status, cause="merged", notes=(advanced(case, Stage.DONE, "no deploy is configured"),))
    target = Target(
        effect=Effect.PRODUCTION,
        to=Stage.DONE,
        head_sha=case.status.merge_sha or "",
        seconds=production_seconds(case),
    )
    return settle(case, intended(case, case.status, target), after=0.0)


WORK: Mapping[Stage, Callable[[Case], Action]] = {
    Stage.CREATED: created,
    Stage.ANALYSIS: documents,
    Stage.ARCHITECTURE: documents,
    Stage.DEVELOPMENT: development,
    Stage.REVIEW: review,
    Stage.TESTING: testing,
    Stage.DEPLOY_STAGING: deploy_staging,
    Stage.DEPLOY: deploy,
}
