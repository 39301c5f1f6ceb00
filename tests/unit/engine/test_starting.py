"""A Job is made in the pass that puts it on record, and nothing that was seen before is taken for what is there now.

| what comes between | tests |
|---|---|
| nothing | the Job is there after one pass, a run's or an effect's, its uid on record |
| the death of the process | after the claim; after the Job was created |
| somebody else's write that is known by then | the run's, and any other write upon an old version |
| a start that cannot be made now | no Lease is held meanwhile |
"""

from collections.abc import Callable
from typing import Any

import pytest

from conveyor.api.objects import WorkItem
from conveyor.api.stages import Stage
from conveyor.cluster.protocol import Key, Kind
from conveyor.engine import standing
from tests.fakes.memory_cluster import Fault
from tests.fakes.memory_store import JOBS, LEASES
from tests.unit.engine.rig import Rig
from tests.unit.pipeline.builders import NOW, active_run, item

RUN = active_run(Stage.REVIEW)
CLAIM_AND_JOB = 2
STAGING: dict[str, Any] = {
    "gates": {"approval": {"analysis": "Auto", "deploy": "Auto"}},
    "staging": {"template": {"spec": {"containers": [{"name": "staging", "image": "staging:1"}]}}},
}


def shop(**spec: Any) -> tuple[Rig, Key]:
    rig = Rig()
    rig.repository(**spec)
    return rig, rig.item()


async def first_write_with(part: str) -> int:
    """Which of a process's writes puts this part on record."""
    rig, whole = shop()
    found: list[int] = []

    def look(number: int) -> Callable[[], object]:
        return lambda: found.append(number) if rig.is_open(whole, part) else None

    rig.at_write = {number: look(number) for number in range(1, 40)}
    await rig.run_until(lambda: bool(found))
    return found[0]


async def test_claimed_run_has_its_job_after_the_same_pass() -> None:
    rig, whole = shop()
    await rig.run_until(lambda: rig.is_open(whole, "activeRun"))
    run = rig.status(whole)["activeRun"]
    assert rig.jobs == [run["name"]]
    assert run["uid"]


async def test_effects_job_has_its_uid_on_record_after_the_pass_that_made_it_and_has_not_begun() -> None:
    rig, whole = shop()
    await rig.run_until(lambda: any("production" in name for name in rig.jobs))
    job = rig.status(whole)["transition"]["job"]
    made = rig.cluster.store.object(JOBS, Key(whole.namespace, job["name"]))
    assert job["uid"] == made["metadata"]["uid"]
    assert made["spec"]["suspend"] is True


@pytest.mark.parametrize("verb", ["create_job", "patch_status"])
async def test_effects_job_that_loses_a_race_for_its_uid_is_made_once(verb: str) -> None:
    """The answer to its creation is lost, or somebody else writes the item just before."""
    rig, whole = shop()
    await rig.run_until(lambda: rig.status(whole).get("transition", {}).get("effect") == "Production")
    rig.cluster.fail_next(verb, Fault.OVERTAKEN if verb == "patch_status" else Fault.ANSWER_LOST)
    await rig.run(whole)
    assert rig.stage(whole) == "done"
    assert len([name for name in rig.jobs if "production" in name]) == 1


@pytest.mark.parametrize("more", range(CLAIM_AND_JOB))
async def test_run_whose_claimer_dies_before_its_uid_is_on_record_is_made_once(more: int) -> None:
    claim = await first_write_with("activeRun")
    rig, whole = shop()
    rig.kill_after(claim + more)
    await rig.run(whole)
    assert rig.boots == 2
    assert rig.stage(whole) == "done"
    assert len([name for name in rig.jobs if "analyst" in name]) == 1


async def test_uid_goes_on_record_upon_what_was_heard_while_the_job_was_made() -> None:
    rig, whole = shop()
    rig.at_write[await first_write_with("activeRun") + 1] = lambda: heard(rig, whole)
    await rig.run_until(lambda: rig.is_open(whole, "activeRun"))
    assert rig.status(whole)["activeRun"]["uid"]
    assert [write for write in rig.cluster.writes if write.outcome == "lost"] == []


async def test_write_upon_a_version_that_is_known_to_be_old_is_not_sent() -> None:
    """Between the admission, which is put on record at the Repository, and the intent."""
    rig, whole = shop()
    rig.at_write[await first_write_with("transition") - 2] = lambda: heard(rig, whole)
    await rig.run(whole)
    assert rig.stage(whole) == "done"
    assert [write for write in rig.cluster.writes if write.outcome == "lost"] == []


def heard(rig: Rig, whole: Key) -> None:
    """The ingress leaves a hint, and the watch tells of it at once."""
    hint = {"metadata": {"annotations": {"hint.conveyor.dev/push": "a1"}}}
    assert rig.process is not None
    rig.process.seen(Kind.WORKITEM, "MODIFIED", rig.cluster.store.edit(Kind.WORKITEM, whole, hint))


async def test_no_lease_is_held_while_a_claimed_run_cannot_be_started() -> None:
    rig, whole = shop(**STAGING)
    rig.crew.exits = {"Staging": [1]}
    rig.crew.then["Staging"] = [lambda: rig.cluster.fail_next("create_job", Fault.RATE_LIMITED)]
    await rig.run_until(lambda: "attempts" in rig.status(whole) and rig.is_open(whole, "activeRun"))
    assert "uid" not in rig.status(whole)["activeRun"]
    assert rig.cluster.store.keys(LEASES) == []


@pytest.mark.parametrize(
    ("now", "claimed"),
    [
        pytest.param(item(Stage.REVIEW, active_run=RUN), True, id="as it was claimed"),
        pytest.param(item(Stage.REVIEW, active_run=None), False, id="the run is gone"),
        pytest.param(
            item(Stage.REVIEW, active_run=RUN.model_copy(update={"token": "f" * 32})), False, id="another run is there"
        ),
        pytest.param(item(Stage.REVIEW, active_run=RUN, deleted=NOW), False, id="somebody deletes it"),
    ],
)
def test_a_claim_stands_where_nothing_but_status_and_annotations_has_changed(now: WorkItem, claimed: bool) -> None:
    assert standing.has_run(now, RUN, before=item(Stage.REVIEW)) == claimed


@pytest.mark.parametrize("changed", [{"uid": "another"}, {"generation": 2}])
def test_a_claim_does_not_stand_for_another_spec_or_a_namesake(changed: dict[str, Any]) -> None:
    before, now = item(Stage.REVIEW), item(Stage.REVIEW, active_run=RUN)
    other = now.model_copy(update={"metadata": now.metadata.model_copy(update=changed)})
    assert not standing.has_run(other, RUN, before=before)
