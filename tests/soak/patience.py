"""What people, agents and CI do when a server is away: they try again."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import httpx

from tests.cluster.gitea import GiteaError

T = TypeVar("T")
PAUSE_SECONDS = 0.5


async def patiently(ask: Callable[[], T]) -> T:
    """Of Gitea, until it is answered. Raises GiteaError where it says no."""
    while True:
        try:
            return await asyncio.to_thread(ask)
        except httpx.TransportError:
            pass
        except GiteaError as error:
            if error.code < 500:
                raise
        await asyncio.sleep(PAUSE_SECONDS)
