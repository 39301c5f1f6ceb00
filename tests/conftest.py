"""Shared by all tests: asynchronous ones run on asyncio, and those that need real servers find them as fixtures."""

import pytest
from hypothesis import settings

from tests.quick import QUICK

pytest_plugins = ["tests.cluster.fixtures"]

# No example is too slow: a busy machine makes any of them so.
settings.register_profile("quick", max_examples=20, deadline=None)
settings.register_profile("whole", deadline=None)
settings.load_profile("quick" if QUICK else "whole")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--kubeconfig`, `--kind-bin`, `--kind-image` and `--keep-cluster` come with pytest-kind."""
    parser.addoption("--kind", action="store_true", help="run the tests on a cluster made by kind")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
