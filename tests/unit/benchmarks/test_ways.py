"""The objects that move in each way, and what the operator's process is told of them."""

from benchmarks import population
from benchmarks.ways import OURS, RAW, Way
from conveyor.api.stages import Stage

MIXED = Way(Stage.TESTING, 2, moving=3, resting=42)


async def test_among_items_at_rest_one_of_each_repository_can_move() -> None:
    ours, _ = await MIXED.objects()

    movers = [item for item in ours.items if population.is_mover(int(item["metadata"]["name"].removeprefix("shop-")))]

    assert [item["spec"]["repositoryRef"]["name"] for item in movers] == ["lane-0000", "lane-0001", "lane-0002"]
    assert {item["status"]["stage"] for item in movers} == {"testing"}
    assert all("source" not in item["spec"] for item in movers)


async def test_on_the_raw_side_the_same_items_move() -> None:
    ours, raw = await MIXED.objects()

    def moving(objects: population.Objects) -> list[object]:
        return [item | {"metadata": item["metadata"]["name"]} for item in objects.items]

    mine = population.only(ours, population.is_mover, namespace=OURS)
    assert (raw.namespace, moving(raw)) == (RAW, moving(mine))
    assert {item["metadata"]["namespace"] for item in raw.items} == {RAW}


def test_what_moves_is_kept_back_until_all_the_others_were_looked_at() -> None:
    assert MIXED.plan() == {"kept_back": "movers", "mood": "at rest", "items": 45, "transitions": 6}
    assert Way(Stage.TESTING, 2, moving=5).plan() == {"kept_back": "all", "items": 5, "transitions": 10}
