"""`retry` of an intent whose Job nobody could tell of: a new one only where the old Job can do nothing any more."""

from dataclasses import replace

import pytest

from conveyor.api.objects import WorkItem
from conveyor.api.workitem import Effect, StalledReason
from conveyor.pipeline.facts import Fact, JobFact, JobState
from tests.unit.pipeline.builders import MISSING, UNKNOWN, effect_job, facts, job, settled, stalled
from tests.unit.pipeline.effect_items import EACH, HELD, WANTED, at_work

DELETED = job(JobState.DELETING)
PODS_LEFT = JobFact(JobState.DELETING)
"""The Job is gone, and a pod of it works on."""
OVER: list[tuple[str, Fact[JobFact], bool]] = [
    ("gone", MISSING, True),
    ("suspended", HELD, False),
    ("at work", job(JobState.ACTIVE), False),
    ("suspended after it began", replace(HELD, unstarted=False), False),
    ("at its end", job(), False),
    ("at its end, and its pod is gone with its word", job(pod_gone=True), True),
    ("deleted before it began", replace(DELETED, unstarted=True), True),
    ("deleted, with no pod left", DELETED, True),
    ("deleted, and a pod works on", replace(DELETED, pods_at_work=True), False),
    ("gone, and a pod works on", PODS_LEFT, False),
    ("another of that name", replace(HELD, uid="another"), True),
    ("another item's of that name", replace(HELD, item_uid="another"), True),
    ("not to be read", UNKNOWN, False),
]


def retried(effect: Effect) -> WorkItem:
    whole = stalled(at_work(effect, phase="Unknown"), StalledReason.EFFECT_UNKNOWN)
    asked = {"annotations": {"request.conveyor.dev/retry": "1"}}
    return whole.model_copy(update={"metadata": whole.metadata.model_copy(update=asked)})


@EACH
@pytest.mark.parametrize(("found", "over"), [row[1:] for row in OVER], ids=[row[0] for row in OVER])
def test_intent_gives_way_only_once_its_job_is_over(effect: Effect, found: Fact[JobFact], over: bool) -> None:
    status = settled(retried(effect), facts(effect_job=found), of=WANTED).status
    kept = status.transition is not None and status.transition.job == effect_job(effect, uid="job-uid")
    assert (kept, status.stalled) == (not over, None)


@EACH
def test_intent_that_stays_is_looked_at_again(effect: Effect) -> None:
    intent = settled(retried(effect), facts(effect_job=HELD), of=WANTED).status.transition
    assert intent is not None
    assert intent.phase == "Prepared"
