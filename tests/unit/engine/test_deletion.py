"""An item deleted after every single write of its way: nothing is left of it, and no effect was there twice.

| the process | after the deletion |
|---|---|
| lives | does what is to be done |
| dies with the deletion | another one does it |
| dies with the deletion, and after each of its writes from then on | many do it together |
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from conveyor.api.annotations import RESULT_FINALIZER
from conveyor.cluster.protocol import JSONObject, Key, Kind
from tests.fakes.memory_store import JOBS, LEASES
from tests.unit.engine.picks import picks
from tests.unit.engine.rig import DEPLOY, NAMESPACE, SHOP, TRACKER, Rig

ITEM = Key(NAMESPACE, "shop-et-17")
TICKET = "ticket-17"
PODS: JSONObject = {"template": {"spec": {"containers": [{"name": "main", "image": "main:1"}]}}}


def whole_way(**spec: Any) -> Rig:
    rig = Rig()
    rig.repository(tracker=TRACKER, **spec)
    rig.tracker.add(17, "A cart", state="To Analyse")
    return rig


def with_jobs() -> Rig:
    """The same with image and staging."""
    gates = {"approval": {"analysis": "Auto", "deploy": "Auto"}, "image": {"enabled": True, **PODS}}
    return whole_way(gates=gates, staging=PODS)


def failing() -> Rig:
    """A deploy that fails, the freeze and the rollback after it; a person has to look at the rest."""
    rig = whole_way(deploy=DEPLOY | {"rollbackTemplate": PODS["template"], "onFailure": "Hold"})
    before = {"image": "registry.test/cart@sha256:" + "0" * 64, "sha": "b" * 40, "item": "before"}
    rig.cluster.store.set_status(Kind.REPOSITORY, SHOP, {"production": before})
    rig.crew.exits = {"Production": [1]}
    return rig


async def count_writes(begin: Callable[[], Rig]) -> int:
    rig = begin()
    await rig.run(until=600)
    assert rig.is_ended(ITEM) or rig.condition(ITEM, "Stalled", Kind.WORKITEM)[0] == "True", rig.waiting(ITEM)
    return rig.writes


class Deleted:
    """One item that is deleted after its n-th write, with what is known of it then and in the end."""

    def __init__(self, rig: Rig, number: int, *, deaths: tuple[int, ...] = ()) -> None:
        self.rig, self.found = rig, False
        self.last: JSONObject = {}
        rig.at_write[number] = lambda: self._delete(deaths)
        tell = rig.cluster.store.on_change

        def listen(kind: str, event: str, obj: JSONObject) -> None:
            if kind == Kind.WORKITEM and obj["metadata"].get("uid") == self.uid and event != "DELETED":
                self.last = obj
            assert tell is not None
            tell(kind, event, obj)

        rig.cluster.store.on_change = listen

    uid = ""

    def _delete(self, deaths: tuple[int, ...]) -> None:
        store = self.rig.cluster.store
        if (Kind.WORKITEM, ITEM) not in store.objects:
            return
        self.found, self.last = True, store.object(Kind.WORKITEM, ITEM)
        self.uid = self.last["metadata"]["uid"]
        store.delete(Kind.WORKITEM, ITEM)
        if deaths:
            self.rig.kill_after(*deaths)

    @property
    def is_there(self) -> bool:
        found = self.rig.cluster.store.objects.get((Kind.WORKITEM, ITEM), {"metadata": {}})
        return bool(found["metadata"].get("uid") == self.uid)

    async def end(self) -> None:
        for _ in range(200):
            await self.rig.run(until=20)
            if not self.is_there:
                return
        raise AssertionError(f"it stays: {self.last}")

    def began(self) -> bool:
        """Whether it got so far that its ticket has to be told."""
        status = self.last.get("status", {})
        return "transition" in status or status.get("stage", "created") != "created"

    def assert_nothing_is_left(self) -> None:
        store, rig = self.rig.cluster.store, self.rig
        held = [key for key in store.keys(JOBS) if RESULT_FINALIZER in held_by(store.object(JOBS, key), self.uid)]
        assert held == []
        assert [key for key in store.keys(LEASES) if self.uid in str(store.object(LEASES, key))] == []
        most = Counter(effect[:2] for effect in rig.forge.calls.effects if effect[0] != "comment")
        assert set(most.values()) <= {1}
        assert len(rig.jobs) == len(set(rig.jobs))
        assert rig.told.violations == []
        assert rig.told.failures == []

    def assert_ticket_is_told(self) -> None:
        state = self.rig.tracker.tickets[TICKET].state_id
        said = [comment.text for comment in self.rig.tracker.said.get(TICKET, []) if "was deleted" in comment.text]
        if self.last.get("status", {}).get("stage") == "done":
            assert (state, said) == ("Done", [])
        elif self.began():
            assert (state, len(said)) == ("Blocked", 1)
        else:
            assert said == []


def held_by(job: JSONObject, uid: str) -> list[str]:
    mine = job["metadata"]["labels"].get("conveyor.dev/workitem-uid") == uid
    return list(job["metadata"].get("finalizers") or []) if mine else []


AFTERWARDS = pytest.mark.parametrize(
    "deaths", [(), (1,), (1,) * 200], ids=["it lives", "it dies once", "it dies again and again"]
)


async def delete_after(begin: Callable[[], Rig], number: int, deaths: tuple[int, ...]) -> None:
    rig = begin()
    deleted = Deleted(rig, number, deaths=deaths)
    await rig.run(until=600)
    if not deleted.found:
        return
    await deleted.end()
    rig.kill_after(10**9)
    await rig.run(until=120)
    deleted.assert_nothing_is_left()
    deleted.assert_ticket_is_told()


WAYS = pytest.mark.parametrize("begin", [whole_way, with_jobs, failing])


@AFTERWARDS
@WAYS
async def test_item_deleted_now_and_then_on_its_way_leaves_nothing_behind(
    begin: Callable[[], Rig], deaths: tuple[int, ...]
) -> None:
    for number in range(3, await count_writes(begin), 9):
        await delete_after(begin, number, deaths)


@pytest.mark.long
@pytest.mark.slow
@AFTERWARDS
@WAYS
async def test_item_deleted_after_any_write_of_its_way_leaves_nothing_behind(
    begin: Callable[[], Rig], deaths: tuple[int, ...]
) -> None:
    for number in picks(range(1, await count_writes(begin) + 1), count=8):
        await delete_after(begin, number, deaths)
