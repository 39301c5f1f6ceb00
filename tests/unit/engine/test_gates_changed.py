"""A Repository whose gates are changed while an item is under way."""

from conveyor.cluster.protocol import JSONObject, Key, Kind
from tests.fakes.memory_store import JOBS
from tests.unit.engine.rig import SHOP, Rig
from tests.unit.engine.starts import GATES, POD

WITH_IMAGE: JSONObject = {"approval": GATES["approval"], "image": GATES["image"]}


def now_wanted(rig: Rig, **gates: JSONObject) -> None:
    rig.cluster.store.edit(Kind.REPOSITORY, SHOP, {"spec": {"gates": gates}})


def image_given(rig: Rig, kind: str) -> str:
    """What the Job of this kind was told to work with."""
    key: Key = next(key for key in rig.cluster.store.keys(JOBS) if kind in key.name)
    container = rig.cluster.store.object(JOBS, key)["spec"]["template"]["spec"]["containers"][0]
    return str({entry["name"]: entry["value"] for entry in container["env"]}["CONVEYOR_IMAGE"])


async def test_image_of_an_earlier_head_is_not_deployed_once_none_is_built_any_more() -> None:
    rig = Rig()
    rig.repository(gates=WITH_IMAGE, staging={"template": POD})
    item = rig.item()
    rig.crew.exits["Staging"] = [1]  # it goes back to development, and a new head comes of it
    built: list[str] = []

    def failed() -> None:
        built.append(rig.status(item)["image"])
        now_wanted(rig, image={"enabled": False})

    rig.crew.then["Staging"] = [failed]
    await rig.run(item)
    assert rig.stage(item) == "done"
    assert built
    assert image_given(rig, "production") == ""


async def test_person_who_is_to_approve_from_now_on_is_asked_of_what_went_by_itself_before() -> None:
    rig = Rig()
    rig.repository(gates=WITH_IMAGE)
    item = rig.item()
    rig.crew.then["Image"] = [lambda: now_wanted(rig, approval={"deploy": "Person"})]
    await rig.run(item, until=36000)
    assert (rig.stage(item), rig.waiting(item)[0]) == ("deploy-staging", "Approval")
    assert "merge" not in [effect[0] for effect in rig.forge.calls.effects]
