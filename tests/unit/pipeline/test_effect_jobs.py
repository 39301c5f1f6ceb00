"""Effects that are Jobs: created once, put on record, read to their end; and what each end means."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from conveyor.api.objects import Repository, WorkItem
from conveyor.api.workitem import Cause, Effect, StalledReason, WorkItemStatus
from conveyor.pipeline.case import Facts
from conveyor.pipeline.facts import JobFact, JobState
from conveyor.pipeline.job_kinds import IMAGE_SECONDS, JOB_KINDS
from tests.unit.pipeline.builders import (
    CHANGE,
    HEAD,
    IMAGE,
    NOW,
    OPEN_LANE,
    UNKNOWN,
    attempts,
    effect_job,
    facts,
    gate,
    item,
    job,
    merged_pull,
    on_record,
    pull,
    repository,
    settled,
    stalled,
)
from tests.unit.pipeline.effect_items import (
    BUILT,
    DEPLOYED,
    EACH,
    FRESH,
    GATES,
    HELD,
    OTHER,
    POD,
    READY,
    STAGE_OF,
    WANTED,
    at_work,
    row,
    said,
    with_words,
)
from tests.unit.pipeline.outcomes import decide_row
from tests.unit.pipeline.situations import FREEZES

# --- any of them


@EACH
@pytest.mark.parametrize(
    ("uid", "known", "expected"),
    [
        (None, facts(), "Apply {}"),
        (None, facts(effect_job=job(JobState.ACTIVE)), "{} goes on"),
        (None, facts(effect_job=HELD), "{} goes on"),
        (None, facts(effect_job=job()), "{} goes on"),
        (None, facts(effect_job=job(JobState.DELETING)), "{} goes on"),
        (None, facts(refusal="quota"), "{} goes on"),
        (None, facts(effect_job=job(item_uid="another")), "{} goes on, Stalled EffectUnknown"),
        ("job-uid", facts(effect_job=job(JobState.ACTIVE)), "{} goes on"),
        ("job-uid", facts(effect_job=HELD), "Apply {}"),
        ("job-uid", facts(effect_job=HELD, refusal="quota"), "{} goes on"),
        ("job-uid", facts(effect_job=replace(HELD, state=JobState.DELETING)), "{} goes on, Stalled EffectUnknown"),
        ("job-uid", facts(effect_job=replace(HELD, uid="another")), "{} goes on, Stalled EffectUnknown"),
        ("job-uid", facts(effect_job=replace(HELD, unstarted=False)), "{} goes on"),
        ("job-uid", facts(effect_job=replace(HELD, suspended=False)), "{} goes on"),
        ("job-uid", facts(effect_job=job(JobState.DELETING)), "{} goes on"),
        ("job-uid", facts(effect_job=UNKNOWN), "{} goes on"),
        ("job-uid", facts(), "{} goes on, Stalled EffectUnknown"),
        ("job-uid", facts(effect_job=job(uid="another")), "{} goes on, Stalled EffectUnknown"),
    ],
    ids=[
        "not there yet: it is created",
        "there: its uid goes on record first",
        "there and suspended: its uid goes on record first",
        "there and ended unseen: its uid goes on record first",
        "deleted and held: its uid goes on record first",
        "refused: it waits and says so",
        "another item's of that name is not believed",
        "at work: it is waited for",
        "suspended, its uid on record: it is let begin",
        "refused its start: it waits and says so",
        "deleted before it began: a person's matter",
        "suspended, of another uid: never let begin",
        "suspended by somebody after it began: theirs to let go on",
        "let begin, its controller has not seen it: it is waited for",
        "deleted and held: it is waited for",
        "unreadable: it is waited for",
        "vanished after it was seen: never created again",
        "another of that name is not believed",
    ],
)
def test_job(effect: Effect, uid: str | None, known: Facts, expected: str) -> None:
    before = on_record(WANTED, production=DEPLOYED.model_copy(update={"sha": OTHER, "item": "before"}))
    assert row(at_work(effect, uid=uid), known, of=before) == expected.format(effect.value)


@pytest.mark.parametrize("known", [facts(), facts(effect_job=job(pod_gone=True))], ids=["vanished", "its word is lost"])
@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ({}, "-> done"),
        ({"item": "shop-et-18"}, "Production goes on, Stalled EffectUnknown"),
        ({"sha": OTHER}, "Production goes on, Stalled EffectUnknown"),
    ],
    ids=["on record as deployed", "another item's", "another commit"],
)
def test_deploy_that_can_say_no_more_is_judged_by_what_is_on_record(
    named: dict[str, str], expected: str, known: Facts
) -> None:
    of = on_record(WANTED, production=DEPLOYED.model_copy(update=named))
    assert row(at_work(Effect.PRODUCTION), known, of=of) == expected


@EACH
def test_job_that_was_seen_has_its_uid_on_record_and_its_time_from_then(effect: Effect) -> None:
    late = NOW + timedelta(days=1)
    status = settled(at_work(effect, uid=None), facts(effect_job=job(JobState.ACTIVE)), of=WANTED, now=late).status
    intent = status.transition
    assert intent is not None
    assert intent.job == effect_job(effect, uid="job-uid")
    assert intent.deadline_time == late + timedelta(seconds=JOB_KINDS[effect].seconds(WANTED.spec) + 60)


@EACH
def test_job_nobody_hears_of_long_after_its_time_is_parked(effect: Effect) -> None:
    whole = at_work(effect)
    assert row(whole, facts(effect_job=job(JobState.ACTIVE)), hours=2).endswith("Stalled EffectUnknown")
    assert row(whole, facts(effect_job=UNKNOWN), hours=2).endswith("Stalled EffectUnknown")
    assert "EffectUnknown" not in row(whole, facts(effect_job=job()), hours=2)


@EACH
def test_late_pass_still_creates_a_job_that_never_was(effect: Effect) -> None:
    assert row(at_work(effect, uid=None), facts(), hours=2) == f"Apply {effect.value}"


@EACH
@pytest.mark.parametrize("found", [None, HELD], ids=["not there", "suspended"])
def test_job_that_is_refused_all_its_time_is_parked_and_not_tried_again_unasked(
    effect: Effect, found: JobFact | None
) -> None:
    whole = at_work(effect, uid=None if found is None else "job-uid")
    known = facts() if found is None else facts(effect_job=found)
    action = settled(whole, replace(known, refusal="quota"), of=WANTED, now=NOW + timedelta(hours=2))
    assert action.status.stalled == StalledReason.EFFECT_UNKNOWN
    parked = whole.model_copy(update={"status": action.status})
    assert settled(parked, known, of=WANTED, now=NOW + timedelta(hours=3)).status == action.status


@EACH
def test_late_start_of_a_job_that_was_seen_counts_its_time_from_then(effect: Effect) -> None:
    late = NOW + timedelta(days=1)
    intent = settled(at_work(effect), facts(effect_job=HELD), of=WANTED, now=late).status.transition
    assert intent is not None
    assert intent.deadline_time > late
    assert decide_row(item(STAGE_OF[effect], transition=intent), facts(effect_job=HELD), of=WANTED, now=late) == (
        f"Apply {effect.value}"
    )


@EACH
def test_parked_job_that_never_began_is_looked_at_again_and_then_begins(effect: Effect) -> None:
    whole = stalled(at_work(effect, phase="Unknown"), StalledReason.EFFECT_UNKNOWN)
    status = settled(whole, facts(effect_job=HELD), of=WANTED).status
    assert (status.stalled, status.transition and status.transition.phase) == (None, "Prepared")


@EACH
def test_job_suspended_by_somebody_says_whose_turn_it_is_until_it_is_parked(effect: Effect) -> None:
    stopped = facts(effect_job=replace(HELD, unstarted=False, reason="Suspended"))
    waiting = settled(at_work(effect), stopped, of=WANTED).status.waiting
    assert waiting is not None
    assert "suspended by somebody after it began" in waiting.message
    assert row(at_work(effect), stopped, hours=2).endswith("Stalled EffectUnknown")


@EACH
def test_parked_job_that_is_at_work_after_all_goes_on(effect: Effect) -> None:
    whole = stalled(at_work(effect, phase="Unknown"), StalledReason.EFFECT_UNKNOWN)
    assert row(whole, facts(effect_job=job(JobState.ACTIVE))) == f"{effect.value} goes on"


def test_image_build_has_its_templates_own_time() -> None:
    own = repository(gates={"image": BUILT | {"template": {"spec": {"activeDeadlineSeconds": 60}}}})
    assert JOB_KINDS[Effect.IMAGE].seconds(own.spec) == 60
    assert JOB_KINDS[Effect.IMAGE].seconds(WANTED.spec) == IMAGE_SECONDS


# --- image and staging


@pytest.mark.parametrize(
    ("whole", "expected"),
    [
        (READY, "intends Image"),
        (with_words(gate("image_fresh", head_sha=OTHER)), "intends Image"),
        (with_words(gate("image_fresh", head_sha=OTHER), gate("staging_healthy")), "intends Image"),
        (with_words(gate("image_fresh", reason="NotConfigured")), "intends Image"),
        (with_words(FRESH), "intends Staging"),
        (with_words(FRESH, gate("staging_healthy", head_sha=OTHER)), "intends Staging"),
        (with_words(FRESH, gate("staging_healthy", reason="NotConfigured")), "intends Staging"),
        (with_words(FRESH, gate("staging_healthy")), "intends Merge"),
        (with_words(gate("image_fresh", passed=False)), "-> development, charged Image, run developer"),
        (with_words(FRESH, gate("staging_healthy", passed=False)), "-> development, charged Staging, run developer"),
    ],
    ids=[
        "no image yet: one is built",
        "an image of another commit is none, though the change is the same",
        "staging of another image counts for nothing",
        "the gate was off until now",
        "with its image it goes to staging",
        "another commit was in staging",
        "staging was off until now",
        "both of this very commit: the merge is intended",
        "a build that failed is the developer's",
        "staging that failed is the developer's",
    ],
)
def test_before_the_merge_image_and_staging_are_of_this_very_commit(whole: WorkItem, expected: str) -> None:
    assert row(whole, facts()) == expected


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (repository(), "intends Merge"),
        (repository(gates=GATES | {"image": BUILT | {"enabled": False}}), "intends Merge"),
        (repository(gates=GATES | {"image": {"enabled": True}}), "intends Merge"),
        (repository(staging={"template": POD}), "intends Staging"),
        (repository(gates=GATES | {"image": BUILT}), "intends Image"),
    ],
    ids=["neither", "switched off", "without a template", "staging alone", "image alone"],
)
def test_what_is_not_configured_passes(of: Repository, expected: str) -> None:
    assert row(READY, facts(), of=of) == expected


def test_with_merges_frozen_no_job_begins() -> None:
    known = facts(lane=replace(OPEN_LANE, freeze=FREEZES["merge"]))
    assert row(READY, known) == "waits RepositoryFrozen"


def test_job_is_given_exact_commits_and_what_was_said_before_is_void() -> None:
    status = settled(
        with_words(gate("image_fresh", head_sha=OTHER), gate("staging_healthy")), facts(), of=WANTED
    ).status
    assert status.transition is not None
    condition = status.transition.precondition
    assert (condition.head_sha, condition.change_id, status.image) == (HEAD, CHANGE, None)
    assert status.transition.previous_image == IMAGE
    assert (status.gate("image_fresh"), status.gate("staging_healthy")) == (None, None)


def ended(effect: Effect, **fields: Any) -> WorkItemStatus:
    return settled(at_work(effect), facts(effect_job=job(**fields)), of=WANTED).status


def test_image_that_was_built_is_on_record_for_the_commit() -> None:
    status = ended(Effect.IMAGE, message=said(image=IMAGE))
    word = status.gate("image_fresh")
    assert word is not None
    assert (word.passed, word.head_sha, status.image, status.transition) == (True, HEAD, IMAGE, None)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "it named no image"),
        ({"message": said()}, "it named no image"),
        ({"message": said(image="registry.example/cart:latest")}, "wanted <repository>@sha256:<digest>"),
        ({"message": said(image=f"registry.example/cart:v1@sha256:{'1' * 64}")}, "wanted one of registry.example/cart"),
        ({"message": said(image=f"evil.example/cart@sha256:{'1' * 64}")}, "wanted one of registry.example/cart"),
        ({"message": said(image="registry.example/cart@sha256:12")}, "wanted <repository>@sha256:<digest>"),
        ({"message": said(image=f"{IMAGE}\n")}, "wanted <repository>@sha256:<digest>"),
        ({"message": said("fail", summary="tests of the image", image=IMAGE)}, "tests of the image"),
        ({"message": '{"conveyor": 1, "ver'}, "malformed"),
        ({"complete": False, "reason": "exit 2: container work"}, "exit 2: container work"),
        ({"complete": False, "reason": "DeadlineExceeded"}, "DeadlineExceeded"),
    ],
)
def test_build_that_names_no_image_of_ours_by_digest_has_failed(fields: dict[str, Any], says: str) -> None:
    status = ended(Effect.IMAGE, **fields)
    word = status.gate("image_fresh")
    assert word is not None
    assert (word.passed, word.head_sha, status.image, status.transition) == (False, HEAD, None, None)
    assert says in word.reason


def test_any_repository_will_do_where_none_is_named() -> None:
    of = repository(gates=GATES | {"image": {"enabled": True, "template": POD}})
    known = facts(effect_job=job(message=said(image=IMAGE)))
    assert settled(at_work(Effect.IMAGE), known, of=of).status.image == IMAGE


@pytest.mark.parametrize(
    ("fields", "passed"),
    [({}, True), ({"message": said()}, True), ({"message": said("fail")}, False), ({"complete": False}, False)],
    ids=["exit 0", "it says pass", "it says fail", "exit 1"],
)
def test_staging_says_whether_the_commit_is_healthy(fields: dict[str, Any], *, passed: bool) -> None:
    status = ended(Effect.STAGING, **fields)
    word = status.gate("staging_healthy")
    assert word is not None
    assert (word.passed, word.head_sha, status.transition) == (passed, HEAD, None)


@pytest.mark.parametrize("effect", [Effect.IMAGE, Effect.STAGING], ids=str)
def test_job_whose_node_went_away_is_begun_again_and_charged_to_nobodys_work(effect: Effect) -> None:
    status = ended(effect, complete=False, reason="NodeLost", disrupted=True)
    assert (status.transition, status.gate(JOB_KINDS[effect].gate)) == (None, None)
    assert [(it.cause, it.count) for it in status.attempts] == [(Cause.INFRASTRUCTURE, 1)]


@pytest.mark.parametrize("effect", [Effect.IMAGE, Effect.STAGING], ids=str)
def test_job_whose_node_goes_away_again_and_again_is_a_persons_matter_until_they_retry(effect: Effect) -> None:
    whole = at_work(effect)
    whole = whole.model_copy(
        update={"status": whole.status.model_copy(update={"attempts": attempts(Infrastructure=3)})}
    )
    cut_short = facts(effect_job=job(complete=False, reason="NodeLost", disrupted=True))
    action = settled(whole, cut_short, of=WANTED)
    assert (action.status.stalled, action.status.transition) == (StalledReason.RETRIES_EXHAUSTED, None)
    stays = whole.model_copy(update={"status": action.status})
    assert row(stays, facts()) == "Stalled RetriesExhausted"


@pytest.mark.parametrize("name", ["image_fresh", "staging_healthy"])
def test_retry_after_a_job_that_used_the_budget_up_begins_another(name: str) -> None:
    word = gate(name, passed=False)
    words = (FRESH, word) if name != FRESH.name else (word,)
    base = with_words(*words)
    cause = "Image" if name == "image_fresh" else "Staging"
    spent = base.model_copy(update={"status": base.status.model_copy(update={"attempts": attempts(**{cause: 3})})})
    assert row(spent, facts()) == "Stalled RetriesExhausted"
    held = stalled(spent, StalledReason.RETRIES_EXHAUSTED)
    assert row(held, facts()) == "Stalled RetriesExhausted"
    told = held.model_copy(
        update={"metadata": held.metadata.model_copy(update={"annotations": {"request.conveyor.dev/retry": "1"}})}
    )
    after = settled(told, facts(), of=WANTED).status
    again = told.model_copy(update={"status": after})
    assert row(again, facts()) == f"intends {'Image' if name == 'image_fresh' else 'Staging'}"


@pytest.mark.parametrize("effect", [Effect.IMAGE, Effect.STAGING], ids=str)
@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (facts(effect_job=job(JobState.ACTIVE)), "StopEffect"),
        (facts(effect_job=job(JobState.DELETING)), "StopEffect"),
        (facts(effect_job=UNKNOWN), "StopEffect"),
        (facts(), "-> {}"),
        (facts(effect_job=job()), "-> {}"),
    ],
    ids=["at work", "on its way out", "unreadable", "gone", "at its end"],
)
def test_cancel_and_a_persons_merge_end_a_job_before_the_stage_is_written(
    effect: Effect, known: Facts, expected: str
) -> None:
    whole = at_work(effect)
    cancelled = whole.model_copy(update={"spec": whole.spec.model_copy(update={"cancel": True})})
    assert row(cancelled, known) == expected.format("cancelled")
    assert row(whole, replace(known, pull=merged_pull())) == expected.format("done")


def test_foreign_commit_waits_for_the_job_to_end() -> None:
    pushed = facts(effect_job=job(JobState.ACTIVE), pull=pull(head_sha=OTHER))
    assert row(at_work(Effect.IMAGE), pushed) == "Image goes on"
    built = at_work(Effect.IMAGE)
    status = settled(built, replace(pushed, effect_job=job(message=said(image=IMAGE))), of=WANTED).status
    after = built.model_copy(update={"status": status})
    assert row(after, facts(pull=pull(head_sha=OTHER))) == "-> review, charged HeadMoved, run reviewer"
