"""What counts as resting is what a pass would leave alone, in every situation that decisions are tried in."""

from collections.abc import Iterator

import pytest

from conveyor.api.annotations import REQUEST_PREFIX, TRANSITION_FINALIZER
from conveyor.api.objects import WorkItem
from conveyor.api.stages import TERMINAL, Stage
from conveyor.api.workitem import Effect, Monitor
from conveyor.cluster.protocol import Kind
from conveyor.engine.records import item_record
from conveyor.engine.resting import rests
from conveyor.pipeline.actions import Settle
from conveyor.pipeline.case import Case, with_status
from conveyor.pipeline.decide import decide
from conveyor.pipeline.orphaned import decide_without_repository
from tests.quick import thinned
from tests.unit.engine.rig import Rig
from tests.unit.pipeline.builders import NOW, active_run, item, orphan, transition
from tests.unit.pipeline.situations import cases_in


def is_at_rest(whole: WorkItem) -> bool:
    obj = whole.dump()
    return rests(whole.status.stage, obj["metadata"], obj["status"])


def brought_to_rest(stage: Stage) -> Iterator[tuple[str, Case]]:
    """Each situation as the next pass finds it, where that is at rest."""
    for name, case in thinned(cases_in(stage)):
        action = decide(case)
        if isinstance(action, Settle) and is_at_rest(with_status(case, action.status).item):
            yield name, with_status(case, action.status)


@pytest.mark.parametrize("stage", sorted(TERMINAL))
def test_pass_over_what_rests_changes_nothing(stage: Stage) -> None:
    found = dict(brought_to_rest(stage))
    assert found
    for name, case in found.items():
        kept = Settle(case.status)
        assert decide(case) == kept, name
        assert decide_without_repository(orphan(case.item), "none") == kept, name


def at_the_end(stage: Stage = Stage.DONE) -> WorkItem:
    """As its last pass leaves it."""
    _, case = next(iter(cases_in(stage)))
    action = decide(case)
    assert isinstance(action, Settle)
    return with_status(case, action.status).item


def changed(whole: WorkItem, part: str, **update: object) -> WorkItem:
    return whole.model_copy(update={part: getattr(whole, part).model_copy(update=update)})


UNFROZEN = at_the_end().status.conditions
FROZEN = UNFROZEN[0].model_copy(update={"type": "Frozen"})
PULL = item(Stage.REVIEW).status.pull_request
CLOSER: dict[str, WorkItem] = {
    "is being deleted": changed(at_the_end(), "metadata", deletion_timestamp=NOW),
    "is still held": changed(at_the_end(), "metadata", finalizers=(TRANSITION_FINALIZER,)),
    "is asked for something": changed(at_the_end(), "metadata", annotations={f"{REQUEST_PREFIX}retry": "1"}),
    "has a newer spec": changed(at_the_end(), "metadata", generation=7),
    "has an intent": changed(at_the_end(), "status", transition=transition(Effect.MERGE)),
    "has a run": changed(at_the_end(), "status", active_run=active_run(Stage.REVIEW)),
    "is watched": changed(at_the_end(), "status", monitor=Monitor(until_time=NOW, verdict="Watching")),
    "is shown as frozen": changed(at_the_end(), "status", conditions=(*UNFROZEN, FROZEN)),
    "lacks a condition": changed(at_the_end(), "status", conditions=UNFROZEN[1:]),
    "may be merged": changed(at_the_end(Stage.CANCELLED), "status", pull_request=PULL),
}


@pytest.mark.parametrize("whole", CLOSER.values(), ids=CLOSER)
def test_item_that_has_ended_is_looked_at_closer_where_it(whole: WorkItem) -> None:
    assert not is_at_rest(whole)


@pytest.mark.parametrize("stage", sorted(TERMINAL))
def test_item_as_its_last_pass_leaves_it_rests(stage: Stage) -> None:
    assert is_at_rest(at_the_end(stage))


async def test_item_that_was_carried_to_its_end_rests() -> None:
    rig = Rig()
    rig.repository()
    item = rig.item()
    await rig.run(until=20_000)
    assert item_record(rig.cluster.store.object(Kind.WORKITEM, item)).rests
