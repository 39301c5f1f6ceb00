"""The situations a pull request can be in behind our back."""

from __future__ import annotations

from dataclasses import replace

from conveyor.api.stages import Stage
from conveyor.api.workitem import Effect, StalledReason, WaitingReason
from conveyor.pipeline.actions import Action, Settle
from conveyor.pipeline.case import SOON, Case, advanced, moved, settle, stall, wait
from conveyor.pipeline.facts import PullRequest, Unknown
from conveyor.pipeline.merging import merged
from conveyor.pipeline.superseding import end_first, superseded

BEFORE_MERGE = frozenset({Stage.DEVELOPMENT, Stage.REVIEW, Stage.TESTING, Stage.DEPLOY_STAGING})


def head_moved(case: Case, pull: PullRequest) -> bool:
    """Whether somebody pushed: the head we know of, or brought there ourselves, is on record."""
    return bool(case.status.head_sha) and pull.head_sha != case.status.head_sha


def pull_trouble(case: Case) -> Action | None:
    """A recorded pull request that cannot go on as it is; None where it is open, as it should be, or unread."""
    recorded = case.status.pull_request
    match case.facts.pull:
        case None if recorded is not None:
            text = f"pull request #{recorded.number} is gone: resume opens another"
            return stall(case, StalledReason.PULL_REQUEST_CLOSED, text, after=60.0)
        case PullRequest() as pull if recorded is not None:
            return _trouble(case, pull)
        case _:
            return None


def _trouble(case: Case, pull: PullRequest) -> Action | None:
    if pull.merged:
        return None if is_ours(case, pull) else _merged_elsewhere(case, pull)
    if pull.state != "open":
        text = f"pull request #{pull.number} was closed: reopen it, or resume to open another"
        return stall(case, StalledReason.PULL_REQUEST_CLOSED, text, after=60.0)
    if pull.head != case.status.branch:
        text = f"branch {case.status.branch} is gone: push it again, or rework to start over on a new branch"
        return stall(case, StalledReason.BRANCH_GONE, text, after=60.0)
    return _renamed(case, pull)


def is_ours(case: Case, pull: PullRequest) -> bool:
    """Whether it is from the item's branch to its base: another one's fate is not the work's."""
    return (pull.head, pull.base) == (case.status.branch, case.status.base_branch)


def _merged_elsewhere(case: Case, pull: PullRequest) -> Action:
    base, default = case.status.base_branch, case.spec.forge.default_branch
    if pull.head == case.status.branch and pull.base == default:
        text = f"pull request #{pull.number} was merged to {default}, not to {base}: resume to accept it"
        return stall(case, StalledReason.BASE_RENAMED, text, after=60.0)
    found, wanted = f"{pull.head} to {pull.base}", f"{case.status.branch} to {base}"
    has = f"{pull.base} has {(pull.merge_sha or pull.head_sha)[:12]} by {pull.merged_by or 'somebody'}"
    text = f"#{pull.number} merged {found}, not {wanted}, and {has}: resume opens another, or override to done"
    return stall(case, StalledReason.PULL_REQUEST_CLOSED, text, after=60.0)


def _renamed(case: Case, pull: PullRequest) -> Action | None:
    """Another base than the one the work was made for. A base that is not the default branch is never merged to."""
    base, default = case.status.base_branch, case.spec.forge.default_branch
    if pull.base != default:
        text = f"pull request #{pull.number} goes to {pull.base}, not to {default}: retarget it, then resume"
        return stall(case, StalledReason.BASE_RENAMED, text, after=60.0)
    if base != default:
        text = f"pull request #{pull.number} goes to {default} now, not to {base}: resume to accept it"
        return stall(case, StalledReason.BASE_RENAMED, text, after=60.0)
    return None


def merged_by_somebody(case: Case) -> Action | None:
    """The recorded pull request was merged, and no intent on record did it: the item is done, unless an agent did it.

    A merge of ours whose intent is gone goes on like any other, where the item is still about to be merged. What is on
    the base without it is a person's matter: nobody knows who brought it there, nor that it is the work.
    """
    transition = case.status.transition
    if case.stage not in BEFORE_MERGE or case.status.merge_sha or case.status.pull_request is None:
        return None
    if transition is not None and transition.effect == Effect.MERGE:
        return None
    pull = _landed(case)
    if pull is None:
        return _on_the_base_without_it(case)
    why = "the pull request was merged by somebody"
    if (first := end_first(case, why)) is not None:
        return first
    if not case.policy.agents_known:
        text = (
            f"#{pull.number} was merged by {pull.merged_by or 'somebody'}, and it is unknown whether that is an agent"
        )
        return wait(case, WaitingReason.FORGE, text, after=case.policy.poll_seconds)
    if pull.merged_by in case.policy.agent_logins:
        text = f"pull request #{pull.number} was merged by {pull.merged_by}, an agent: check it, then override to done"
        status = case.status.model_copy(update={"active_run": None, "transition": None})
        return stall(case, StalledReason.MERGED_BY_AGENT, text, status=status)
    return _merged_by_us_or_a_person(case, pull, why)


def _merged_by_us_or_a_person(case: Case, pull: PullRequest, why: str) -> Action:
    """A request of ours may land when its intent is gone, for a person said `retry`: what it merged is deployed."""
    match case.facts.own_login:
        case Unknown() as unknown:
            text = (
                f"#{pull.number} was merged by {pull.merged_by}, and it is unknown whether that is us: {unknown.reason}"
            )
            return wait(case, WaitingReason.FORGE, text, after=case.policy.poll_seconds)
        case str() as login if login and pull.merged_by.lower() == login.lower():
            return _merged_by_us(case, pull, why)
        case _:
            return _merged_by_a_person(case, pull, why)


def _merged_by_us(case: Case, pull: PullRequest, why: str) -> Action:
    """From where the item was sent back to no edge leads to a deploy: a person says what is wanted."""
    if case.stage != Stage.DEPLOY_STAGING or pull.head_sha != case.status.head_sha:
        return _merged_late(case, pull, why)
    cause = f"#{pull.number} was merged by {pull.merged_by}, as we asked for before"
    sha = pull.merge_sha or pull.head_sha
    return merged(case, head=pull.head_sha, sha=sha, cause=cause, notes=superseded(case, why))


def _merged_late(case: Case, pull: PullRequest, why: str) -> Action:
    text = f"our own late request merged pull request #{pull.number} after the item was sent back"
    action = _asked_of_a_person(case, pull, text)
    return replace(action, notes=(*superseded(case, why), *action.notes))


def _asked_of_a_person(case: Case, pull: PullRequest, text: str) -> Settle:
    update = {
        "active_run": None,
        "transition": None,
        "approval": None,
        "merge_sha": (pull.merged and pull.merge_sha) or pull.head_sha,
        "head_sha": pull.head_sha,
    }
    command = f"kubectl workitem override {case.item.metadata.name}"
    ways = f'`{command} deploy "<why>"` deploys it, `{command} done "<why>"` leaves it'
    return stall(case, StalledReason.MERGED_LATE, f"{text}: {ways}", status=case.status.model_copy(update=update))


def _merged_by_a_person(case: Case, pull: PullRequest, why: str) -> Action:
    cause = f"#{pull.number} was merged by {pull.merged_by or 'somebody'}"
    status = moved(case, case.status, Stage.DONE, cause=cause).model_copy(
        update={
            "active_run": None,
            "merge_sha": pull.merge_sha or pull.head_sha,
            "head_sha": pull.head_sha,
        }
    )
    notes = (*superseded(case, why), advanced(case, Stage.DONE, cause))
    return settle(case, status, cause="external merge", notes=notes)


def _landed(case: Case) -> PullRequest | None:
    """The recorded pull request, if it is merged."""
    match case.facts.pull:
        case PullRequest() as pull if not is_ours(case, pull):
            return None
        case PullRequest() as pull if pull.merged:
            return pull
        case _:
            return None


def _on_the_base_without_it(case: Case) -> Action | None:
    """The base has the head, and the pull request is not merged.

    A merge may have been seen half done, and is looked at again. What stays so is no merge that the forge knows of: a
    push to the base, a merge in which the forge died, or a branch that was set to a commit of the base.
    """
    match case.facts.pull:
        case PullRequest() as pull if pull.head_sha == case.status.head_sha != case.status.base_sha:
            pass
        case _:
            return None
    at_rest = case.status.active_run is None and case.status.transition is None
    if not at_rest or case.facts.head_in_base is not True or not is_ours(case, pull):
        return None
    seen = f"{pull.base} has {pull.head_sha[:12]}, and pull request #{pull.number} is {pull.state} and not merged"
    if case.status.waiting is None or case.status.waiting.message != seen:
        return wait(case, WaitingReason.MERGE, seen, on=("PullRequest", f"#{pull.number}"), after=SOON)
    return _asked_of_a_person(case, pull, f"{seen}: see who brought it there")
