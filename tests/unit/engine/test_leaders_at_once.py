"""Several operators that all take themselves for the leader: each effect once, no write for nothing, the same end."""

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
