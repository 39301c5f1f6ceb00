"""deploy-staging and deploy: what must hold for a merge, and what becomes of merge and deploy."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from conveyor.api.objects import WorkItem
from conveyor.api.stages import Stage
from conveyor.api.workitem import Effect
from conveyor.pipeline.case import Facts
from tests.unit.pipeline.builders import (
    BASE,
    CHANGE,
    DEVELOPER,
    HEAD,
    NOW,
    OPEN_LANE,
    PERSON,
    UNKNOWN,
    facts,
    gate,
    green,
    item,
    last_run,
    merged_pull,
    pull,
    repository,
    review,
    settled,
    sha,
    transition,
)
from tests.unit.pipeline.outcomes import Row, decide_row, table
from tests.unit.pipeline.situations import FREEZES

OTHER = sha("other")
STAGING = item(Stage.DEPLOY_STAGING)
UNTESTED = item(Stage.DEPLOY_STAGING, last_run=last_run(Stage.TESTING, sha=OTHER), gates=())

BEFORE_MERGE: tuple[Row, ...] = (
    ("with all gates good the merge is intended", STAGING, facts(), "intends Merge"),
    (
        "red CI on the same head is the developer's",
        STAGING,
        facts(statuses=(green("error"),)),
        "-> development, charged CI, run developer",
    ),
    ("CI that works again is waited for", STAGING, facts(statuses=(green("pending"),)), "waits CI"),
    (
        "changes requested late are the developer's",
        STAGING,
        facts(reviews=(review("REQUEST_CHANGES"),)),
        "-> development, charged Review, run developer",
    ),
    ("an approval that was dismissed is missed", STAGING, facts(reviews=(review(dismissed=True),)), "waits Review"),
    ("another commit's test counts for nothing", UNTESTED, facts(), "waits Run"),
    (
        "a foreign commit goes back to review",
        STAGING,
        facts(pull=pull(head_sha=OTHER)),
        "-> review, charged HeadMoved, run reviewer",
    ),
    ("a moved base is rebased on", STAGING, facts(base_in_head=False), "intends Rebase"),
    ("a base that cannot be compared is not merged to", STAGING, facts(base_in_head=UNKNOWN), "waits Forge"),
    ("a base that cannot be read is not merged to", STAGING, facts(base_head=UNKNOWN), "waits Forge"),
    ("frozen merges wait", STAGING, facts(lane=replace(OPEN_LANE, freeze=FREEZES["merge"])), "waits RepositoryFrozen"),
    (
        "a freeze of admission lets merges pass",
        STAGING,
        facts(lane=replace(OPEN_LANE, freeze=FREEZES["admission"])),
        "intends Merge",
    ),
    ("suspended, nothing begins", item(Stage.DEPLOY_STAGING, spec={"suspend": True}), facts(), "waits Suspended"),
)

MERGING = item(Stage.DEPLOY_STAGING, transition=transition(Effect.MERGE))
FROZEN, FROZEN_ADMISSION = (facts(lane=replace(OPEN_LANE, freeze=FREEZES[scope])) for scope in ("merge", "admission"))
MERGES: tuple[Row, ...] = (
    ("not on the base yet: it is applied", MERGING, facts(), "Apply Merge"),
    (
        "the base has the tested commit: merged",
        MERGING,
        facts(head_in_base=True, pull=merged_pull("operator")),
        "-> deploy",
    ),
    ("a pull request left open is closed first", MERGING, facts(head_in_base=True), "Apply Merge"),
    ("merged, and the pull request cannot be read", MERGING, facts(head_in_base=True, pull=UNKNOWN), "Merge goes on"),
    ("whether it is merged cannot be read", MERGING, facts(head_in_base=UNKNOWN), "Merge goes on"),
    ("the base moved: the intent ends", MERGING, facts(base_head=OTHER), "Merge ended"),
    ("the head moved: the intent ends", MERGING, facts(pull=pull(head_sha=OTHER)), "Merge ended"),
    ("the pull request was closed: the intent ends", MERGING, facts(pull=pull(state="closed")), "Merge ended"),
    (
        "merged by a person on this very commit counts as ours",
        MERGING,
        facts(pull=merged_pull(merge_sha=OTHER)),
        "-> deploy",
    ),
    (
        "merged by an agent on this very commit counts as ours",
        MERGING,
        facts(pull=merged_pull(DEVELOPER), head_in_base=True),
        "-> deploy",
    ),
    (
        "merged by a person on another commit ends the intent",
        MERGING,
        facts(pull=merged_pull(head_sha=OTHER)),
        "Merge ended",
    ),
    ("frozen since it was intended it is not sent", MERGING, FROZEN, "Merge goes on"),
    ("a freeze of admission does not hold it", MERGING, FROZEN_ADMISSION, "Apply Merge"),
    (
        "frozen and on the base it is merged",
        MERGING,
        replace(FROZEN, head_in_base=True, pull=merged_pull("operator")),
        "-> deploy",
    ),
    (
        "frozen until its deadline it ends",
        item(Stage.DEPLOY_STAGING, transition=transition(Effect.MERGE, deadline_time=NOW)),
        FROZEN,
        "Merge ended",
    ),
    (
        "the pull request goes to another base: the intent ends",
        MERGING,
        facts(pull=pull(base="release")),
        "Merge ended",
    ),
    (
        "merged to another base is not merged",
        MERGING,
        facts(pull=merged_pull("operator", base="release")),
        "Merge ended",
    ),
    (
        "merged, and then retargeted on paper: the base alone proves it",
        MERGING,
        facts(head_in_base=True, pull=merged_pull("operator", base="release")),
        "-> deploy",
    ),
    ("refused by the forge it waits and says so", MERGING, facts(refusal="protected"), "Merge goes on"),
    (
        "cancel does not end a merge",
        item(Stage.DEPLOY_STAGING, transition=transition(Effect.MERGE), spec={"cancel": True}),
        facts(),
        "Apply Merge",
    ),
)


BY_US = merged_pull("Operator")
PULL_REQUEST, AN_HOUR_AGO = STAGING.status.pull_request, NOW - timedelta(hours=1)
CANCELLED = item(Stage.CANCELLED, head_sha=HEAD, pull_request=PULL_REQUEST)
LONG_CANCELLED = item(Stage.CANCELLED, pull_request=PULL_REQUEST, stage_entered_time=AN_HOUR_AGO)
COMES_LATE: tuple[Row, ...] = (
    ("ours, its intent gone: what we merged is deployed", STAGING, facts(pull=BY_US), "-> deploy"),
    ("a person's: theirs to deploy", STAGING, facts(pull=merged_pull()), "-> done"),
    (
        "ours, of another head than the one on record: a person decides",
        STAGING,
        facts(pull=replace(BY_US, head_sha=OTHER)),
        "Stalled MergedLate",
    ),
    ("it is unknown who we are", STAGING, facts(pull=BY_US, own_login=UNKNOWN), "waits Forge"),
    ("the forge may not say who we are", STAGING, facts(pull=BY_US, own_login=""), "-> done"),
    ("ours, after it was sent back: a person decides", item(Stage.REVIEW), facts(pull=BY_US), "Stalled MergedLate"),
    ("a person's, after it was sent back: theirs", item(Stage.DEVELOPMENT), facts(pull=merged_pull()), "-> done"),
    ("ours, after it was cancelled: a person is told", CANCELLED, facts(pull=BY_US), "Stalled MergedLate"),
    ("a person's, after it was cancelled: theirs", CANCELLED, facts(pull=merged_pull()), "rests"),
    ("ours, long after: nobody looks", LONG_CANCELLED, facts(pull=BY_US), "rests"),
)
"""The pull request is merged, and no intent on record did it."""


def test_merge_of_ours_whose_intent_is_gone_is_on_record_like_any_other() -> None:
    late = settled(STAGING, facts(pull=BY_US)).status
    told = settled(MERGING, facts(pull=BY_US, head_in_base=True)).status
    assert (late.merge_sha, late.head_sha, late.stage) == (told.merge_sha, told.head_sha, told.stage)


@table(BEFORE_MERGE + MERGES + COMES_LATE)
def test_on_the_way_to_production(whole: WorkItem, known: Facts, expected: str) -> None:
    assert decide_row(whole, known) == expected


def test_a_merge_is_decided_for_exact_commits() -> None:
    intent = settled(STAGING).status.transition
    assert intent is not None
    condition = intent.precondition
    assert (condition.head_sha, condition.base_sha, condition.change_id) == (HEAD, BASE, CHANGE)


def test_a_merged_item_records_the_commit() -> None:
    status = settled(MERGING, facts(head_in_base=True, pull=merged_pull("operator"))).status
    assert (status.merge_sha, status.head_sha, status.transition) == (HEAD, HEAD, None)


def test_a_merge_in_another_style_records_what_is_on_the_base() -> None:
    status = settled(MERGING, facts(pull=merged_pull(merge_sha=OTHER))).status
    assert status.merge_sha == OTHER


def test_without_a_deploy_template_merged_is_done() -> None:
    assert decide_row(item(Stage.DEPLOY), facts(), of=repository(deploy={})) == "-> done"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("deploy_approved", "intends Merge"), ("analysis_approved", "waits Approval")],
    ids=["a person's yes for this commit", "a yes to something else"],
)
def test_with_a_person_to_ask_a_merge_needs_their_yes(name: str, expected: str) -> None:
    gates = tuple(sorted((gate(name), gate("tests_passed")), key=lambda entry: entry.name))
    assert decide_row(item(Stage.DEPLOY_STAGING, gates=gates), facts(), of=PERSON) == expected
