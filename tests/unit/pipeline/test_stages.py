"""analysis to testing: what each stage's role and gates lead to, a row for each line of the pipeline's table."""

from __future__ import annotations

from datetime import timedelta

import pytest

from conveyor.api.answers import Verdict
from conveyor.api.objects import WorkItem
from conveyor.api.stages import Stage
from conveyor.api.workitem import Attempt, Cause, HistoryEntry
from conveyor.pipeline.case import Facts
from conveyor.pipeline.facts import ChangedFile
from tests.unit.pipeline.builders import (
    CHANGE,
    ENTERED,
    HEAD,
    NOW,
    PERSON,
    REVIEWER,
    UNKNOWN,
    facts,
    gate,
    green,
    item,
    last_run,
    pull,
    review,
    settled,
    sha,
)
from tests.unit.pipeline.outcomes import Row, decide_row, table

OTHER = sha("foreign")


def files(*paths: str, status: str = "added") -> Facts:
    return facts(changed=tuple(ChangedFile(f"docs/work-items/{path}", status) for path in paths))


def said(stage: Stage, verdict: Verdict, **fields: object) -> WorkItem:
    return item(stage, last_run=last_run(stage, verdict, **fields))


ANALYSIS, ARCHITECTURE = item(Stage.ANALYSIS), item(Stage.ARCHITECTURE)
DOCUMENTS: tuple[Row, ...] = (
    ("an analysis leads on", ANALYSIS, facts(), "-> architecture, run architect"),
    (
        "a changed analysis leads on",
        ANALYSIS,
        files("SHOP-ET-17/01.md", status="modified"),
        "-> architecture, run architect",
    ),
    (
        "a removed file is no analysis",
        ANALYSIS,
        files("SHOP-ET-17/01.md", status="removed"),
        "charged Analysis, run analyst",
    ),
    ("another item's folder is no analysis", ANALYSIS, files("SHOP-ET-1/01.md"), "charged Analysis, run analyst"),
    ("a decision record is no analysis", ANALYSIS, files("SHOP-ET-17/06-adr/1.md"), "charged Analysis, run analyst"),
    (
        "infrastructure is no analysis",
        ANALYSIS,
        files("SHOP-ET-17/07-infra-requirements.md"),
        "charged Analysis, run analyst",
    ),
    ("nothing is no analysis", ANALYSIS, facts(changed=()), "charged Analysis, run analyst"),
    ("changes that cannot be read prove nothing", ANALYSIS, facts(changed=UNKNOWN), "waits Forge"),
    ("without a slot the architect waits", ANALYSIS, facts(slot_free=False), "-> architecture, waits RunSlot"),
    ("without a slot rework waits uncharged", ANALYSIS, facts(slot_free=False, changed=()), "waits RunSlot"),
    ("a decision record leads on", ARCHITECTURE, files("SHOP-ET-17/06-adr/1.md"), "-> development, run developer"),
    (
        "infrastructure requirements lead on",
        ARCHITECTURE,
        files("SHOP-ET-17/07-infra-requirements.md"),
        "-> development, run developer",
    ),
    ("an analysis is no architecture", ARCHITECTURE, files("SHOP-ET-17/01.md"), "charged Architecture, run architect"),
    (
        "another 07 file is no architecture",
        ARCHITECTURE,
        files("SHOP-ET-17/07-more.md"),
        "charged Architecture, run architect",
    ),
)

DEVELOPMENT = item(Stage.DEVELOPMENT)
UNPROPOSED = item(Stage.DEVELOPMENT, pull_request=None, head_sha=None, change_id=None)
PROPOSALS: tuple[Row, ...] = (
    ("green CI leads on", DEVELOPMENT, facts(), "-> review, run reviewer"),
    ("any head is fine before review", DEVELOPMENT, facts(pull=pull(head_sha=OTHER)), "-> review, run reviewer"),
    ("red CI is the developer's", DEVELOPMENT, facts(statuses=(green("failure"),)), "charged CI, run developer"),
    ("CI at work is waited for", DEVELOPMENT, facts(statuses=(green("pending"),)), "waits CI"),
    ("no word of CI is waited for", DEVELOPMENT, facts(statuses=()), "waits CI"),
    ("CI that cannot be read is not green", DEVELOPMENT, facts(statuses=UNKNOWN), "waits Forge"),
    ("the first pull request is intended", UNPROPOSED, facts(pull=None), "intends OpenPullRequest"),
    ("an open one is taken on", UNPROPOSED, facts(), "rests"),
    (
        "a branch that changes nothing is not proposed",
        UNPROPOSED,
        facts(pull=None, changed=()),
        "charged Development, run developer",
    ),
    ("a pull request that cannot be read is not opened again", UNPROPOSED, facts(pull=UNKNOWN), "waits Forge"),
    ("a branch that cannot be read is not proposed", UNPROPOSED, facts(pull=None, branch_head=UNKNOWN), "waits Forge"),
    ("changes that cannot be read are not proposed", UNPROPOSED, facts(pull=None, changed=UNKNOWN), "waits Forge"),
    (
        "a branch that is gone is a person's matter",
        UNPROPOSED,
        facts(pull=None, branch_head=None),
        "Stalled BranchGone",
    ),
    ("a pull request read too late waits", DEVELOPMENT, facts(pull=UNKNOWN), "waits Forge"),
)

REVIEW = item(Stage.REVIEW)
REVIEWS: tuple[Row, ...] = (
    ("an approval leads on", REVIEW, facts(), "-> testing, run tester"),
    (
        "requested changes are the developer's",
        REVIEW,
        facts(reviews=(review("REQUEST_CHANGES"),)),
        "-> development, charged Review, run developer",
    ),
    ("a comment decides nothing", REVIEW, facts(reviews=(review("COMMENT"),)), "waits Review"),
    (
        "a claimed review that is not there is infrastructure",
        REVIEW,
        facts(reviews=()),
        "charged Infrastructure, run reviewer",
    ),
    (
        "an approval of another commit is no review of this one",
        REVIEW,
        facts(reviews=(review(commit=OTHER),)),
        "charged Infrastructure, run reviewer",
    ),
    (
        "somebody else's approval is not the reviewer's review",
        REVIEW,
        facts(reviews=(review(author="lead"),)),
        "charged Infrastructure, run reviewer",
    ),
    ("reviews that cannot be read approve nothing", REVIEW, facts(reviews=UNKNOWN), "waits Forge"),
    ("a moved head is reviewed anew, uncharged", REVIEW, facts(pull=pull(head_sha=OTHER)), "run reviewer"),
    ("a moved head without a slot waits", REVIEW, facts(pull=pull(head_sha=OTHER), slot_free=False), "waits RunSlot"),
    ("a pull request that cannot be read is not approved", REVIEW, facts(pull=UNKNOWN), "waits Forge"),
    (
        "without a pull request a new one is intended",
        item(Stage.REVIEW, pull_request=None),
        facts(pull=None),
        "intends OpenPullRequest",
    ),
)

TESTING = item(Stage.TESTING)
TESTS: tuple[Row, ...] = (
    ("a tester's pass leads on", TESTING, facts(), "-> deploy-staging"),
    (
        "failed tests are the developer's",
        said(Stage.TESTING, Verdict.FAIL),
        facts(),
        "-> development, charged Testing, run developer",
    ),
    (
        "a foreign commit goes back to review",
        TESTING,
        facts(pull=pull(head_sha=OTHER)),
        "-> review, charged HeadMoved, run reviewer",
    ),
    (
        "a foreign commit with the same change does too",
        TESTING,
        facts(pull=pull(head_sha=OTHER), change_id=CHANGE),
        "-> review, charged HeadMoved, run reviewer",
    ),
    (
        "an answer about another commit is infrastructure",
        said(Stage.TESTING, Verdict.PASS, sha=OTHER),
        facts(),
        "charged Infrastructure, run tester",
    ),
    (
        "an answer about no commit is infrastructure",
        said(Stage.TESTING, Verdict.PASS, sha=""),
        facts(),
        "charged Infrastructure, run tester",
    ),
    ("a head that cannot be read is not passed", TESTING, facts(pull=UNKNOWN), "waits Forge"),
)

SOON, PAST = NOW + timedelta(seconds=90), NOW - timedelta(seconds=1)
BEFORE = ENTERED - timedelta(seconds=1)
WORKERS: tuple[Row, ...] = tuple(
    row
    for stage, role, cause in (
        (Stage.ANALYSIS, "analyst", "Analysis"),
        (Stage.ARCHITECTURE, "architect", "Architecture"),
        (Stage.DEVELOPMENT, "developer", "Development"),
        (Stage.REVIEW, "reviewer", "Review"),
    )
    for row in (
        (f"{stage}: its role works first", item(stage, last_run=None), facts(), f"run {role}"),
        (
            f"{stage}: a run from before does not count",
            said(stage, Verdict.PASS, started_time=BEFORE),
            facts(),
            f"run {role}",
        ),
        (f"{stage}: a fail is charged", said(stage, Verdict.FAIL), facts(), f"charged {cause}, run {role}"),
        (
            f"{stage}: no usable answer is infrastructure",
            said(stage, Verdict.INFRASTRUCTURE),
            facts(),
            f"charged Infrastructure, run {role}",
        ),
        (
            f"{stage}: a question waits for a person",
            said(stage, Verdict.BLOCKED, question="which?"),
            facts(),
            "waits Person",
        ),
        (f"{stage}: an answered question goes on, uncharged", said(stage, Verdict.BLOCKED), facts(), f"run {role}"),
        (
            f"{stage}: a wait that was asked for is kept",
            said(stage, Verdict.RETRY, not_before_time=SOON),
            facts(),
            "waits Run",
        ),
        (
            f"{stage}: after the wait it works again, uncharged",
            said(stage, Verdict.RETRY, not_before_time=PAST),
            facts(),
            f"run {role}",
        ),
        (f"{stage}: without a slot it waits", item(stage, last_run=None), facts(slot_free=False), "waits RunSlot"),
        (
            f"{stage}: suspended, nothing begins",
            item(stage, last_run=None, spec={"suspend": True}),
            facts(),
            "waits Suspended",
        ),
    )
)


@table(DOCUMENTS + PROPOSALS + REVIEWS + TESTS + WORKERS)
def test_in_a_stage(whole: WorkItem, known: Facts, expected: str) -> None:
    assert decide_row(whole, known) == expected


@pytest.mark.parametrize("stage", [Stage.ANALYSIS, Stage.DEPLOY_STAGING])
def test_a_gate_for_a_person_is_opened_where_a_person_is_wanted(stage: Stage) -> None:
    assert decide_row(item(stage), facts(), of=PERSON) == "waits Approval"


def test_a_retry_looks_again_when_its_time_has_come() -> None:
    action = settled(said(Stage.REVIEW, Verdict.RETRY, not_before_time=SOON))
    assert action.after is not None
    assert 90 <= action.after < 91


def test_a_question_names_the_way_to_answer_before_the_question() -> None:
    waiting = settled(said(Stage.REVIEW, Verdict.BLOCKED, question="x" * 1024)).status.waiting
    assert waiting is not None
    assert "kubectl workitem resume shop-et-17" in waiting.message


def test_why_the_item_came_back_is_told_to_the_one_who_works_again_even_after_a_wait_for_a_slot() -> None:
    red = facts(reviews=(review("REQUEST_CHANGES"),), slot_free=False)
    waiting = settled(REVIEW, red).status
    assert waiting.active_run is None
    run = settled(REVIEW.model_copy(update={"status": waiting})).status.active_run
    assert run is not None
    assert f"changes requested by {REVIEWER}" in run.reason


@pytest.mark.parametrize("cause", [Cause.REVIEW, Cause.TESTING, Cause.REJECTED])
def test_rework_that_left_the_head_where_it_was_is_charged_again(cause: Cause) -> None:
    whole = item(Stage.DEVELOPMENT, attempts=(Attempt(cause=cause, count=1, sha=HEAD),))
    assert decide_row(whole, facts()) == f"charged {cause.value}, run developer"


def test_rework_that_moved_the_head_goes_on() -> None:
    whole = item(Stage.DEVELOPMENT, attempts=(Attempt(cause=Cause.REVIEW, count=1, sha=sha("before")),))
    assert decide_row(whole, facts()) == "-> review, run reviewer"


def test_a_gate_that_says_the_same_again_keeps_its_time() -> None:
    word = gate("ci_green", passed=False, reason="no status yet of any context")
    whole = item(Stage.DEVELOPMENT, gates=(word, gate("pull_request_open", reason="#7")))
    assert settled(whole, facts(statuses=())).status.gates == whole.status.gates


def test_a_gate_that_could_not_be_read_keeps_its_last_word() -> None:
    whole = item(Stage.DEVELOPMENT, gates=(gate("ci_green", passed=False, reason="no status yet of any context"),))
    after = settled(whole, facts(statuses=UNKNOWN)).status
    assert after.gate("ci_green") == whole.status.gate("ci_green")


def test_a_rebased_head_is_recorded_with_its_change_as_soon_as_that_is_read() -> None:
    whole = item(Stage.REVIEW, change_id=None)
    assert settled(whole).status.change_id == CHANGE


def test_a_foreign_commit_is_on_record_when_its_review_begins() -> None:
    status = settled(TESTING, facts(pull=pull(head_sha=OTHER), change_id=sha("other change"))).status
    assert (status.stage, status.head_sha, status.change_id) == (Stage.REVIEW, OTHER, sha("other change"))


def test_history_keeps_the_newest_twenty() -> None:
    entries = tuple(
        HistoryEntry(from_stage=Stage.REVIEW, to_stage=Stage.DEVELOPMENT, time=ENTERED, actor="x", cause=str(n))
        for n in range(20)
    )
    history = settled(item(Stage.REVIEW, history=entries)).status.history
    assert [entry.cause for entry in history[:-1]] == [str(n) for n in range(1, 20)]
    assert (history[-1].from_stage, history[-1].to_stage) == (Stage.REVIEW, Stage.TESTING)
