"""The Plane client against a fake Plane over real HTTP, on a clock that stands still."""

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from conveyor.tracker.budget import Budget
from conveyor.tracker.plane import Plane
from conveyor.tracker.plane_api import PlaneApi
from conveyor.web.client import Credentials, WebClient
from conveyor.web.hosts import AllowedHosts
from tests.fakes.clock import ManualClock
from tests.fakes.plane import FakePlane
from tests.fakes.plane_records import Project
from tests.unit.tracker.clients import Connect, spec_of


async def no_sleep(_: float) -> None:
    return None


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def seconds(clock: ManualClock) -> Callable[[], float]:
    return lambda: clock.now().timestamp()


@pytest.fixture
async def fake(clock: ManualClock) -> AsyncIterator[FakePlane]:
    async with FakePlane(clock=clock) as fake:
        yield fake


@pytest.fixture
def project(fake: FakePlane) -> Project:
    return fake.create_project("Shop", "ET")


@pytest.fixture
def budget(seconds: Callable[[], float]) -> Budget:
    return Budget(60, clock=seconds)


@pytest.fixture
async def connect(
    fake: FakePlane, project: Project, budget: Budget, seconds: Callable[[], float]
) -> AsyncIterator[Connect]:
    """Makes clients of the project that repeat reads without waiting, and closes them."""
    made: list[Plane] = []

    def connect(
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        total_seconds: float = 5.0,
        project_id: str = project.id,
        budget: Budget = budget,
    ) -> Plane:
        web = WebClient(
            f"{fake.url}/api/v1",
            Credentials("X-API-Key", fake.api_key, fake.url),
            allowed=AllowedHosts(("127.0.0.1",)),
            transport=transport,
            sleep=no_sleep,
            total_seconds=total_seconds,
        )
        api = PlaneApi(web, budget, workspace="acme", project_id=project_id)
        made.append(Plane(api, spec_of(fake.url, project_id), clock=seconds))
        return made[-1]

    yield connect
    for plane in made:
        await plane.aclose()


@pytest.fixture
def plane(connect: Connect) -> Plane:
    return connect()
