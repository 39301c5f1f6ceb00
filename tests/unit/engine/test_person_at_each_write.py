"""A person acts just after any write of an item's way: what was begun ends, each effect once, nothing is left over."""

from collections import Counter

import pytest

from conveyor.cluster.protocol import Key, Kind
from tests.fakes.memory_store import LEASES
from tests.unit.engine.people import PEOPLE
from tests.unit.engine.picks import picks
from tests.unit.engine.rig import SHOP, Rig
from tests.unit.engine.starts import BEFORE, SPEC


def begin() -> tuple[Rig, Key]:
    rig = Rig()
    rig.repository(**SPEC)
    rig.cluster.store.set_status(Kind.REPOSITORY, SHOP, {"production": BEFORE})
    rig.crew.coverage = 81.5
    return rig, rig.item()


@pytest.mark.parametrize("what", ["cancels", "freezes", "merges", "moves the base", "deletes the Leases"])
async def test_person_at_any_write_finds_each_effect_once_and_a_clean_end(what: str) -> None:
    rig, item = begin()
    await rig.run(item)
    for number in picks(range(2, rig.writes + 1), count=5):
        rig, item = begin()
        rig.at_write[number] = lambda rig=rig, item=item: PEOPLE[what](rig, item)  # type: ignore[misc]
        await rig.run(item, until=3600)
        PEOPLE["thaws"](rig, item)
        await rig.run(item, until=7200)
        assert rig.is_ended(item), f"at write {number}: {rig.stage(item)} {rig.waiting(item)}"
        assert [effect[0] for effect in rig.forge.calls.effects].count("merge") <= 1
        assert max(Counter(rig.jobs).values(), default=1) == 1
        assert rig.is_open(item, "transition") is False
        assert rig.cluster.store.keys(LEASES) == []
        assert (rig.told.violations, rig.told.failures) == ([], [])
