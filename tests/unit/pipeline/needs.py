"""What must be known before an item goes forward or an effect is intended: in the words of the design, not the code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from conveyor.api.answers import Verdict
from conveyor.api.stages import ROLE_OF_STAGE, Stage
from conveyor.api.workitem import Effect
from conveyor.pipeline.case import Case
from conveyor.pipeline.facts import ChangedFile, PullRequest
from conveyor.pipeline.lane import DependencyState
from tests.unit.pipeline.builders import BASE, DEVELOPER, HEAD, REVIEWER
from tests.unit.pipeline.job_rules import has_image, is_deployed, may_begin_again, may_roll_back, was_in_staging


def _good_pull(case: Case) -> bool:
    pull = case.facts.pull
    right = isinstance(pull, PullRequest) and pull.state == "open" and pull.head == case.status.branch
    return right and isinstance(pull, PullRequest) and (pull.head_sha, pull.base) == (HEAD, "main")


def _worked(case: Case) -> bool:
    last, since = case.status.last_run, case.status.stage_entered_time
    if last is None or since is None or case.stage not in ROLE_OF_STAGE:
        return False
    mine = (last.stage, last.role) == (case.stage, ROLE_OF_STAGE[case.stage]) and last.started_time >= since
    return mine and last.verdict == Verdict.PASS


def _has(case: Case, folder: str) -> bool:
    files = case.facts.changed
    start = f"docs/work-items/{case.item.key}/{folder}"
    return isinstance(files, tuple) and any(file.path.startswith(start) for file in files)


def _approved(case: Case, name: str, *, by_person: bool) -> bool:
    gate = case.status.gate(name)
    return not by_person or (gate is not None and gate.passed and gate.head_sha == HEAD)


def _green(case: Case) -> bool:
    statuses = case.facts.statuses
    return isinstance(statuses, tuple) and bool(statuses) and all(status.state == "success" for status in statuses)


def _reviewed(case: Case) -> bool:
    reviews = case.facts.reviews
    return isinstance(reviews, tuple) and any(
        (review.author, review.state, review.commit) == (REVIEWER, "APPROVED", HEAD) for review in reviews
    )


def _tested(case: Case) -> bool:
    gate, last = case.status.gate("tests_passed"), case.status.last_run
    on_record = gate is not None and gate.passed and gate.head_sha == HEAD
    answered = last is not None and (last.stage, last.verdict, last.sha) == (Stage.TESTING, Verdict.PASS, HEAD)
    return on_record or answered


def _branch_is_cut(case: Case) -> bool:
    intent = case.status.transition
    cut = intent is not None and intent.effect == Effect.CUT_BRANCH
    return cut and intent is not None and case.facts.branch_head == intent.precondition.base_sha


def _is_on_base(case: Case) -> bool:
    """Our merge, by an intent, or by one that is gone; or somebody put the very commit there."""
    intent, pull = case.status.transition, case.facts.pull
    by_hand = isinstance(pull, PullRequest) and pull.merged and (pull.head_sha, pull.base) == (HEAD, "main")
    if by_hand and isinstance(pull, PullRequest) and pull.merged_by == case.facts.own_login == "operator":
        return True
    return intent is not None and intent.effect == Effect.MERGE and (case.facts.head_in_base is True or by_hand)


def _merged_by_a_person(case: Case) -> bool:
    pull = case.facts.pull
    if not isinstance(pull, PullRequest) or pull.base != "main":
        return False
    return pull.merged and pull.merged_by not in (DEVELOPER, REVIEWER, case.facts.own_login)


NEEDS: Mapping[tuple[Stage, Stage], Callable[[Case], bool]] = {
    (Stage.CREATED, Stage.ANALYSIS): _branch_is_cut,
    (Stage.ANALYSIS, Stage.ARCHITECTURE): lambda case: (
        _worked(case)
        and _has(case, "01-")
        and _approved(case, "analysis_approved", by_person=case.spec.gates.approval.analysis == "Person")
    ),
    (Stage.ARCHITECTURE, Stage.DEVELOPMENT): lambda case: _worked(case) and _has(case, "06-adr/"),
    (Stage.DEVELOPMENT, Stage.REVIEW): lambda case: _worked(case) and _good_pull_of_any_head(case) and _green(case),
    (Stage.REVIEW, Stage.TESTING): lambda case: _worked(case) and _good_pull(case) and _reviewed(case),
    (Stage.TESTING, Stage.DEPLOY_STAGING): lambda case: _worked(case) and _good_pull(case) and _tested(case),
    (Stage.DEPLOY_STAGING, Stage.DEPLOY): _is_on_base,
    (Stage.DEPLOY, Stage.DONE): is_deployed,
    (Stage.DEPLOY, Stage.DEVELOPMENT): _branch_is_cut,
    **{
        (stage, Stage.DONE): _merged_by_a_person
        for stage in (Stage.DEVELOPMENT, Stage.REVIEW, Stage.TESTING, Stage.DEPLOY_STAGING)
    },
}


def _good_pull_of_any_head(case: Case) -> bool:
    pull = case.facts.pull
    right = isinstance(pull, PullRequest) and pull.state == "open" and pull.head == case.status.branch
    return right and isinstance(pull, PullRequest) and pull.base == "main" and case.status.pull_request is not None


def _judged(case: Case) -> bool:
    """Whether everything but the base is as a merge needs it, and merges are not frozen."""
    freeze = case.facts.lane.freeze
    approved = _approved(case, "deploy_approved", by_person=case.spec.gates.approval.deploy == "Person")
    good = _good_pull(case) and _green(case) and _reviewed(case) and _tested(case) and approved
    return good and isinstance(case.facts.base_head, str) and not (freeze is not None and freeze.scope == "merge")


def _may_rebase(case: Case) -> bool:
    return _judged(case) and case.facts.base_in_head is False


def _may_build(case: Case) -> bool:
    """As a rebase, but for what a Job does not need to know."""
    known = replace(case, facts=replace(case.facts, base_head=BASE))
    return _judged(known) and case.facts.base_in_head is True


def _may_merge(case: Case) -> bool:
    ready = has_image(case) and was_in_staging(case) and _covered(case)
    return _judged(case) and case.facts.base_in_head is True and ready


def _covered(case: Case) -> bool:
    """The figure is the tester's; there is a mark of 80 wherever coverage counts."""
    last = case.status.last_run
    known = last is not None and last.stage == Stage.TESTING and last.coverage is not None
    return not case.spec.gates.coverage.enabled or (known and last is not None and (last.coverage or 0) >= 80)


def _may_start(case: Case) -> bool:
    lane, facts = case.facts.lane, case.facts
    mine = case.repository.status.active_item is not None
    free = lane.ready and lane.first and lane.freeze is None and not lane.occupied_by and not lane.cycle
    free = free and lane.watched_until is None
    depends = all(needed.state == DependencyState.DONE for needed in lane.dependencies)
    return mine and free and depends and facts.branch_head is None and isinstance(facts.base_head, str)


def _is_to_be_deployed(case: Case) -> bool:
    """Merged, and nothing that is known to be later, or may be, is deployed."""
    production = case.repository.status.production
    earlier = production is None or production.sha in ("", HEAD, case.status.base_sha)
    mine = case.stage == Stage.DEPLOY and case.status.merge_sha == HEAD
    return mine and (earlier or case.facts.merge_in_production is False)


INTENDS: Mapping[Effect, Callable[[Case], bool]] = {
    Effect.CUT_BRANCH: lambda case: _may_start(case) if case.stage == Stage.CREATED else may_begin_again(case),
    Effect.OPEN_PULL_REQUEST: lambda case: (
        _is_unproposed(case) and isinstance(case.facts.branch_head, str) and bool(_files(case))
    ),
    Effect.REBASE: _may_rebase,
    Effect.IMAGE: lambda case: _may_build(case) and not has_image(case),
    Effect.STAGING: lambda case: _may_build(case) and has_image(case) and not was_in_staging(case),
    Effect.MERGE: _may_merge,
    Effect.RATCHET: lambda case: case.spec.gates.coverage.enabled and _is_on_base(case),
    Effect.PRODUCTION: _is_to_be_deployed,
    Effect.ROLLBACK: may_roll_back,
}


def _is_unproposed(case: Case) -> bool:
    """After development one that is open already is taken on by the same intent, which has it reviewed."""
    pull = case.facts.pull
    return case.status.pull_request is None and (pull is None or (_is_open(pull) and case.stage != Stage.DEVELOPMENT))


def _is_open(pull: object) -> bool:
    return isinstance(pull, PullRequest)


def _files(case: Case) -> tuple[ChangedFile, ...]:
    return case.facts.changed if isinstance(case.facts.changed, tuple) else ()
