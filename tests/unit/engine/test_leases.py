"""Leases of transitions: one owner at a time, replaced by proof or after their term, given up by their owner alone."""

import asyncio
from dataclasses import dataclass, field

import pytest

from conveyor.api.annotations import LABEL_WORKITEM
from conveyor.cluster.leases import LeaseRecord
from conveyor.cluster.protocol import JSONObject, Key, Won
from conveyor.engine.identity import Liveness
from conveyor.engine.leases import Claim, Held, HeldBy, Leases, Owner, Terms, Unsure
from tests.fakes.clock import ManualClock
from tests.fakes.memory_cluster import Fault, MemoryCluster
from tests.fakes.memory_store import LEASES
from tests.unit.engine.told import Told

MERGE = "merge-shop"
KEY = Key("team", MERGE)
CART, BASKET = Owner(Key("team", "cart"), "uid-cart", "shop"), Owner(Key("team", "basket"), "uid-basket", "shop")


@dataclass
class Hall:
    """Some processes before one API server. `lives` is what can be proven of each."""

    clock: ManualClock = field(default_factory=ManualClock)
    cluster: MemoryCluster = field(init=False)
    lives: dict[str, Liveness] = field(default_factory=dict)
    told: Told = field(default_factory=Told)
    seconds: float = 1000.0

    def __post_init__(self) -> None:
        self.cluster = MemoryCluster(self.clock)

    def process(self, name: str) -> Leases:
        return Leases(
            self.cluster,
            name,
            judge=self._judge,
            telemetry=self.told,
            clock=lambda: self.seconds,
            now=self.cluster.clock.now,
            terms=Terms(seconds=60, ceiling=7200),
        )

    async def _judge(self, lease: LeaseRecord) -> Liveness:
        return self.lives.get(lease.spec.holder.split("/")[0], Liveness.ALIVE)

    def wait(self, seconds: float) -> None:
        self.seconds += seconds
        self.clock.advance(seconds)

    def stored(self) -> list[str]:
        return [key.name for key in self.cluster.store.keys(LEASES)]

    def holder(self) -> str:
        """Empty: the Lease is gone."""
        found: JSONObject = self.cluster.store.objects.get((LEASES, KEY), {})
        return str(found.get("spec", {}).get("holderIdentity", ""))


@pytest.fixture
def hall() -> Hall:
    return Hall()


def kind(claim: Claim) -> str:
    return type(claim).__name__


async def test_free_lease_is_taken_and_names_its_item(hall: Hall) -> None:
    assert await hall.process("a").take(MERGE, CART) == Held()
    assert hall.holder() == "a/uid-cart"


async def test_lease_that_is_held_costs_no_request_to_take_again(hall: Hall) -> None:
    a = hall.process("a")
    await a.take(MERGE, CART)
    hall.cluster.fail_next("lease", Fault.UNAVAILABLE)
    hall.cluster.fail_next("update_lease", Fault.UNAVAILABLE)
    assert await a.take(MERGE, CART) == Held()


async def test_living_owner_keeps_it(hall: Hall) -> None:
    await hall.process("a").take(MERGE, CART)
    assert await hall.process("b").take(MERGE, BASKET) == HeldBy("a/uid-cart")


async def test_two_items_of_one_process_do_not_share_it(hall: Hall) -> None:
    a = hall.process("a")
    await a.take(MERGE, CART)
    assert await a.take(MERGE, BASKET) == HeldBy("a/uid-cart")


async def test_dead_owner_is_replaced_at_once(hall: Hall) -> None:
    await hall.process("a").take(MERGE, CART)
    hall.lives["a"] = Liveness.DEAD
    assert await hall.process("b").take(MERGE, CART) == Held()
    assert (hall.holder(), hall.told.takeovers) == ("b/uid-cart", ["Gone"])


async def test_lease_that_is_taken_over_for_another_item_names_that_one(hall: Hall) -> None:
    await hall.process("a").take(MERGE, CART)
    hall.lives["a"] = Liveness.DEAD
    await hall.process("b").take(MERGE, BASKET)
    [(_, lease)] = await hall.cluster.leases()
    assert lease.labels[LABEL_WORKITEM] == "basket"


async def test_lease_that_another_takes_over_first_is_not_ours(hall: Hall) -> None:
    a, b = hall.process("a"), hall.process("b")
    await a.take(MERGE, CART)
    hall.lives["a"] = Liveness.DEAD
    faster = {"spec": {"holderIdentity": "c/uid-basket"}}
    hall.cluster.overtake = lambda kind, key: hall.cluster.store.edit(kind, key, faster)
    hall.cluster.fail_next("update_lease", Fault.OVERTAKEN)
    assert kind(await b.take(MERGE, BASKET)) == "Unsure"
    assert (hall.holder(), b.all_held()) == ("c/uid-basket", [])


async def test_unknown_is_not_dead(hall: Hall) -> None:
    """Nor is it after a term in which it was renewed."""
    a, b = hall.process("a"), hall.process("b")
    await a.take(MERGE, CART)
    hall.lives["a"] = Liveness.UNKNOWN
    for _ in range(20):
        assert kind(await b.take(MERGE, BASKET)) == "HeldBy"
        hall.wait(10)
        await a.renew()
    assert hall.holder() == "a/uid-cart"


async def test_owner_that_renews_no_more_is_replaced_after_its_term(hall: Hall) -> None:
    b = hall.process("b")
    await hall.process("a").take(MERGE, CART)
    hall.lives["a"] = Liveness.UNKNOWN
    assert kind(await b.take(MERGE, BASKET)) == "HeldBy"
    hall.wait(59)
    assert kind(await b.take(MERGE, BASKET)) == "HeldBy"
    hall.wait(2)
    assert await b.take(MERGE, BASKET) == Held()
    assert hall.told.takeovers == ["Expired"]


async def test_clocks_that_jump_by_an_hour_take_nothing_from_anybody(hall: Hall) -> None:
    a, b = hall.process("a"), hall.process("b")
    hall.lives["a"] = Liveness.UNKNOWN
    await a.take(MERGE, CART)
    hall.clock.advance(3600)
    for _ in range(3):
        assert kind(await b.take(MERGE, BASKET)) == "HeldBy"
        hall.wait(10)
    assert await a.confirm(MERGE, CART)


async def test_what_nobody_in_this_process_holds_is_a_dead_ones(hall: Hall) -> None:
    """A process that forgot about an acquisition, as after a failed release, is not held up by itself."""
    await hall.process("a").take(MERGE, CART)
    assert await hall.process("a").take(MERGE, BASKET) == Held()


async def test_release_leaves_what_is_kept(hall: Hall) -> None:
    a = hall.process("a")
    await a.take(MERGE, CART)
    await a.take("transition-uid-cart", CART)
    await a.release("uid-cart", keep=frozenset({MERGE}))
    assert hall.stored() == [MERGE]


async def test_release_never_takes_a_foreign_lease(hall: Hall) -> None:
    a, b = hall.process("a"), hall.process("b")
    await a.take(MERGE, CART)
    hall.lives["a"] = Liveness.DEAD
    await b.take(MERGE, BASKET)
    await a.release_all()
    assert hall.holder() == "b/uid-basket"


async def test_last_look_sees_that_another_has_it(hall: Hall) -> None:
    a = hall.process("a")
    await a.take(MERGE, CART)
    hall.lives["a"] = Liveness.DEAD
    await hall.process("b").take(MERGE, BASKET)
    assert not await a.confirm(MERGE, CART)
    assert a.held("uid-cart") == frozenset()


async def test_last_look_sees_that_a_person_deleted_it(hall: Hall) -> None:
    a = hall.process("a")
    await a.take(MERGE, CART)
    hall.cluster.store.remove(LEASES, KEY)
    assert not await a.confirm(MERGE, CART)


async def test_last_look_renews_what_would_end_during_the_effect(hall: Hall) -> None:
    a = hall.process("a")
    await a.take(MERGE, CART)
    hall.wait(40)
    assert await a.confirm(MERGE, CART)
    assert any(write.verb == "update_lease" for write in hall.cluster.writes)


async def test_paused_owner_whose_term_is_over_does_nothing_more_without_a_renewal(hall: Hall) -> None:
    a = hall.process("a")
    await a.take(MERGE, CART)
    hall.wait(100)
    hall.cluster.fail_next("update_lease", Fault.UNAVAILABLE)
    assert not await a.confirm(MERGE, CART)


@pytest.mark.parametrize("fault", [Fault.ANSWER_LOST, Fault.REQUEST_LOST])
async def test_answer_that_proves_nothing_is_resolved_by_reading(hall: Hall, fault: Fault) -> None:
    a = hall.process("a")
    hall.cluster.fail_next("create_lease", fault)
    claims = [kind(await a.take(MERGE, CART)) for _ in range(2)]
    assert claims[-1] == "Held"
    assert hall.holder() == "a/uid-cart"


async def test_api_server_that_is_away_means_unsure_and_never_held(hall: Hall) -> None:
    hall.cluster.fail_next("create_lease", Fault.UNAVAILABLE)
    assert isinstance(await hall.process("a").take(MERGE, CART), Unsure)


async def test_item_without_a_step_for_too_long_loses_it(hall: Hall) -> None:
    a = hall.process("a")
    await a.take(MERGE, CART)
    hall.wait(7000)
    a.stepped("uid-cart")
    hall.wait(7000)
    assert await a.renew() == []
    hall.wait(300)
    assert await a.renew() == [CART]
    assert (hall.stored(), hall.told.takeovers) == ([], ["Forced"])


async def test_force_takes_it_from_whoever_has_it_for_that_item(hall: Hall) -> None:
    await hall.process("a").take(MERGE, CART)
    assert await hall.process("b").force_release(BASKET, frozenset({MERGE})) == []
    assert await hall.process("b").force_release(CART, frozenset({MERGE})) == [MERGE]
    assert hall.stored() == []


async def test_renewal_that_answers_after_the_release_leaves_nothing(hall: Hall) -> None:
    a = hall.process("a")
    await a.take(MERGE, CART)
    hall.wait(10)
    slow = _SlowRenewal(hall.cluster)
    a.cluster = slow
    renewing = asyncio.create_task(a.renew())
    await slow.sent.wait()
    await a.release("uid-cart")
    slow.answer.set()
    await renewing
    assert (hall.stored(), a.all_held()) == ([], [])


async def test_lease_that_cannot_be_read_keeps_no_other_from_being_renewed(hall: Hall) -> None:
    a = hall.process("a")
    await a.take(MERGE, CART)
    await a.take("transition-uid-cart", CART)
    hall.wait(10)
    hall.cluster.fail_next("update_lease", Fault.OVERTAKEN)
    hall.cluster.fail_next("lease", Fault.UNAVAILABLE)
    await a.renew()
    renewed = [write.key.name for write in hall.cluster.writes_of("update_lease", outcome="applied")]
    assert renewed == ["transition-uid-cart"]


async def test_item_does_not_take_what_another_of_its_process_is_about_to_hold(hall: Hall) -> None:
    """Its Lease stands in the store, and the answer is still on its way."""
    a = hall.process("a")
    a.cluster = slow = _SlowCreation(hall.cluster)
    taking = asyncio.create_task(a.take(MERGE, CART))
    await slow.sent.wait()
    assert isinstance(await a.take(MERGE, BASKET), Unsure)
    [(key, lease)] = await hall.cluster.leases()
    assert not await a.clear(key, lease)
    slow.answer.set()
    assert (await taking, hall.holder(), hall.told.takeovers) == (Held(), "a/uid-cart", [])


class _SlowCreation(MemoryCluster):
    """Applies a creation at once and answers late."""

    def __init__(self, inner: MemoryCluster) -> None:
        self.__dict__ = inner.__dict__
        self.sent, self.answer = asyncio.Event(), asyncio.Event()

    async def create_lease(self, key, lease, *, labels, owner=None):  # type: ignore[no-untyped-def]
        written = await super().create_lease(key, lease, labels=labels, owner=owner)
        self.sent.set()
        await self.answer.wait()
        return written


class _SlowRenewal(MemoryCluster):
    """Applies a renewal at once and answers late."""

    def __init__(self, inner: MemoryCluster) -> None:
        self.__dict__ = inner.__dict__
        self.sent, self.answer = asyncio.Event(), asyncio.Event()

    async def update_lease(self, key, lease, *, resource_version, labels=None):  # type: ignore[no-untyped-def]
        written = await super().update_lease(key, lease, resource_version=resource_version, labels=labels)
        assert isinstance(written, Won)
        self.sent.set()
        await self.answer.wait()
        return written


async def test_two_who_hold_each_other_for_dead_take_a_lease_from_each_other_once(hall: Hall) -> None:
    a, b = hall.process("a"), hall.process("b")
    hall.lives = {"a": Liveness.DEAD, "b": Liveness.DEAD}
    await a.take(MERGE, CART)
    assert kind(await b.take(MERGE, CART)) == "Held"
    await a.renew()
    assert not await a.confirm(MERGE, CART)
    assert kind(await a.take(MERGE, CART)) == "Held"
    assert not await b.confirm(MERGE, CART)
    assert kind(await b.take(MERGE, BASKET)) == "HeldBy"
    assert hall.told.takeovers == ["Gone", "Gone"]


async def test_one_who_came_back_from_the_dead_is_waited_for_until_the_term_is_over(hall: Hall) -> None:
    a, b = hall.process("a"), hall.process("b")
    hall.lives = {"a": Liveness.DEAD, "b": Liveness.ALIVE}
    await a.take(MERGE, CART)
    await b.take(MERGE, CART)
    await b.release(CART.uid)
    await a.confirm(MERGE, CART)
    await a.take(MERGE, BASKET)
    assert kind(await b.take(MERGE, CART)) == "HeldBy"
    hall.wait(61)
    assert kind(await b.take(MERGE, CART)) == "Held"
    assert hall.told.takeovers == ["Gone", "Expired"]
