"""What CI's statuses and a forge's reviews say about one commit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from conveyor.api.stages import Stage
from conveyor.api.workitem import WaitingReason
from conveyor.pipeline.ci_gate import ci_green, ci_word
from conveyor.pipeline.facts import CommitStatus, ForgeReview
from conveyor.pipeline.gates import GATES, GATES_TO_LEAVE, recorded
from conveyor.pipeline.progress import seen
from conveyor.pipeline.review_gate import review_approved, review_word
from conveyor.pipeline.words import Failed, NotEvaluated, Passed, Word
from tests.unit.pipeline.builders import (
    BASE,
    DEVELOPER,
    HEAD,
    PERSON,
    POLICY,
    REVIEWER,
    case,
    facts,
    gate,
    green,
    item,
    pull,
    repository,
    review,
    sha,
)

OLD = sha("old head")


def word(given: Word) -> str:
    match given:
        case Passed():
            return "passed"
        case Failed():
            return "failed"
        case NotEvaluated(silent=True):
            return "silent"
        case NotEvaluated():
            return "open"


BUILD, LINT = ("build",), ("build", "lint")
CI = (
    ("one green is enough without named contexts", (green(),), (), (), "passed"),
    ("one red among greens", (green(), green("failure", context="lint")), (), (), "failed"),
    ("an error is red", (green("error"),), (), (), "failed"),
    ("a warning is red", (green("warning"),), (), (), "failed"),
    ("what was skipped holds nothing up", (green(), green("skipped", context="lint")), (), (), "passed"),
    ("one at work", (green(), green("pending", context="lint")), (), (), "open"),
    ("a state nobody knows is not green", (green("bogus"),), (), (), "open"),
    ("no status is no word", (), (), (), "open"),
    ("an agent's status does not count", (green(creator=DEVELOPER),), (), (), "open"),
    ("an agent's red does not count either", (green(), green("failure", creator=DEVELOPER)), (), (), "passed"),
    ("a named context that is green", (green(context="build"),), BUILD, (), "passed"),
    ("a named context that is missing", (green(context="build"),), LINT, (), "open"),
    (
        "an unnamed context that is red does not count",
        (green(context="build"), green("failure", context="x")),
        BUILD,
        (),
        "passed",
    ),
    ("a red context counts though another is missing", (green("failure", context="build"),), LINT, (), "failed"),
    ("a named creator", (green(creator="jenkins"),), (), ("jenkins",), "passed"),
    ("another creator than the named", (green(creator="anybody"),), (), ("jenkins",), "open"),
    (
        "a named creator in a named context",
        (green(context="build", creator="jenkins"), green("failure", context="build", creator="anybody")),
        BUILD,
        ("jenkins",),
        "passed",
    ),
    ("a named creator may be an agent", (green(creator=DEVELOPER),), (), (DEVELOPER,), "passed"),
)


@pytest.mark.parametrize(
    ("statuses", "contexts", "creators", "expected"), [row[1:] for row in CI], ids=[row[0] for row in CI]
)
def test_ci(
    statuses: tuple[CommitStatus, ...], contexts: tuple[str, ...], creators: tuple[str, ...], expected: str
) -> None:
    agents = frozenset({DEVELOPER, REVIEWER})
    assert word(ci_word(statuses, contexts=contexts, creators=creators, agents=agents, silent=False)) == expected


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((), "silent"),
        ((green("pending", context="build"),), "silent"),
        ((green("failure", context="build"),), "failed"),
    ],
    ids=["no word at all", "one context of two", "a red one is a word"],
)
def test_past_its_time_ci_is_silent_while_a_named_context_is_missing(
    statuses: tuple[CommitStatus, ...], expected: str
) -> None:
    assert word(ci_word(statuses, contexts=LINT, creators=(), agents=frozenset(), silent=True)) == expected


def test_with_ci_off_every_commit_passes_as_not_configured() -> None:
    off = repository(gates={"ci": {"mode": "None"}})
    assert ci_green(case(item(Stage.DEVELOPMENT), facts(statuses=()), of=off)) == Passed("NotConfigured")


APPROVED, AGAINST = review(), review("REQUEST_CHANGES")
REVIEWS = (
    ("the reviewer's approval of the head", (APPROVED,), 1, "passed"),
    ("nobody's", (), 1, "open"),
    ("one of two", (APPROVED,), 2, "open"),
    ("two of two", (APPROVED, review(author="lead")), 2, "passed"),
    ("the same person twice is one", (APPROVED, APPROVED), 2, "open"),
    ("an approval of another commit", (review(commit=OLD),), 1, "open"),
    ("an approval of another commit with the same change", (review(commit=BASE),), 1, "passed"),
    ("a dismissed approval", (review(dismissed=True),), 1, "open"),
    ("an approval that is not official", (review(official=False),), 1, "open"),
    ("an approval that the forge calls stale, of this very commit", (review(stale=True),), 1, "passed"),
    ("changes requested", (AGAINST,), 1, "failed"),
    ("changes requested after an approval", (APPROVED, AGAINST), 1, "failed"),
    ("an approval after changes were requested", (AGAINST, APPROVED), 1, "passed"),
    ("a comment after changes were requested", (AGAINST, review("COMMENT")), 1, "failed"),
    ("changes requested of an earlier commit stay requested", (review("REQUEST_CHANGES", commit=OLD),), 1, "failed"),
    ("changes requested and dismissed", (AGAINST, review("REQUEST_CHANGES", dismissed=True)), 1, "failed"),
    ("dismissed changes after an approval", (APPROVED, review("REQUEST_CHANGES", dismissed=True)), 1, "passed"),
    ("an approval dismissed, changes requested before", (AGAINST, review(dismissed=True)), 1, "failed"),
    ("a pending review is no word", (review("PENDING"),), 1, "open"),
    ("an approval by the developer", (review(author=DEVELOPER),), 1, "open"),
    ("changes requested by the developer", (APPROVED, review("REQUEST_CHANGES", author=DEVELOPER)), 1, "passed"),
    ("an approval by somebody who is not listed", (review(author="anybody"),), 1, "open"),
    ("changes requested by somebody with a say", (APPROVED, review("REQUEST_CHANGES", author="anybody")), 1, "failed"),
    (
        "changes requested by a passer-by",
        (APPROVED, review("REQUEST_CHANGES", author="anybody", official=False)),
        1,
        "passed",
    ),
)


@pytest.mark.parametrize(
    ("reviews", "needed", "expected"), [row[1:] for row in REVIEWS], ids=[row[0] for row in REVIEWS]
)
def test_reviews(reviews: tuple[ForgeReview, ...], needed: int, expected: str) -> None:
    said = review_word(
        reviews,
        head=HEAD,
        carried=frozenset({BASE}),
        needed=needed,
        reviewers=frozenset({REVIEWER, "lead"}),
        excluded=frozenset({DEVELOPER}),
    )
    assert word(said) == expected


def test_approval_of_another_commit_is_named() -> None:
    known, none = frozenset({REVIEWER, "lead"}), frozenset[str]()
    said = review_word((review(commit=OLD),), head=HEAD, carried=none, needed=1, reviewers=known, excluded=none)
    assert isinstance(said, NotEvaluated)
    assert said.reason == f"0 of 1 approvals of {HEAD[:12]}, by lead, {REVIEWER}; {REVIEWER} approved {OLD[:12]}"


def test_with_no_reviewer_known_nobody_approves() -> None:
    none: frozenset[str] = frozenset()
    said = review_word((APPROVED,), head=HEAD, carried=none, needed=1, reviewers=none, excluded=none)
    assert word(said) == "open"


@pytest.mark.parametrize(
    ("gate_fields", "status_fields", "expected"),
    [
        ({}, {}, "passed"),
        ({"passed": False}, {}, "passed"),
        ({"change_id": sha("x")}, {}, "open"),
        ({"change_id": ""}, {}, "open"),
        ({"head_sha": sha("older")}, {}, "open"),
        ({}, {"head_sha": sha("another")}, "open"),
    ],
    ids=[
        "the same change",
        "the gate was closed for a while",
        "another change",
        "a change that was not known",
        "a review of a commit before that",
        "a head that is not on record as ours",
    ],
)
def test_an_approval_of_the_head_before_our_rebase(
    gate_fields: dict[str, Any], status_fields: dict[str, Any], expected: str
) -> None:
    entry = gate("review_approved", **({"head_sha": OLD} | gate_fields))
    whole = item(Stage.DEPLOY_STAGING, gates=(entry,), **status_fields)
    assert word(review_approved(case(whole, facts(reviews=(review(commit=OLD),))))) == expected


def test_the_gate_goes_on_naming_the_commit_that_was_reviewed() -> None:
    whole = item(Stage.DEPLOY_STAGING, gates=(gate("review_approved", head_sha=OLD),))
    known = case(whole, facts(reviews=(review(commit=OLD),)))
    stored = recorded(known, known.status, (("review_approved", Passed("again")),))
    assert [(entry.head_sha, entry.reason) for entry in stored.gates] == [(OLD, "again")]


def test_a_head_that_is_somebody_elses_takes_the_approval_off_record() -> None:
    whole = item(Stage.REVIEW, gates=(gate("review_approved"), gate("tests_passed")))
    stored = seen(case(whole), pull(head_sha=OLD)).status
    assert [entry.name for entry in stored.gates] == ["tests_passed"]
    assert seen(case(whole), pull()).status.gates == whole.status.gates


@pytest.mark.parametrize("name", ["tests_passed", "deploy_approved"])
@pytest.mark.parametrize(("head", "expected"), [(HEAD, "passed"), (OLD, "open")], ids=["this head", "another head"])
def test_what_was_said_of_a_head_with_the_same_change_counts_for_that_head_alone(
    name: str, head: str, expected: str
) -> None:
    """Our own rebase puts it on record for the new head; nothing else carries it there."""
    whole = item(Stage.DEPLOY_STAGING, last_run=None, gates=(gate(name, head_sha=head),))
    assert word(GATES[name](case(whole, of=PERSON))) == expected


@pytest.mark.parametrize(
    "given", [Passed(), Failed("x"), NotEvaluated("x", WaitingReason.CI)], ids=lambda given: type(given).__name__
)
def test_a_word_has_no_truth_value(given: Word) -> None:
    with pytest.raises(TypeError, match="no truth value"):
        bool(given)


def test_every_gate_to_leave_a_stage_exists() -> None:
    assert {name for names in GATES_TO_LEAVE.values() for name in names} == set(GATES)


def test_a_login_that_may_be_an_agents_turns_nothing_green() -> None:
    unsure = replace(POLICY, agents_known=False)
    assert word(ci_green(case(item(Stage.DEVELOPMENT), policy=unsure))) == "open"
    named = repository(gates={"ci": {"creators": ["ci-bot"]}})
    assert isinstance(ci_green(case(item(Stage.DEVELOPMENT), of=named, policy=unsure)), Passed)
