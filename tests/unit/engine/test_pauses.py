"""How often an effect that does not come about is tried."""

from itertools import pairwise

import pytest

from conveyor.cluster.protocol import Kind
from tests.fakes.memory_faults import CallFault
from tests.unit.engine.rig import Rig

DEADLINE_SECONDS = 900
"""Of an intent to merge."""


async def at_merge(fault: CallFault, times: int) -> tuple[Rig, list[float]]:
    """An item whose next `times` merges fail so, and when each merge was tried."""
    rig = Rig()
    rig.repository()
    rig.item()
    tried: list[float] = []
    merge = rig.forge.merge

    async def timed(number: int, *, head: str) -> None:
        tried.append(rig.clock.now().timestamp())
        await merge(number, head=head)

    rig.forge.merge = timed  # type: ignore[method-assign]
    for _ in range(times):
        rig.forge.calls.fail_next("merge", fault)
    return rig, tried


@pytest.mark.parametrize("fault", [CallFault.UNAVAILABLE, CallFault.REQUEST_LOST])
async def test_effect_that_fails_until_its_deadline_is_tried_seldomer_and_seldomer(fault: CallFault) -> None:
    rig, tried = await at_merge(fault, 2000)
    (item,) = rig.cluster.store.keys(Kind.WORKITEM)
    await rig.run_until(lambda: rig.condition(item, "Stalled", Kind.WORKITEM)[1] == "EffectUnknown")
    pauses = [after - before for before, after in pairwise(tried)]
    assert tried[-1] - tried[0] > DEADLINE_SECONDS - 60
    assert len(tried) < 120
    assert max(pauses) < 20
    assert tried[4] - tried[0] < 5


async def test_effect_that_fails_for_half_a_minute_is_done_soon_afterwards() -> None:
    rig, tried = await at_merge(CallFault.UNAVAILABLE, 25)
    (item,) = rig.cluster.store.keys(Kind.WORKITEM)
    await rig.run(item)
    assert rig.stage(item) == "done"
    assert len(tried) == 26
    assert tried[-1] - tried[-2] < 0.2 * (tried[-1] - tried[0])
