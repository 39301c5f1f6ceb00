"""What ends before an item is moved from outside: run and effect Job are stopped, and known to be gone."""

import pytest

from conveyor.api.stages import Stage
from conveyor.api.workitem import Effect, TransitionJob
from conveyor.pipeline.actions import Settle, StopEffect, StopRun
from conveyor.pipeline.facts import Fact, JobFact, JobState
from conveyor.pipeline.superseding import end_first, superseded
from tests.unit.pipeline.builders import MISSING, UNKNOWN, active_run, case, facts, item, job, settled, transition

IMAGE = transition(Effect.IMAGE, job=TransitionJob(name="shop-et-17-image-0123456789", uid="job-uid"))
PODS_LEFT = JobFact(JobState.DELETING)
"""The Job is gone, and a pod of it works on."""
GONE: list[tuple[str, Fact[JobFact], bool]] = [
    ("not there", MISSING, True),
    ("at its end", job(), True),
    ("somebody else's", job(JobState.ACTIVE, item_uid="another"), True),
    ("at work", job(JobState.ACTIVE), False),
    ("being deleted", job(JobState.DELETING), False),
    ("deleted, with a pod left", PODS_LEFT, False),
    ("not to be read", UNKNOWN, False),
]


@pytest.mark.parametrize(("found", "gone"), [row[1:] for row in GONE], ids=[row[0] for row in GONE])
def test_a_run_is_stopped_until_its_job_is_known_to_be_gone(found: Fact[JobFact], gone: bool) -> None:
    whole = item(Stage.REVIEW, active_run=active_run(Stage.REVIEW))
    first = end_first(case(whole, facts(run_job=found)), "enough")
    assert isinstance(first, StopRun) is not gone
    assert (first is None) is gone


@pytest.mark.parametrize(("found", "gone"), [row[1:] for row in GONE], ids=[row[0] for row in GONE])
def test_an_effect_job_is_stopped_until_it_is_known_to_be_gone(found: Fact[JobFact], gone: bool) -> None:
    whole = item(Stage.DEPLOY_STAGING, transition=IMAGE)
    first = end_first(case(whole, facts(effect_job=found)), "enough")
    assert isinstance(first, StopEffect) is not gone
    assert (first is None) is gone


def test_an_intent_without_a_job_needs_nothing_to_be_stopped() -> None:
    whole = item(Stage.DEVELOPMENT, transition=transition(Effect.OPEN_PULL_REQUEST))
    assert end_first(case(whole, facts(effect_job=UNKNOWN)), "enough") is None


def test_an_intent_that_is_given_up_is_told_to_people() -> None:
    whole = item(Stage.DEVELOPMENT, transition=transition(Effect.OPEN_PULL_REQUEST), spec={"cancel": True})
    (note,) = superseded(case(whole), "spec.cancel is set")
    assert note.text == "OpenPullRequest 0123456789abcdef is given up: spec.cancel is set"
    assert note in settled(whole).notes


def test_nothing_is_told_where_nothing_is_given_up() -> None:
    action = settled(item(Stage.REVIEW, spec={"cancel": True}))
    assert isinstance(action, Settle)
    assert [note.reason for note in action.notes] == ["StageAdvanced"]
