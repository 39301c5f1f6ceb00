"""deploy-staging and deploy: what must hold for a merge, and what becomes of merge and deploy."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from conveyor.api.objects import WorkItem
from conveyor.api.stages import Stage
from conveyor.api.workitem import Effect, StalledReason, TransitionJob
from conveyor.pipeline.case import Facts
from conveyor.pipeline.facts import JobState
from tests.unit.pipeline.builders import (
    AUTO,
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
    job,
    last_run,
    merged_pull,
    pull,
    repository,
    review,
    settled,
    sha,
    stalled,
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
    ("refused by the forge it waits and says so", MERGING, facts(refusal="protected"), "Merge goes on"),
    (
        "cancel does not end a merge",
        item(Stage.DEPLOY_STAGING, transition=transition(Effect.MERGE), spec={"cancel": True}),
        facts(),
        "Apply Merge",
    ),
)


def deploying(*, uid: str | None = "job-uid", **fields: object) -> WorkItem:
    name = TransitionJob(name="shop-et-17-production-0123456789", uid=uid)
    return item(Stage.DEPLOY, transition=transition(Effect.PRODUCTION, job=name, **fields))


DEPLOY, CLAIMED, AT_WORK = item(Stage.DEPLOY), deploying(uid=None), deploying()
FAILED = stalled(DEPLOY, StalledReason.DEPLOY_FAILED)
DEPLOYS: tuple[Row, ...] = (
    ("merged, the deploy is intended", DEPLOY, facts(), "intends Production"),
    ("a Job that is not there yet is created", CLAIMED, facts(), "Apply Production"),
    (
        "a Job that is there is put on record first",
        CLAIMED,
        facts(effect_job=job(JobState.ACTIVE)),
        "Production goes on",
    ),
    ("a Job that has ended unseen is put on record first", CLAIMED, facts(effect_job=job()), "Production goes on"),
    ("a Job at work is waited for", AT_WORK, facts(effect_job=job(JobState.ACTIVE)), "Production goes on"),
    ("a Job that passed is the end", AT_WORK, facts(effect_job=job()), "-> done"),
    (
        "a Job that passed in words is the end",
        AT_WORK,
        facts(effect_job=job(message='{"conveyor": 1, "verdict": "pass"}')),
        "-> done",
    ),
    (
        "a Job that failed is a person's matter",
        AT_WORK,
        facts(effect_job=job(complete=False)),
        "Production ended, Stalled DeployFailed",
    ),
    (
        "exit 0 with the word fail has failed",
        AT_WORK,
        facts(effect_job=job(message='{"conveyor": 1, "verdict": "fail"}')),
        "Production ended, Stalled DeployFailed",
    ),
    (
        "exit 0 with a message cut off has failed",
        AT_WORK,
        facts(effect_job=job(message='{"conveyor": 1, "ver')),
        "Production ended, Stalled DeployFailed",
    ),
    (
        "a Job that vanished after it was seen is never created again",
        AT_WORK,
        facts(),
        "Production goes on, Stalled EffectUnknown",
    ),
    (
        "another Job of that name is not believed",
        AT_WORK,
        facts(effect_job=job(uid="another")),
        "Production goes on, Stalled EffectUnknown",
    ),
    (
        "another item's Job is not believed",
        CLAIMED,
        facts(effect_job=job(item_uid="another")),
        "Production goes on, Stalled EffectUnknown",
    ),
    ("a Job that cannot be read is waited for", AT_WORK, facts(effect_job=UNKNOWN), "Production goes on"),
    ("a failed deploy starts nothing", FAILED, facts(), "Stalled DeployFailed"),
    ("cancel waits for the deploy", item(Stage.DEPLOY, spec={"cancel": True}), facts(), "intends Production"),
    ("suspended, a deploy waits", item(Stage.DEPLOY, spec={"suspend": True}), facts(), "waits Suspended"),
    (
        "suspended, a failed deploy stays failed",
        stalled(item(Stage.DEPLOY, spec={"suspend": True}), StalledReason.DEPLOY_FAILED),
        facts(),
        "Stalled DeployFailed",
    ),
    (
        "after a failed deploy cancel ends it",
        stalled(item(Stage.DEPLOY, spec={"cancel": True}), StalledReason.DEPLOY_FAILED),
        facts(),
        "-> cancelled",
    ),
)


@table(BEFORE_MERGE + MERGES + DEPLOYS)
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


def test_a_deploy_says_what_it_deployed() -> None:
    known = facts(effect_job=job(message='{"conveyor": 1, "verdict": "pass", "revision": "v7"}'))
    assert settled(AT_WORK, known).status.revision == "v7"


def test_without_a_deploy_template_merged_is_done() -> None:
    assert decide_row(DEPLOY, facts(), of=repository(deploy={})) == "-> done"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("deploy_approved", "intends Merge"), ("analysis_approved", "waits Approval")],
    ids=["a person's yes for this commit", "a yes to something else"],
)
def test_with_a_person_to_ask_a_merge_needs_their_yes(name: str, expected: str) -> None:
    gates = tuple(sorted((gate(name), gate("tests_passed")), key=lambda entry: entry.name))
    assert decide_row(item(Stage.DEPLOY_STAGING, gates=gates), facts(), of=PERSON) == expected


def test_a_job_nobody_hears_of_long_after_its_time_is_parked() -> None:
    late = NOW + timedelta(hours=2)
    assert decide_row(AT_WORK, facts(effect_job=job(JobState.ACTIVE)), now=late).endswith("Stalled EffectUnknown")
    assert decide_row(AT_WORK, facts(effect_job=job()), now=late) == "-> done"


def test_a_late_pass_still_creates_a_job_that_never_was() -> None:
    assert decide_row(CLAIMED, facts(), of=AUTO, now=NOW + timedelta(hours=2)) == "Apply Production"
