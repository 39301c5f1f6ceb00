"""The deploy of what was merged: its intent, and what is on record once it has passed."""

from __future__ import annotations

import pytest

from conveyor.api.objects import Repository, WorkItem
from conveyor.api.repository import Production
from conveyor.api.stages import Stage
from conveyor.api.workitem import Effect, StalledReason, WaitingReason, WorkItemStatus
from conveyor.pipeline.actions import Amend, Settle
from conveyor.pipeline.amending import amended
from conveyor.pipeline.case import Facts
from conveyor.pipeline.facts import Fact
from conveyor.pipeline.leases import kept
from tests.unit.pipeline.builders import (
    BASE,
    HEAD,
    IMAGE,
    UNKNOWN,
    decided,
    facts,
    gate,
    item,
    job,
    on_record,
    repository,
    settled,
)
from tests.unit.pipeline.effect_items import (
    FRESH,
    WANTED,
    at_work,
    row,
    said,
    with_words,
)
from tests.unit.pipeline.outcomes import decide_row


def deployed(known: Facts, *, of: Repository = WANTED) -> WorkItemStatus:
    return settled(at_work(Effect.PRODUCTION), known, of=of).status


def test_merged_item_intends_its_deploy_with_what_was_in_production_before() -> None:
    status = settled(item(Stage.DEPLOY), facts(), of=WANTED).status
    intent = status.transition
    assert intent is not None
    assert (intent.effect, intent.precondition.head_sha, intent.previous_image) == (Effect.PRODUCTION, HEAD, IMAGE)


@pytest.mark.parametrize("message", [None, said(), said(revision="v7")])
def test_deploy_that_passed_is_put_on_record_at_the_repository_before_the_item_is_done(message: str | None) -> None:
    built = with_words(FRESH).status
    whole = at_work(Effect.PRODUCTION)
    status = whole.status.model_copy(update={"gates": built.gates, "image": IMAGE})
    whole = whole.model_copy(update={"status": status})
    known = facts(effect_job=job(message=message))
    first = decided(whole, known, of=repository())
    revision = "v7" if message == said(revision="v7") else HEAD
    wanted = Production(image=IMAGE, sha=HEAD, revision=revision, item="shop-et-17")
    assert first == Amend(production=wanted)
    done = settled(whole, known, of=on_record(repository(), production=wanted)).status
    assert (done.stage, done.revision, done.transition) == (Stage.DONE, revision, None)
    word = done.gate("deploy_status")
    assert word is not None
    assert (word.passed, word.head_sha) == (True, HEAD)


def test_image_that_the_deploy_names_is_the_one_in_production() -> None:
    action = decided(at_work(Effect.PRODUCTION), facts(effect_job=job(message=said(image="cart:7"))), of=repository())
    assert isinstance(action, Amend)
    assert action.production is not None
    assert action.production.image == "cart:7"


@pytest.mark.parametrize(
    ("whole", "known", "expected"),
    [
        (item(Stage.DEPLOY, spec={"cancel": True}), facts(), "intends Production"),
        (item(Stage.DEPLOY, spec={"suspend": True}), facts(), "waits Suspended"),
        (item(Stage.DEPLOY, merge_sha=None), facts(), "Stalled DeployFailed"),
    ],
    ids=["cancel waits for the deploy", "suspended it waits", "nothing merged, nothing deployed"],
)
def test_merged_item(whole: WorkItem, known: Facts, expected: str) -> None:
    assert row(whole, known) == expected


LATER = on_record(WANTED, production=Production(image=IMAGE, sha="c" * 40, revision="", item="pear"))


@pytest.mark.parametrize(
    ("found", "expected"),
    [(False, "intends Production"), (True, "-> done"), (UNKNOWN, "waits Forge")],
    ids=["an earlier one", "a later one", "nobody can tell"],
)
def test_commit_is_deployed_only_over_an_earlier_one(found: Fact[bool], expected: str) -> None:
    assert decide_row(item(Stage.DEPLOY), facts(merge_in_production=found), of=LATER) == expected


def test_commit_that_went_to_production_with_a_later_one_is_done_with_its_revision() -> None:
    later = on_record(WANTED, production=Production(image=IMAGE, sha="c" * 40, revision="r9", item="pear"))
    action = decided(item(Stage.DEPLOY), facts(merge_in_production=True), of=later)
    assert isinstance(action, Settle)
    assert (action.status.stage, action.status.revision, action.status.transition) == (Stage.DONE, "r9", None)
    assert "deployed with cccccccccccc of pear" in action.notes[0].text


def test_commit_whose_own_deploy_failed_is_not_done_with_a_later_one() -> None:
    failed = item(Stage.DEPLOY, gates=(gate("deploy_status", passed=False),))
    assert decide_row(failed, facts(merge_in_production=True), of=LATER) == "Stalled DeployFailed"


def test_deploy_that_passed_replaces_an_earlier_one_on_record() -> None:
    action = decided(at_work(Effect.PRODUCTION), facts(effect_job=job(), merge_in_production=False), of=LATER)
    assert isinstance(action, Amend)
    assert action.replaces == LATER.status.production


def test_deploy_that_passed_waits_while_nobody_can_tell_whether_a_later_one_is_on_record() -> None:
    status = deployed(facts(effect_job=job(), merge_in_production=UNKNOWN), of=LATER)
    assert status.transition is not None
    assert status.waiting is not None
    assert status.waiting.reason == WaitingReason.FORGE


def test_deploy_beside_a_later_one_is_stalled_with_its_word_on_record() -> None:
    status = deployed(facts(effect_job=job(), merge_in_production=True), of=LATER)
    word = status.gate("deploy_status")
    assert (status.transition, status.stage, status.stalled) == (None, Stage.DEPLOY, StalledReason.DEPLOY_FAILED)
    assert word is not None
    assert word.passed


def test_what_was_deployed_replaces_nothing_that_came_meanwhile() -> None:
    mine, pear = Production(image=IMAGE, sha=HEAD, revision=HEAD, item="shop-et-17"), LATER.status.production
    assert amended(LATER.status, Amend(production=mine, replaces=None)).production == pear
    assert amended(LATER.status, Amend(production=mine, replaces=pear)).production == mine


@pytest.mark.parametrize("effect", [Effect.PRODUCTION, Effect.ROLLBACK])
@pytest.mark.parametrize("phase", ["Prepared", "Unknown"])
def test_deploy_keeps_its_leases_even_parked_and_the_merges_are_free(effect: Effect, phase: str) -> None:
    whole = at_work(effect, phase=phase, lease_used=True)
    assert kept(whole, enabled=True) == {f"transition-{whole.metadata.uid}", "deploy-shop"}


def test_commit_that_ours_stands_on_is_known_to_be_earlier() -> None:
    before = on_record(WANTED, production=Production(image=IMAGE, sha=BASE, revision="", item="before"))
    assert decide_row(item(Stage.DEPLOY), facts(merge_in_production=UNKNOWN), of=before) == "intends Production"
