"""What the tests of the Plane client share besides fixtures."""

from collections.abc import Callable

from conveyor.api import repository
from conveyor.tracker.plane import Plane

Connect = Callable[..., Plane]
"""Makes a client of the fake Plane's project; keywords choose what differs."""


def spec_of(url: str, project_id: str, *, workspace: str = "acme") -> repository.Tracker:
    return repository.Tracker(
        url=url,
        workspace=workspace,
        project_id=project_id,
        identifier="ET",
        credentials_secret_ref=repository.SecretRef(name="plane"),
    )
