"""The deploy of what was merged: its intent, and what is on record once it has passed."""

from __future__ import annotations

import pytest

from conveyor.api.objects import Repository, WorkItem
from conveyor.api.repository import Production
from conveyor.api.stages import Stage
from conveyor.api.workitem import Effect, WorkItemStatus
from conveyor.pipeline.actions import Amend
from conveyor.pipeline.case import Facts
from conveyor.pipeline.facts import Fact
from tests.unit.pipeline.builders import (
    BASE,
    HEAD,
    IMAGE,
    UNKNOWN,
    decided,
    facts,
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
    [(False, "intends Production"), (True, "Stalled DeployFailed"), (UNKNOWN, "waits Forge")],
    ids=["an earlier one", "a later one", "nobody can tell"],
)
def test_commit_is_deployed_only_over_an_earlier_one(found: Fact[bool], expected: str) -> None:
    assert decide_row(item(Stage.DEPLOY), facts(merge_in_production=found), of=LATER) == expected


def test_commit_that_ours_stands_on_is_known_to_be_earlier() -> None:
    before = on_record(WANTED, production=Production(image=IMAGE, sha=BASE, revision="", item="before"))
    assert decide_row(item(Stage.DEPLOY), facts(merge_in_production=UNKNOWN), of=before) == "intends Production"
