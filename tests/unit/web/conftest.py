"""A client whose server is a function of the test."""

from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import pytest

from conveyor.web.client import Credentials, WebClient
from conveyor.web.hosts import AllowedHosts

URL = "https://git.example/api"
TOKEN = "t0psecret"

Handler = Callable[[httpx.Request], httpx.Response]


@dataclass
class Server:
    """Answers with `handler`; keeps the requests seen and the delays slept."""

    handler: Handler
    requests: list[httpx.Request] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    def client(self, *, total_seconds: float = 30) -> WebClient:
        return WebClient(
            URL,
            Credentials("Authorization", f"token {TOKEN}", URL),
            allowed=AllowedHosts(("git.example",)),
            transport=httpx.MockTransport(self._answer),
            sleep=self._sleep,
            total_seconds=total_seconds,
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.handler(request)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def serve() -> Callable[[Handler], Server]:
    return Server
