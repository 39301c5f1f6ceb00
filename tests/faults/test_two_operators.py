"""Two operators on one item, of which the second has followed while a request of the first was on its way.

| what happens to the first | its request, held until the second is done |
|---|---|
| stands still, and goes on (SIGSTOP, SIGCONT) | merge · production Job · result of the merge |
| its pod's object is deleted, and it stands still for a while and lives on | merge |
| ends in order, as in a rolling update | merge |
| its container starts anew in the same pod, nobody stands by | merge |
"""

import asyncio
import secrets
from collections.abc import Mapping

import pytest

from tests.faults.lane import Servers
from tests.faults.pair import Pair, Race, Result, run

pytestmark = [pytest.mark.slow, pytest.mark.long]

MERGE, JOB = "forge: POST pulls/n/merge fast-forward-only", "Job Production: create"
MERGED = "item: to deploy, end of Merge"
RACES = {
    "stands still before the merge": Race(MERGE, Pair.stand_still, ends=1),
    "stands still before the Job": Race(JOB, Pair.stand_still, ends=1),
    "stands still before the result": Race(MERGED, Pair.stand_still, ends=1),
    "loses its pod and lives before the merge": Race(MERGE, Pair.lose_its_pod, ends=1),
    "ends in order before the merge": Race(MERGE, Pair.end_in_order, ends=0),
    "starts again in its pod before the merge": Race(MERGE, Pair.start_again, with_second=False),
}


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest, fault_servers: Servers) -> Mapping[str, Result]:
    """Side by side: most of each is waiting for a Lease's time."""
    callspecs = (getattr(item, "callspec", None) for item in request.session.items if item.module is request.module)  # type: ignore[attr-defined]
    names = dict.fromkeys(callspec.params["name"] for callspec in callspecs if callspec is not None)

    async def run_all() -> list[Result]:
        prefix = f"race-{secrets.token_hex(3)}"
        races = (run(fault_servers, f"{prefix}-{number}", RACES[name]) for number, name in enumerate(names))
        return await asyncio.gather(*races)

    return dict(zip(names, asyncio.run(run_all()), strict=True))


@pytest.mark.parametrize("name", RACES)
def test_operator_that_was_followed_does_no_harm_when_it(name: str, results: Mapping[str, Result]) -> None:
    assert results[name].findings == [], results[name].log


@pytest.mark.parametrize("name", [name for name in RACES if "still" in name])
def test_followed_operator_is_refused_every_write_of_the_item_when_it(name: str, results: Mapping[str, Result]) -> None:
    assert results[name].accepted == []


@pytest.mark.parametrize("name", ["stands still before the result"])
def test_result_that_arrives_after_the_takeover_is_refused(name: str, results: Mapping[str, Result]) -> None:
    assert results[name].answers == [409]
