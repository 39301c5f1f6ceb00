"""One who sleeps between its last look and its request, and wakes after another went on in its place.

| who | how the other comes to go on |
|---|---|
| a process that sleeps | its pod is deleted by force; its Lease is not renewed; its container is replaced |
| a process whose clock is an hour wrong | the same |
| a process that knows the item by an old cache | the same, and it begins a pass of its own |
"""

from collections.abc import Mapping

import pytest

from tests.fakes.gates import Fate, Request
from tests.fakes.memory_store import LEASES
from tests.unit.engine import starts
from tests.unit.engine.operators import Operator, Operators
from tests.unit.engine.starts import CART

EFFECTS: Mapping[str, tuple[str, str]] = {
    "merge": ("to be merged", "merge"),
    "rebase": ("behind its base", "update_by_rebase"),
    "deploy": ("to be deployed", "create_job"),
    "deploy that begins": ("to be deployed", "start_job"),
    "rollback": ("its deploy failed", "create_job"),
    "rollback that begins": ("its deploy failed", "start_job"),
}
EACH = pytest.mark.parametrize("effect", EFFECTS)


async def asleep(effect: str) -> tuple[Operators, Operator]:
    """An operator that has looked a last time, and has not sent yet."""
    start, verb = EFFECTS[effect]
    world = starts.begin(start)
    world.crew.coverage = 81.5
    sleeper = await world.start()

    def is_it(request: Request) -> bool:
        return request.verb == verb

    for _ in range(12):
        world.begin(sleeper, sleeper.work, sleeper.process.items.reconcile(CART))
        if await world.go_on_to(sleeper, sleeper.work, is_it):
            sleeper.watches, sleeper.sleeps = False, True
            return world, sleeper
    raise AssertionError("it never comes to that")


async def overtaken(world: Operators, sleeper: Operator, how: str) -> Operator:
    if how == "its container is replaced":
        return await world.start(in_pod_of=sleeper)
    if how == "its pod is deleted by force":
        world.certify(sleeper)
    return await world.start()


HOWS = ("its pod is deleted by force", "its term is over", "its container is replaced")


@EACH
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("hours", [0, -1, 1], ids=["", "an hour late", "an hour early"])
async def test_sleeper_that_wakes_after_the_takeover_does_nothing_twice(effect: str, how: str, hours: int) -> None:
    world, sleeper = await asleep(effect)
    world.jump(sleeper, hours=hours)
    other = await overtaken(world, sleeper, how)
    await world.carry(lambda: world.is_ended(CART), other)
    assert world.stage(CART) == "done"
    sleeper.sleeps = False
    await world.go_on(sleeper, sleeper.work)
    await world.do(sleeper, sleeper.work, sleeper.process.items.reconcile(CART))
    await world.carry(lambda: False, until=200)
    assert_nothing_twice(world)


@EACH
async def test_sleeper_that_wakes_just_after_the_takeover_does_nothing_twice(effect: str) -> None:
    world, sleeper = await asleep(effect)
    holder = world.status(CART)["transition"]["holder"]
    world.certify(sleeper)
    other = await world.start()
    await world.carry(lambda: world.status(CART)["transition"]["holder"] != holder, other)
    sleeper.sleeps = False
    await world.go_on(sleeper, sleeper.work)
    await world.carry(lambda: world.is_ended(CART), other)
    assert world.stage(CART) == "done"
    await world.carry(lambda: False, other, until=200)
    assert_nothing_twice(world)


@EACH
async def test_old_cache_after_the_takeover_sends_nothing_and_takes_no_lease_away(effect: str) -> None:
    """It decides by what it knew, and is stopped by its last look."""
    world, sleeper = await asleep(effect)
    await world.go_on(sleeper, sleeper.work, requests=1, fate=Fate.LOST)
    await world.go_on(sleeper, sleeper.work)
    holder = world.status(CART)["transition"]["holder"]
    world.certify(sleeper)
    other = await world.start()
    await world.carry(lambda: world.status(CART)["transition"]["holder"] != holder, other)
    for _ in range(3):
        await world.do(sleeper, sleeper.work, sleeper.process.items.reconcile(CART))
    await world.do(sleeper, sleeper.keeping, sleeper.process.leases.release_all())
    assert world.audit.offences == []
    await world.kill(sleeper)
    await world.carry(lambda: world.is_ended(CART), other)
    await world.carry(lambda: False, other, until=200)
    assert_nothing_twice(world)


def assert_nothing_twice(world: Operators) -> None:
    assert (world.audit.offences, world.told.violations, world.told.failures) == ([], [], [])
    assert world.cluster.store.keys(LEASES) == []
