"""Waiting for what is allowed, and what is not, to come into force."""

import time
from collections.abc import Callable

import pytest

from tests.cluster.api import ApiError


def until(attempt: Callable[[], object], *, ends_as: str) -> None:
    """Rights and policies come into force about a second after they were made."""
    deadline, said = time.monotonic() + 15, ""
    while said != ends_as:
        if time.monotonic() > deadline:
            pytest.fail(f"after 15 s the attempt is still {said}")
        try:
            attempt()
            said = "allowed"
        except ApiError as error:
            if error.code != 403:
                raise
            said = "refused"
        time.sleep(0.05)
