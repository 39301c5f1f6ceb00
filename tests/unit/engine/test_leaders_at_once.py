"""Several operators that all take themselves for the leader: each effect once, no write for nothing, the same end."""

from collections import Counter
from typing import Any

import pytest

from conveyor.cluster.protocol import Key, Kind
from tests.fakes.memory_store import LEASES
from tests.unit.engine.operators import Operators
from tests.unit.engine.rig import SHOP
from tests.unit.engine.test_deploying import BEFORE, GATES, LANDS, POD, ROLES

MOST_WRITES = 400
"""One alone needs about 110; two that answer each other's writes make thousands."""


def shop(**settings: Any) -> tuple[Operators, Key]:
    operators = Operators(**settings)
    deploy = {"template": POD, "rollbackTemplate": POD}
    operators.repository(gates=GATES, staging={"template": POD}, deploy=deploy)
    operators.cluster.store.set_status(Kind.REPOSITORY, SHOP, {"production": BEFORE})
    return operators, operators.item()


def swaps(operators: Operators) -> Counter[tuple[str, str, str]]:
    """How often the intents of an item went from one process to another."""
    found: Counter[tuple[str, str, str]] = Counter()
    last: dict[str, str] = {}
    for kind, _, obj in operators.history:
        intent = obj.get("status", {}).get("transition") if kind == Kind.WORKITEM else None
        if intent is not None:
            before = last.get(intent["id"], intent["holder"])
            last[intent["id"]] = intent["holder"]
            found[obj["metadata"]["name"], before, intent["holder"]] += before != intent["holder"]
    return found


@pytest.mark.parametrize("leases", [True, False], ids=["", "without Leases"])
@pytest.mark.parametrize("leaders", [2, 3])
async def test_leaders_at_once_bring_the_item_to_its_end_and_do_not_fight(leaders: int, leases: bool) -> None:
    operators, item = shop(transition_lease=leases)
    for _ in range(leaders):
        await operators.start()

    def over() -> bool:
        assert len(operators.cluster.writes) < MOST_WRITES, operators.waiting(item)
        return operators.is_ended(item)

    await operators.carry(over)
    assert operators.stage(item) == "done"
    assert [job.removeprefix("cart-").split("-")[0] for job in operators.jobs] == [*ROLES, *LANDS]
    assert operators.audit.offences == []
    assert (operators.told.violations, operators.told.failures) == ([], [])


@pytest.mark.parametrize("leases", [True, False], ids=["", "without Leases"])
@pytest.mark.parametrize("leaders", [2, 3])
async def test_leaders_who_hold_each_other_for_dead_go_on_in_turn_and_do_not_fight(leaders: int, leases: bool) -> None:
    """Their pods are deleted by force, and the processes live: one turn for the Lease, and one for what takes none."""
    operators, item = shop(transition_lease=leases)
    others = operators.item("basket")
    for operator in [await operators.start() for _ in range(leaders)]:
        operators.certify(operator)
    await operators.carry(lambda: operators.is_ended(item) and operators.is_ended(others))
    assert (operators.stage(item), operators.stage(others)) == ("done", "done")
    assert len(operators.cluster.writes) < 2 * MOST_WRITES
    assert len(operators.jobs) == len(set(operators.jobs)) == 2 * len([*ROLES, *LANDS])
    assert max(swaps(operators).values()) <= 1 + leases
    assert operators.audit.offences == []
    assert (operators.told.violations, operators.told.failures) == ([], [])


async def test_intent_of_one_who_lives_is_left_to_him_for_a_while_and_then_taken() -> None:
    operators, item = shop()
    owner = await operators.start()
    await operators.carry(lambda: operators.is_open(item, "transition"))
    other = await operators.start()
    await operators.carry(lambda: False, other, until=5)
    assert operators.status(item)["transition"]["holder"].startswith(str(owner.me))
    operators.crew.idle = True
    await operators.carry(lambda: False, other, until=10)
    assert operators.stage(item) == "analysis"
    assert operators.cluster.store.keys(LEASES) == []
    assert operators.audit.offences == []
