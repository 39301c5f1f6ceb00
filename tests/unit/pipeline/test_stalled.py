"""Stalled: for each reason what ends it by itself, what does not, and what a person's verb leads to."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from conveyor.api.answers import Verdict
from conveyor.api.objects import WorkItem
from conveyor.api.stages import Stage
from conveyor.api.workitem import StalledReason, Waiting, WaitingReason
from conveyor.pipeline.case import Facts
from conveyor.pipeline.stalled import STAY
from tests.unit.pipeline.builders import (
    BRANCH,
    DEVELOPER,
    HEAD,
    NOW,
    UNKNOWN,
    attempts,
    facts,
    gate,
    green,
    item,
    last_run,
    merged_pull,
    pull,
    repository,
    review,
    seen,
    settled,
    sha,
    stalled,
    ticket,
)
from tests.unit.pipeline.outcomes import Row, decide_row, table

OTHER = sha("other")
FULL = attempts(CI=3, Review=3, Testing=3, Development=3, Infrastructure=3)


def at(reason: StalledReason, stage: Stage, **fields: Any) -> WorkItem:
    return stalled(item(stage, **fields), reason)


EXHAUSTED = at(StalledReason.RETRIES_EXHAUSTED, Stage.DEVELOPMENT, attempts=FULL)
REVIEWED_OUT = at(StalledReason.RETRIES_EXHAUSTED, Stage.REVIEW, attempts=FULL)
TESTED_OUT = at(
    StalledReason.RETRIES_EXHAUSTED, Stage.TESTING, attempts=FULL, last_run=last_run(Stage.TESTING, Verdict.FAIL)
)
SILENT = at(
    StalledReason.CI_SILENT,
    Stage.DEVELOPMENT,
    gates=(gate("ci_green", passed=False, checked_time=NOW - timedelta(hours=2)),),
)
CLOSED = at(StalledReason.PULL_REQUEST_CLOSED, Stage.REVIEW)
GONE = at(StalledReason.BRANCH_GONE, Stage.REVIEW)
GONE_UNPROPOSED = at(StalledReason.BRANCH_GONE, Stage.DEVELOPMENT, pull_request=None)
RENAMED = at(StalledReason.BASE_RENAMED, Stage.TESTING)
MOVED = at(StalledReason.BASE_MOVED, Stage.DEPLOY_STAGING)
BY_AGENT = at(StalledReason.MERGED_BY_AGENT, Stage.REVIEW)
SHUT = at(StalledReason.TICKET_CLOSED, Stage.REVIEW, source=True, tracker=seen("Code Review"))
MISSING = at(StalledReason.REPOSITORY_MISSING, Stage.REVIEW)

GONE_PULL = pull(head="refs/pull/7/head")
RED, WANTED = facts(statuses=(green("failure"),)), facts(reviews=(review("REQUEST_CHANGES"),))

ROWS: tuple[Row, ...] = (
    ("used-up retries stay while the gate fails", EXHAUSTED, RED, "Stalled RetriesExhausted"),
    (
        "used-up retries stay while the gate is at work",
        EXHAUSTED,
        facts(statuses=(green("pending"),)),
        "Stalled RetriesExhausted",
    ),
    (
        "used-up retries stay while the gate cannot be read",
        EXHAUSTED,
        facts(statuses=UNKNOWN),
        "Stalled RetriesExhausted",
    ),
    ("used-up retries end when the gate passes after all", EXHAUSTED, facts(), "-> review, run reviewer"),
    (
        "used-up retries do not review a pushed commit anew",
        REVIEWED_OUT,
        facts(pull=pull(head_sha=OTHER)),
        "Stalled RetriesExhausted",
    ),
    ("used-up retries end with a person's approval", REVIEWED_OUT, facts(), "-> testing, run tester"),
    ("used-up retries do not go back either", REVIEWED_OUT, WANTED, "Stalled RetriesExhausted"),
    ("a failed test stays failed", TESTED_OUT, facts(), "Stalled RetriesExhausted"),
    ("silent CI stays while nothing is said", SILENT, facts(statuses=()), "Stalled CISilent"),
    ("silent CI stays while it cannot be read", SILENT, facts(statuses=UNKNOWN), "Stalled CISilent"),
    ("silent CI ends with a status", SILENT, facts(statuses=(green("pending"),)), "waits CI"),
    ("a closed pull request stays", CLOSED, facts(pull=pull(state="closed")), "Stalled PullRequestClosed"),
    ("a closed pull request that cannot be read stays", CLOSED, facts(pull=UNKNOWN), "Stalled PullRequestClosed"),
    ("a reopened pull request goes on", CLOSED, facts(), "-> testing, run tester"),
    ("a pull request that is gone altogether stays", CLOSED, facts(pull=None), "Stalled PullRequestClosed"),
    ("a branch that is gone stays", GONE, facts(pull=GONE_PULL), "Stalled BranchGone"),
    ("a branch that is back goes on", GONE, facts(), "-> testing, run tester"),
    ("a branch that is back elsewhere is reviewed anew", GONE, facts(pull=pull(head_sha=OTHER)), "run reviewer"),
    ("a branch never proposed stays gone", GONE_UNPROPOSED, facts(pull=None, branch_head=None), "Stalled BranchGone"),
    (
        "a branch never proposed that cannot be read stays",
        GONE_UNPROPOSED,
        facts(pull=None, branch_head=UNKNOWN),
        "Stalled BranchGone",
    ),
    ("a branch never proposed that is back is proposed", GONE_UNPROPOSED, facts(pull=None), "intends OpenPullRequest"),
    ("a retargeted pull request stays", RENAMED, facts(pull=pull(base="release")), "Stalled BaseRenamed"),
    ("a pull request targeted back goes on", RENAMED, facts(), "-> deploy-staging"),
    ("a moved base stays", MOVED, facts(base_in_head=False), "Stalled BaseMoved"),
    ("a moved base that cannot be compared stays", MOVED, facts(base_in_head=UNKNOWN), "Stalled BaseMoved"),
    (
        "a push without the new base does not end it",
        MOVED,
        facts(pull=pull(head_sha=OTHER), base_in_head=False),
        "Stalled BaseMoved",
    ),
    (
        "somebody's push with the new base is reviewed",
        MOVED,
        facts(pull=pull(head_sha=OTHER)),
        "-> review, charged HeadMoved, run reviewer",
    ),
    ("an agent's merge stays whatever is read", BY_AGENT, facts(), "Stalled MergedByAgent"),
    ("an agent's merge stays merged", BY_AGENT, facts(pull=merged_pull(DEVELOPER)), "Stalled MergedByAgent"),
    ("a closed ticket stays", SHUT, facts(ticket=ticket("Done")), "Stalled TicketClosed"),
    ("a closed ticket that cannot be read stays", SHUT, facts(ticket=UNKNOWN), "Stalled TicketClosed"),
    ("a reopened ticket goes on", SHUT, facts(ticket=ticket("In Progress")), "-> testing, run tester"),
    ("a Repository that is back goes on", MISSING, facts(), "-> testing, run tester"),
    ("external merge ends any stall", CLOSED, facts(pull=merged_pull()), "-> done"),
    (
        "suspended, a stall stays",
        stalled(item(Stage.REVIEW, spec={"suspend": True}), StalledReason.PULL_REQUEST_CLOSED),
        facts(pull=pull(state="closed")),
        "Stalled PullRequestClosed",
    ),
    (
        "cancel ends any stall",
        stalled(item(Stage.REVIEW, spec={"cancel": True}), StalledReason.PULL_REQUEST_CLOSED),
        facts(),
        "-> cancelled",
    ),
)


@table(ROWS)
def test_a_stalled_item(whole: WorkItem, known: Facts, expected: str) -> None:
    assert decide_row(whole, known) == expected


HALF_MERGED = item(
    Stage.DEPLOY_STAGING,
    waiting=Waiting(
        reason=WaitingReason.MERGE, message=f"main has {HEAD[:12]}, and pull request #7 is open and not merged"
    ),
)
SITUATIONS: tuple[Row, ...] = (
    ("a closed pull request", item(Stage.REVIEW), facts(pull=pull(state="closed")), "Stalled PullRequestClosed"),
    ("a branch that is gone", item(Stage.REVIEW), facts(pull=GONE_PULL), "Stalled BranchGone"),
    ("a pull request to another base", item(Stage.REVIEW), facts(pull=pull(base="release")), "Stalled BaseRenamed"),
    ("a merge by a person", item(Stage.REVIEW), facts(pull=merged_pull()), "-> done"),
    ("a merge by an agent", item(Stage.REVIEW), facts(pull=merged_pull(DEVELOPER)), "Stalled MergedByAgent"),
    (
        "a merge to another base",
        item(Stage.REVIEW),
        facts(pull=merged_pull(base="release")),
        "Stalled PullRequestClosed",
    ),
    (
        "a merge of another branch under its number",
        item(Stage.DEPLOY_STAGING),
        facts(pull=merged_pull(head="feature/of-another")),
        "Stalled PullRequestClosed",
    ),
    (
        "a merge to the default branch, which has another name now",
        item(Stage.REVIEW, base_branch="master"),
        facts(pull=merged_pull()),
        "Stalled BaseRenamed",
    ),
    (
        "a head on the base, seen for the first time",
        item(Stage.DEPLOY_STAGING),
        facts(head_in_base=True),
        "waits Merge",
    ),
    ("a head that stays on the base", HALF_MERGED, facts(head_in_base=True), "Stalled MergedLate"),
    ("a merge seen half done, by a person", HALF_MERGED, facts(head_in_base=True, pull=merged_pull()), "-> done"),
    ("a merge seen half done, by us", HALF_MERGED, facts(pull=merged_pull("operator")), "-> deploy"),
    ("a merge in deploy says nothing", item(Stage.DEPLOY), facts(pull=merged_pull()), "intends Production"),
    (
        "a closed ticket",
        item(Stage.REVIEW, source=True, tracker=seen()),
        facts(ticket=ticket("Done")),
        "Stalled TicketClosed",
    ),
    (
        "a ticket closed by our own indication",
        item(Stage.REVIEW, source=True, tracker=seen("Done")),
        facts(ticket=ticket("Done")),
        "-> testing, run tester",
    ),
    (
        "a ticket that was cancelled",
        item(Stage.REVIEW, source=True, tracker=seen()),
        facts(ticket=ticket("Cancelled")),
        "-> cancelled",
    ),
)


@table(SITUATIONS)
def test_behind_our_back(whole: WorkItem, known: Facts, expected: str) -> None:
    assert decide_row(whole, known) == expected


def test_a_default_branch_that_was_renamed_waits_for_a_person() -> None:
    forge = {
        "url": "https://g",
        "owner": "o",
        "name": "n",
        "defaultBranch": "trunk",
        "credentialsSecretRef": {"name": "f"},
    }
    renamed = repository(forge=forge)
    known = facts(pull=pull(base="trunk"))
    assert decide_row(item(Stage.REVIEW), known, of=renamed) == "Stalled BaseRenamed"
    resumed = settled(told(RENAMED, "resume"), known, of=renamed).status
    assert (resumed.base_branch, resumed.gates) == ("trunk", ())


def test_silence_of_ci_is_found_after_its_time_and_charged_to_nobody() -> None:
    waiting = gate(
        "ci_green", passed=False, reason="no status yet of any context", checked_time=NOW - timedelta(hours=1)
    )
    found = settled(item(Stage.DEVELOPMENT, gates=(waiting,)), facts(statuses=())).status
    assert (found.stalled, found.attempts) == (StalledReason.CI_SILENT, ())


def test_a_new_commits_ci_has_a_time_of_its_own() -> None:
    word = gate("ci_green", passed=False, head_sha=OTHER, checked_time=NOW - timedelta(hours=9))
    assert decide_row(item(Stage.DEVELOPMENT, gates=(word,)), facts(statuses=())) == "waits CI"


def test_a_stall_is_told_once() -> None:
    known = facts(pull=pull(state="closed"))
    first = settled(item(Stage.REVIEW), known)
    again = settled(item(Stage.REVIEW).model_copy(update={"status": first.status}), known)
    assert [note.reason for note in first.notes] == ["PullRequestClosed"]
    assert again.notes == ()
    assert again.status == first.status


def test_a_closed_ticket_does_not_hide_a_failed_deploy() -> None:
    failed = at(StalledReason.DEPLOY_FAILED, Stage.DEPLOY, source=True, tracker=seen())
    assert decide_row(failed, facts(ticket=ticket("Done"))) == "Stalled DeployFailed"


def test_every_reason_says_when_it_ends() -> None:
    assert set(STAY) == {reason.value for reason in StalledReason}


# --- a person's way out


def told(whole: WorkItem, verb: str) -> WorkItem:
    annotations = {f"request.conveyor.dev/{verb}": "r1 by=lead"}
    return whole.model_copy(update={"metadata": whole.metadata.model_copy(update={"annotations": annotations})})


def obeyed(whole: WorkItem, verb: str, known: Facts) -> str:
    """What the pass after the verb leads to."""
    first = settled(told(whole, verb), known)
    handled = first.status.handled_requests[0].result
    if not handled.startswith("Accepted"):
        return handled.split(":")[0]
    return decide_row(whole.model_copy(update={"status": first.status}), known)


WAYS_OUT: tuple[tuple[str, WorkItem, str, Facts, str], ...] = (
    ("retry after used-up retries works again", EXHAUSTED, "retry", RED, "charged CI, run developer"),
    ("resume after used-up retries changes nothing", EXHAUSTED, "resume", RED, "Stalled RetriesExhausted"),
    ("retry after silent CI waits anew", SILENT, "retry", facts(statuses=()), "waits CI"),
    ("resume after silent CI changes nothing", SILENT, "resume", facts(statuses=()), "Stalled CISilent"),
    ("resume after a closed pull request opens another", CLOSED, "resume", facts(pull=None), "intends OpenPullRequest"),
    ("retry after a moved base rebases", MOVED, "retry", facts(base_in_head=False), "intends Rebase"),
    (
        "retry after a failed deploy deploys again",
        at(StalledReason.DEPLOY_FAILED, Stage.DEPLOY),
        "retry",
        facts(),
        "intends Production",
    ),
    (
        "resume after a failed deploy is refused",
        at(StalledReason.DEPLOY_FAILED, Stage.DEPLOY),
        "resume",
        facts(),
        "Refused",
    ),
    ("resume after an agent's merge is refused", BY_AGENT, "resume", facts(), "Refused"),
    ("retry after an agent's merge is refused", BY_AGENT, "retry", facts(), "Refused"),
    ("resume of a cycle is refused", at(StalledReason.DEPENDENCY_CYCLE, Stage.CREATED), "resume", facts(), "Refused"),
    ("resume of what goes on is refused", item(Stage.REVIEW), "resume", facts(), "Refused"),
)


@pytest.mark.parametrize(
    ("whole", "verb", "known", "expected"), [row[1:] for row in WAYS_OUT], ids=[r[0] for r in WAYS_OUT]
)
def test_the_way_out(whole: WorkItem, verb: str, known: Facts, expected: str) -> None:
    assert obeyed(whole, verb, known) == expected


def test_rework_is_a_way_out_although_the_budget_is_used_up() -> None:
    assert decide_row(told(REVIEWED_OUT, "rework"), WANTED) == "-> development, charged Rejected, run developer"


def test_retry_after_prior_work_starts_over_on_another_branch() -> None:
    found = at(StalledReason.PRIOR_WORK_FOUND, Stage.CREATED, branch=BRANCH)
    once = settled(told(found, "retry"), facts()).status
    assert once.branch == f"{BRANCH}-r1"
    twice = settled(
        told(at(StalledReason.PRIOR_WORK_FOUND, Stage.CREATED, branch=once.branch), "retry"), facts()
    ).status
    assert twice.branch == f"{BRANCH}-r2"


def test_rework_after_a_branch_is_gone_cuts_another_and_forgets_what_was_produced() -> None:
    status = settled(told(GONE, "rework"), facts(pull=GONE_PULL)).status
    assert (status.branch, status.pull_request, status.head_sha, status.gates) == (f"{BRANCH}-r1", None, None, ())
    assert status.transition is not None
    cut = GONE.model_copy(update={"status": status})
    base = status.transition.precondition.base_sha
    assert decide_row(cut, facts(branch_head=base)) == "-> development, run developer"
    assert decide_row(cut, facts(branch_head=HEAD)).endswith("Stalled PriorWorkFound")


def test_rework_in_development_after_its_branch_is_gone_works_on_another() -> None:
    status = settled(told(GONE_UNPROPOSED, "rework"), facts(pull=None, branch_head=None)).status
    assert status.transition is not None
    cut = GONE_UNPROPOSED.model_copy(update={"status": status})
    assert (
        decide_row(cut, facts(branch_head=status.transition.precondition.base_sha)) == "run developer, CutBranch ended"
    )


def test_retry_clears_all_counts_and_resume_none() -> None:
    cleared, kept = (settled(told(EXHAUSTED, verb), RED).status.attempts for verb in ("retry", "resume"))
    assert {attempt.count for attempt in cleared} == {0}
    assert kept == FULL
