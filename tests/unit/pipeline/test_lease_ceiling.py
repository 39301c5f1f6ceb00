"""When a Lease is held longer than anything may take, seen by another process than its holder's."""

from datetime import datetime, timedelta

import pytest

from conveyor.api.objects import WorkItem
from conveyor.api.stages import Stage
from conveyor.api.workitem import Effect
from conveyor.pipeline.lane import CLOCK_SKEW
from conveyor.pipeline.leases import is_overdue
from tests.unit.pipeline.builders import ENTERED, NOW, gate, item, transition

CEILING = 7200.0
LIMIT = timedelta(seconds=CEILING) + CLOCK_SKEW
LONG_AGO = ENTERED - timedelta(days=1)


def overdue(whole: WorkItem | None, acquired: datetime | None, *, now: datetime) -> bool:
    return is_overdue(whole, acquired, now=now, ceiling=CEILING)


RESTING = item(Stage.DEPLOY_STAGING, gates=())
STEPS = [
    ("it was taken", RESTING, NOW, NOW),
    ("the stage was entered", RESTING, LONG_AGO, ENTERED),
    ("a gate was looked at", item(Stage.DEPLOY_STAGING, gates=(gate("ci_green", checked_time=NOW),)), LONG_AGO, NOW),
    ("the item is gone", None, NOW, NOW),
]


@pytest.mark.parametrize(("whole", "acquired", "since"), [row[1:] for row in STEPS], ids=[row[0] for row in STEPS])
def test_ceiling_counts_from_the_last_step_on_record(
    whole: WorkItem | None, acquired: datetime, since: datetime
) -> None:
    assert not overdue(whole, acquired, now=since + LIMIT)
    assert overdue(whole, acquired, now=since + LIMIT + timedelta(seconds=1))


def test_lease_is_never_overdue_before_the_deadline_of_the_intent_on_record() -> None:
    late = transition(Effect.MERGE, deadline_time=NOW + timedelta(days=1))
    whole = item(Stage.DEPLOY_STAGING, gates=(), transition=late)
    assert not overdue(whole, LONG_AGO, now=NOW + timedelta(days=1))
    assert overdue(whole, LONG_AGO, now=NOW + timedelta(days=1) + CLOCK_SKEW + timedelta(seconds=1))


def test_lease_that_does_not_say_since_when_is_left_to_expire() -> None:
    assert not overdue(RESTING, None, now=NOW + timedelta(days=365))
