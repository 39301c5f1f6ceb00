"""The wall clock jumps by an hour just after any write of an item's way, and may jump back: nothing happens twice.

An intent whose deadline seems to be over is parked: nobody can tell. A person's `resume` has it looked at again.
"""

from collections import Counter
from datetime import timedelta

import pytest

from conveyor.cluster.protocol import Key, Kind
from tests.fakes.memory_store import LEASES
from tests.unit.engine.picks import picks
from tests.unit.engine.rig import Rig
from tests.unit.engine.test_person_at_each_write import begin

HOUR = timedelta(hours=1)


def jump(rig: Rig, by: timedelta) -> None:
    rig.skew += by


async def carry(rig: Rig, item: Key) -> None:
    """To its end, with a person who has looked at whatever was parked."""
    for number in range(3):
        await rig.run(item, until=7200)
        if rig.condition(item, "Stalled", Kind.WORKITEM)[1] != "EffectUnknown":
            return
        request = {"request.conveyor.dev/resume": f"resume-{number} by=ann"}
        rig.cluster.store.edit(Kind.WORKITEM, item, {"metadata": {"annotations": request}})


def assert_done_once(rig: Rig, item: Key, where: str) -> None:
    assert rig.stage(item) == "done", f"{where}: {rig.stage(item)} {rig.waiting(item)}"
    assert [effect[0] for effect in rig.forge.calls.effects].count("merge") == 1
    assert set(Counter(rig.jobs).values()) == {1}
    assert rig.is_open(item, "transition") is False
    assert rig.cluster.store.keys(LEASES) == []
    assert (rig.told.violations, rig.told.failures) == ([], [])


@pytest.mark.parametrize("hours", [1, -1])
async def test_clock_that_jumps_at_any_write_changes_nothing_in_the_end(hours: int) -> None:
    rig, item = begin()
    await rig.run(item)
    for number in picks(range(2, rig.writes + 1), count=12):
        rig, item = begin()
        rig.at_write[number] = lambda rig=rig: jump(rig, hours * HOUR)  # type: ignore[misc]
        await carry(rig, item)
        assert_done_once(rig, item, f"{hours} h at write {number}")


@pytest.mark.parametrize("hours", [1, -1])
async def test_clock_that_jumps_there_and_back_changes_nothing_in_the_end(hours: int) -> None:
    rig, item = begin()
    await rig.run(item)
    for number in picks(range(2, rig.writes - 3), count=12):
        rig, item = begin()
        rig.at_write[number] = lambda rig=rig: jump(rig, hours * HOUR)  # type: ignore[misc]
        rig.at_write[number + 3] = lambda rig=rig: jump(rig, -hours * HOUR)  # type: ignore[misc]
        await carry(rig, item)
        assert_done_once(rig, item, f"{hours} h at writes {number} to {number + 3}")
