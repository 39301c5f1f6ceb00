"""A deploy that is on record at its Repository, whose operator died before it was on record at its item."""

from collections.abc import Callable

import pytest

from conveyor.cluster.protocol import Key, Kind
from tests.fakes.memory_store import JOBS
from tests.unit.engine.rig import SHOP, Rig
from tests.unit.engine.test_odd_jobs import begin, jobs, stalled


def production(rig: Rig) -> dict[str, str]:
    found: dict[str, str] = rig.status(SHOP, Kind.REPOSITORY)["production"]
    return found


async def on_record() -> tuple[Rig, Key]:
    rig, item = begin()
    await rig.run_until(lambda: production(rig)["item"] == item.name)
    assert rig.status(item)["transition"]["effect"] == "Production"
    rig.process = None
    return rig, item


def lose_word(rig: Rig) -> None:
    for job in jobs(rig, "production"):
        rig.cluster.store.pods[job] = []


def lose_job(rig: Rig) -> None:
    for job in jobs(rig, "production"):
        rig.cluster.store.remove(JOBS, job)


@pytest.mark.parametrize("lose", [lose_word, lose_job])
async def test_its_item_is_done_though_its_job_can_say_no_more(lose: Callable[[Rig], None]) -> None:
    """Parked, it would be deployed again by `retry`, and a deploy that fails then go "back" to this very one."""
    rig, item = await on_record()
    lose(rig)
    await rig.run(item, until=3600)
    assert (rig.stage(item), stalled(rig, item)) == ("done", "")
    assert len([job for job in rig.jobs if "production" in job]) == 1
