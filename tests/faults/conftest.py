"""The cases of one module are carried out side by side, before its first test asks for the result of its own."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.cluster.gitea import Gitea
from tests.faults.cases import Case, Result
from tests.faults.lane import Servers
from tests.faults.pool import Plan, Pool
from tests.faults.project import accounts
from tests.faults.scenarios import SCENARIOS


@pytest.fixture(scope="session")
def fault_servers(kubeconfig: Path, crds: None, gitea: Gitea, tmp_path_factory: pytest.TempPathFactory) -> Servers:
    return Servers(kubeconfig, gitea, accounts(gitea), tmp_path_factory.mktemp("lanes"))


def chosen(request: pytest.FixtureRequest) -> Iterator[Case]:
    """The cases of those tests of the module that are to be run, so that one alone can be asked for by its id."""
    for item in request.session.items:
        callspec = getattr(item, "callspec", None)
        if callspec is not None and isinstance(item, pytest.Function) and item.module is request.module:
            yield callspec.params["case"]


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest, fault_servers: Servers) -> Mapping[Case, Result]:
    found: dict[Case, Result] = {}
    pool = Pool(fault_servers, Plan(SCENARIOS))
    asyncio.run(pool.run([(case,) for case in dict.fromkeys(chosen(request))], found.__setitem__))
    return found
