"""Five who want to move the same item, in every order: one write wins each version, no effect twice, the same end.

Run monitor, a ticket's verdict, sweep, reaper and deploy finalizer are each a process of its own. All decide on the
same version of the item; each is held up at its write, and the writes land in every order.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from itertools import permutations
from typing import Any

import pytest

from conveyor.cluster.protocol import Key, Kind
from tests.fakes.gates import Request
from tests.fakes.memory_store import JOBS, LEASES
from tests.unit.engine.operators import Operator, Operators
from tests.unit.engine.picks import picks
from tests.unit.engine.rig import NAMESPACE, TRACKER

ITEM = Key(NAMESPACE, "shop-et-17")
PERSON = {"approval": {"analysis": "Auto", "deploy": "Auto"}}
ORDERS = list(permutations(range(5)))
Act = Callable[[Operators, Operator], Coroutine[Any, Any, object]]


async def run_monitor(world: Operators, operator: Operator) -> None:
    """The watch tells of the Job's end."""
    for key in world.cluster.store.keys(JOBS):
        operator.process.hub.job_seen(world.cluster.store.object(JOBS, key))
    await operator.process.items.reconcile(ITEM)


async def verdict(_: Operators, operator: Operator) -> None:
    await operator.process.poll.round()
    operator.process.hub.ticket_changed(ITEM)
    await operator.process.items.reconcile(ITEM)


async def sweep(_: Operators, operator: Operator) -> None:
    await operator.process.resync.once()
    await operator.process.items.reconcile(ITEM)


async def reaper(_: Operators, operator: Operator) -> None:
    await operator.process.reaper.round()
    await operator.process.items.reconcile(ITEM)


async def finalizer(_: Operators, operator: Operator) -> None:
    await operator.process.items.reconcile(ITEM)


ACTORS: tuple[Act, ...] = (run_monitor, verdict, sweep, reaper, finalizer)


def is_the_write(request: Request) -> bool:
    return request.verb == "patch_status"


def run_has_ended(world: Operators) -> bool:
    run = world.status(ITEM).get("activeRun") if world.is_open(ITEM, "activeRun") else None
    return run is not None and run["role"] == "tester"


def deploy_has_ended(world: Operators) -> bool:
    transition = world.status(ITEM).get("transition") or {} if world.is_open(ITEM, "transition") else {}
    return transition.get("effect") == "Production" and bool((transition.get("job") or {}).get("uid"))


Moment = tuple[Callable[[Operators], bool], str, int]
MOMENTS: Mapping[str, Moment] = {
    "a run has ended": (run_has_ended, "tester", 0),
    "a deploy has ended": (deploy_has_ended, "Production", 0),
    "a deploy has failed": (deploy_has_ended, "Production", 1),
}


async def at(moment: Moment) -> Operators:
    """Five processes whose caches have the same version of the item; its Job has just ended, its ticket was moved."""
    is_there, job, code = moment
    world = Operators(transition_lease=False)
    world.repository(tracker=TRACKER, gates=PERSON)
    world.tracker.add(17, "A cart", state="To Analyse")
    world.crew.keeps = frozenset({job})
    maker = await world.start()
    await world.carry(lambda: is_there(world) and not _is_due(world, maker), until=3600)
    assert is_there(world)
    await world.kill(maker)
    world.crew.keeps = frozenset()
    world.crew.exits["Production"] = [code]
    world.crew.work()
    world.tracker.move("ticket-17", "Rejected")
    for _ in ACTORS:
        await world.start()
    return world


def _is_due(world: Operators, operator: Operator) -> bool:
    return operator.process.next_due() <= world.seconds()


async def race(moment: Moment, order: tuple[int, ...]) -> tuple[Operators, int]:
    """The world after all have written, and how many of the writes that were held up won."""
    world = await at(moment)
    actors = world.living()
    for operator, act in zip(actors, ACTORS, strict=True):
        world.begin(operator, operator.work, act(world, operator))
        await world.go_on_to(operator, operator.work, is_the_write)
    before = len(world.cluster.writes_of("patch_status"))
    ready = [number for number in order if actors[number].work.held]
    for number in ready:
        await world.go_on(actors[number], actors[number].work, requests=1)
    won = len(world.cluster.writes_of("patch_status")) - before
    assert len(ready) > 1, "nobody races"
    for operator in actors:
        await world.go_on(operator, operator.work)
    return world, won


def end_of(world: Operators) -> tuple[object, ...]:
    """What the races' ends are compared by."""
    kinds = sorted(job.removeprefix(f"{ITEM.name}-").split("-")[0] for job in world.jobs)
    effects = [effect[0] for effect in world.forge.calls.effects]
    return world.stage(ITEM), world.condition(ITEM, "Stalled", Kind.WORKITEM)[1], kinds, effects


@pytest.mark.parametrize("name", MOMENTS)
def test_five_in_any_order_win_once_and_come_to_the_same_end(name: str) -> None:
    ends: list[tuple[object, ...]] = []
    for number in picks(range(len(ORDERS)), count=5):
        ends.append(asyncio.run(_raced(MOMENTS[name], ORDERS[number])))
        assert ends[-1] == ends[0], ORDERS[number]


async def _raced(moment: Moment, order: tuple[int, ...]) -> tuple[object, ...]:
    world, won = await race(moment, order)
    assert won == 1
    for operator in world.living()[1:]:
        await world.kill(operator)
    await world.carry(lambda: world.is_ended(ITEM) or bool(end_of(world)[1]), until=3600)
    await world.carry(lambda: False, until=120)
    assert world.audit.offences == []
    assert (world.told.violations, world.told.failures) == ([], [])
    assert world.cluster.store.keys(LEASES) == []
    return end_of(world)
