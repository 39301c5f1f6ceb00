"""An item whose ticket nobody started is deleted; the ticket may be started while the request for that travels.

| when it is started | and |
|---|---|
| the DELETE was given up, and lands late | the item is under way by then |
| another process carries the item on | the one that discards it knows it by an old cache |
| the DELETE is on its way | the webhook is lost, or came: the poll saw the item still |
"""

import pytest

from conveyor.cluster.protocol import JSONObject, Key, Kind
from tests.fakes.gates import Fate
from tests.unit.engine.operators import Operator, Operators
from tests.unit.engine.rig import NAMESPACE, SHOP, TRACKER, Rig

ITEM = Key(NAMESPACE, "shop-et-17")


def ingress_makes_the_item(rig: Rig) -> None:
    source = {
        "tracker": "Plane",
        "projectID": TRACKER["projectID"],
        "issueID": "ticket-17",
        "key": "ET-17",
        "url": "https://plane.test/17",
    }
    rig._create("WorkItem", Kind.WORKITEM, ITEM.name, {"repositoryRef": {"name": "shop"}, "source": source})


def webhook_of_the_ticket(rig: Rig) -> None:
    hint: JSONObject = {"metadata": {"annotations": {"hint.conveyor.dev/ticket": "t1"}}}
    rig.cluster.store.edit(Kind.WORKITEM, ITEM, hint)


async def ready(*, state: str) -> tuple[Operators, Operator]:
    world = Operators()
    world.repository(tracker=TRACKER)
    world.tracker.add(17, "A cart", state=state)
    operator = await world.start()
    await world.carry(lambda: world.condition(SHOP)[0] == "True", operator, until=600)
    ingress_makes_the_item(world)
    return world, operator


async def to_the_deletion(world: Operators, operator: Operator) -> None:
    """It has decided, and is about to send."""
    for _ in range(8):
        world.begin(operator, operator.work, operator.process.items.reconcile(ITEM))
        if await world.go_on_to(operator, operator.work, lambda request: request.verb == "delete"):
            return
    raise AssertionError("it never comes to that")


async def test_late_deletion_leaves_an_item_that_was_begun_since() -> None:
    world, operator = await ready(state="Backlog")
    await to_the_deletion(world, operator)
    await world.go_on(operator, operator.work, requests=1, fate=Fate.LATE)
    await world.go_on(operator, operator.work)
    world.tracker.move("ticket-17", "To Analyse")
    webhook_of_the_ticket(world)
    await world.carry(lambda: world.stage(ITEM) == "development", operator)
    (late,) = world.gate.late
    assert late.verb == "delete"
    assert late.land is not None
    late.land()
    await world.carry(lambda: False, operator, until=3600)
    assert world.cluster.store.keys(Kind.WORKITEM) == [ITEM]
    assert world.stage(ITEM) == "done"


async def test_old_cache_deletes_no_item_that_another_carries_on() -> None:
    world, sleeper = await ready(state="To Analyse")
    await world.do(sleeper, sleeper.work, sleeper.process.items.reconcile(ITEM))
    world.begin(sleeper, sleeper.work, sleeper.process.items.reconcile(ITEM))
    await world.go_on(sleeper, sleeper.work, requests=0)
    sleeper.watches, sleeper.sleeps = False, True
    other = await world.start()
    await world.carry(lambda: world.stage(ITEM) == "development", other)
    await world.go_on(sleeper, sleeper.work)
    await world.carry(lambda: False, other, until=3600)
    assert world.cluster.store.keys(Kind.WORKITEM) == [ITEM]
    assert world.stage(ITEM) == "done"


@pytest.mark.parametrize("webhook", [False, True], ids=["webhook lost", "webhook came"])
async def test_ticket_started_while_its_item_is_deleted_is_carried_out(webhook: bool) -> None:
    world, operator = await ready(state="Backlog")
    await to_the_deletion(world, operator)
    world.tracker.move("ticket-17", "To Analyse")
    if webhook:
        webhook_of_the_ticket(world)
    await world.do(operator, operator.keeping, operator.process.poll.round())  # a task of its own: it sees the item
    await world.go_on(operator, operator.work)
    await world.carry(lambda: False, operator, until=3600)
    assert world.cluster.store.keys(Kind.WORKITEM) == [ITEM]
    assert world.stage(ITEM) == "done"
