"""What benchmarks put into the store: whole objects, alike but for their numbers, which the operator leaves alone."""

import pytest

from benchmarks import naming, population
from benchmarks.outside import InstantJobs, Mood
from benchmarks.population import ITEMS_OF_A_LANE
from benchmarks.store import without_rules
from conveyor.api.objects import Repository, WorkItem
from conveyor.api.stages import Stage
from conveyor.cluster.protocol import JSONObject
from conveyor.pipeline.facts import JobState

ITEMS = 3 * ITEMS_OF_A_LANE


def stored(manifest: JSONObject) -> JSONObject:
    given = {"uid": "u", "resourceVersion": "1", "creationTimestamp": "2026-03-02T09:00:00Z"}
    return manifest | {"metadata": manifest["metadata"] | given}


async def test_at_rest_each_lane_has_one_item_under_way_and_most_have_ended() -> None:
    objects = await population.at_rest("shop", items=ITEMS)

    stages = [WorkItem.model_validate(stored(item)).status.stage for item in objects.items]

    assert [stages[place * ITEMS_OF_A_LANE] for place in range(3)] == [Stage.ANALYSIS, Stage.DEVELOPMENT, Stage.REVIEW]
    assert stages.count(Stage.DONE) == 30
    assert stages.count(Stage.CANCELLED) == 3
    assert stages.count(Stage.CREATED) == 9


async def test_what_is_under_way_at_rest_waits_for_somebody_outside() -> None:
    objects = await population.at_rest("shop", items=ITEMS)

    reasons = [objects.items[place * ITEMS_OF_A_LANE]["status"]["waiting"]["reason"] for place in range(3)]

    assert reasons == ["Approval", "CI", "Review"]
    assert population.mood_at_rest(naming.FIRST_NUMBER + ITEMS_OF_A_LANE) is Mood.CI_AT_WORK


async def test_unreviewed_items_wait_for_reviewers_in_repositories_without_serial_gate() -> None:
    objects = await population.unreviewed("shop", items=2)

    assert [item["status"]["waiting"]["reason"] for item in objects.items] == ["Review", "Review"]
    assert {repository["spec"]["serialGate"]["mode"] for repository in objects.repositories} == {"Disabled"}


async def test_every_repository_is_ready_and_has_its_first_item_active() -> None:
    objects = await population.at_rest("shop", items=ITEMS)

    for manifest in objects.repositories:
        ready = Repository.model_validate(stored(manifest)).status.condition("Ready")
        assert ready is not None
        assert ready.status == "True"
    assert objects.active == {"lane-0000": "shop-100000", "lane-0001": "shop-100015", "lane-0002": "shop-100030"}


async def test_at_work_each_item_names_itself_and_its_lane_alone() -> None:
    objects = await population.at_work("ours", items=2, stage=Stage.TESTING)

    status = WorkItem.model_validate(stored(objects.items[1])).status

    assert (status.stage, status.branch) == (Stage.TESTING, naming.branch(100_001))
    assert status.pull_request is not None
    assert (status.pull_request.number, status.head_sha) == (100_001, naming.head(100_001))
    assert str(naming.TEMPLATE_NUMBER) not in str(objects)
    assert naming.TEMPLATE_LANE not in str(objects)


async def test_the_same_objects_come_out_each_time() -> None:
    assert await population.at_rest("shop", items=ITEMS) == await population.at_rest("shop", items=ITEMS)


def test_a_number_is_found_in_all_that_belongs_to_an_item() -> None:
    texts = [naming.item(100_017), naming.key(100_017), naming.branch(100_017), naming.head(100_017)]

    assert [naming.number_in(text) for text in texts] == [100_017] * 4
    with pytest.raises(ValueError, match="no item's number"):
        naming.number_in(naming.BASE_SHA)


def test_a_run_that_was_not_created_is_missing_and_one_that_was_has_ended() -> None:
    jobs = InstantJobs()
    jobs.add("run-1", uid="u", token="t", number=100_000)

    assert jobs.get("run-1").state is JobState.ENDED
    assert jobs.get("run-2").state is JobState.MISSING


def test_rules_and_subresources_go_and_a_field_of_that_name_stays() -> None:
    crd = {
        "subresources": {"status": {}},
        "schema": {"x-kubernetes-validations": [{"rule": "true"}], "maxLength": 5, "enum": ["subresources"]},
    }

    assert without_rules(crd) == {"schema": {"maxLength": 5, "enum": ["subresources"]}}


async def test_in_line_one_item_of_each_lane_waits_for_a_person_and_all_others_for_it() -> None:
    objects = await population.in_line("shop", lanes=2, waiting=3)

    statuses = [WorkItem.model_validate(stored(item)).status for item in objects.items]
    reasons = [status.waiting.reason if status.waiting is not None else "" for status in statuses]

    assert reasons == ["Approval", "EarlierItem", "EarlierItem", "EarlierItem"] * 2
    assert objects.active == {"lane-0000": "shop-100000", "lane-0001": "shop-100004"}
