"""From a tested change to a deployed one: what must hold before the merge, and what follows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from conveyor.api.stages import Stage
from conveyor.api.workitem import Cause, Effect, StalledReason, WaitingReason, WorkItemStatus
from conveyor.pipeline.actions import Action
from conveyor.pipeline.budgets import charged, exhausted
from conveyor.pipeline.case import Case, advanced, on_repository, settle, stall, wait, with_status
from conveyor.pipeline.effect_jobs import begin
from conveyor.pipeline.facts import PullRequest
from conveyor.pipeline.gates import MOVED_AGAIN, evaluate, first_open, recorded
from conveyor.pipeline.intents import Target, intended
from conveyor.pipeline.merging import merge_freeze
from conveyor.pipeline.monitoring import watched
from conveyor.pipeline.overtaken import overtaken
from conveyor.pipeline.progress import (
    back_to_review,
    held_at,
    on_pull,
    poll,
    with_change,
)
from conveyor.pipeline.proposal import proposed
from conveyor.pipeline.pulls import pull_trouble
from conveyor.pipeline.runs import entered, rework
from conveyor.pipeline.words import Failed, NotEvaluated


def deploy_staging(case: Case) -> Action:
    trouble = pull_trouble(case) or proposed(case) or back_to_review(case)
    if trouble is not None:
        return trouble
    words = evaluate(case, Stage.DEPLOY_STAGING)
    judged = with_change(with_status(case, recorded(case, case.status, words)))
    held = first_open(words)
    if held is not None:
        return _held(judged, *held)
    return _frozen(judged) or _merge(judged)


def _frozen(case: Case) -> Action | None:
    """Nothing of a merge, nor of the Jobs just before it, begins while merges are frozen."""
    text = merge_freeze(case)
    return wait(case, WaitingReason.REPOSITORY_FROZEN, text, on=on_repository(case)) if text else None


def _held(case: Case, gate: str, word: Failed | NotEvaluated) -> Action:
    """What the first gate that has not passed calls for."""
    match word:
        case NotEvaluated(needs=Effect() as effect):
            return _frozen(case) or begin(case, effect)
        case _:
            pass
    return held_at(case, gate, word, on_failure=ON_FAILURE.get(gate, _changes_wanted))


def _changes_wanted(case: Case, why: str) -> Action:
    return rework(case, Cause.REVIEW, why, to=Stage.DEVELOPMENT)


def _red_again(case: Case, why: str) -> Action:
    return rework(case, Cause.CI, why, to=Stage.DEVELOPMENT)


def _less_covered(case: Case, why: str) -> Action:
    return rework(case, Cause.COVERAGE, why, to=Stage.DEVELOPMENT)


def _behind(case: Case, why: str) -> Action:
    """Rebased, where that is wanted: free the first time, charged when the base moved once the head could be merged."""
    if not (case.spec.merge.always_rebase and case.policy.premerge_rebase):
        text = f"{why}: bring {case.status.branch} up to date with {case.status.base_branch}, then retry"
        return stall(case, StalledReason.BASE_MOVED, text, after=poll(case))
    if (frozen := _frozen(case)) is not None:
        return frozen
    status = case.status
    if why == MOVED_AGAIN:
        if (budget := exhausted(status, case.spec, Cause.BASE_MOVED)) is not None:
            text = f"{why}, as often as is allowed ({budget}): retry rebases {status.branch} once more"
            return stall(case, StalledReason.BASE_MOVED, text, after=poll(case))
        status = charged(status, Cause.BASE_MOVED, status.head_sha or "")
    return _intend(case, status, Effect.REBASE, to=Stage.DEPLOY_STAGING)


ON_FAILURE: Mapping[str, Callable[[Case, str], Action]] = {
    "ci_green": _red_again,
    "branch_mergeable": _behind,
    "coverage_ratchet": _less_covered,
    "image_fresh": lambda case, why: rework(case, Cause.IMAGE, why, to=Stage.DEVELOPMENT),
    "staging_healthy": lambda case, why: rework(case, Cause.STAGING, why, to=Stage.DEVELOPMENT),
}
"""What a gate before the merge that does not hold calls for, where it is not another round with the developer."""


def _merge(case: Case) -> Action:
    return _intend(case, case.status, Effect.MERGE, to=Stage.DEPLOY)


def _intend(case: Case, status: WorkItemStatus, effect: Effect, *, to: Stage) -> Action:
    """An intent about exactly what was judged: head, base and change."""
    change = status.change_id or ""
    match case.facts.pull, case.facts.base_head:
        case PullRequest() as pull, str() as base if change or effect == Effect.MERGE:
            target = Target(effect=effect, to=to, head_sha=pull.head_sha, base_sha=base, change_id=change)
            return settle(case, intended(case, status, target), after=0.0)
        case _:
            text = "base, head or their difference could not be read"
            return wait(case, WaitingReason.FORGE, text, on=on_pull(case), after=poll(case))


def deploy(case: Case) -> Action:
    if not case.status.merge_sha:
        text = "no merged commit is on record, so nothing can be deployed: rework begins on a new branch"
        return stall(case, StalledReason.DEPLOY_FAILED, text)
    if not case.spec.deploy.template:
        status: WorkItemStatus = watched(case, entered(case, Stage.DONE, cause="merged; no deploy is configured"))
        note = advanced(case, Stage.DONE, "no deploy is configured")
        return settle(case, status, after=0.0, cause="merged", notes=(note,))
    if (later := overtaken(case)) is not None:
        return later
    target = Target(effect=Effect.PRODUCTION, to=Stage.DONE, head_sha=case.status.merge_sha)
    return settle(case, intended(case, case.status, target), after=0.0)
