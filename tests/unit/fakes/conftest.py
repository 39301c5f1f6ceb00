"""A fake Plane on a clock that stands still, a client for it, and a receiver of its webhooks."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.fakes.clock import ManualClock
from tests.fakes.plane import FakePlane
from tests.fakes.plane_records import Project
from tests.fakes.receiver import Receiver


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def plane(clock: ManualClock) -> AsyncIterator[FakePlane]:
    async with FakePlane(clock=clock) as plane:
        yield plane


@pytest.fixture
def project(plane: FakePlane) -> Project:
    return plane.create_project("Shop", "ET")


@pytest.fixture
async def api(plane: FakePlane) -> AsyncIterator[httpx.AsyncClient]:
    """Speaks to the workspace with a valid key: paths are relative to it."""
    headers = {"X-API-Key": plane.api_key}
    async with httpx.AsyncClient(base_url=f"{plane.url}/api/v1/workspaces/acme", headers=headers, timeout=5) as client:
        yield client


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    await receiver.open()
    yield receiver
    await receiver.close()
