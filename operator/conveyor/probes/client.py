"""Probes over HTTP: a page that must answer 2xx, and a query that a Prometheus must answer with what is not 0."""

from __future__ import annotations

import httpx

from conveyor.api.repository import Probe
from conveyor.pipeline.facts import ProbeFact
from conveyor.probes.prometheus import QUERY_ANSWER, trouble
from conveyor.probes.protocol import Probes
from conveyor.web.answer import one_line
from conveyor.web.client import WebClient
from conveyor.web.errors import OutsideError
from conveyor.web.hosts import AllowedHosts, parse_url

PROBE_SECONDS = 10.0
"""How long one probe may take, all of it."""
MAX_ANSWER_BYTES = 2**20
"""Of a Prometheus. Of a page only the status is read."""


class HttpProbes(Probes):
    """A connection of its own for each probe: one kept from better days would not show that nobody can connect."""

    def __init__(
        self,
        *,
        allowed: AllowedHosts,
        transport: httpx.AsyncBaseTransport | None = None,
        seconds: float = PROBE_SECONDS,
    ) -> None:
        self._allowed, self._transport, self._seconds = allowed, transport, seconds

    async def ask(self, probe: Probe) -> ProbeFact:
        name = _name(probe)
        try:
            found = await (self._page(probe.url) if probe.url is not None else self._query(probe))
        except OutsideError as error:
            found = str(error)
        return ProbeFact(name=name, healthy=not found, reason=one_line(found))

    async def _page(self, url: str) -> str:
        """What is wrong with it; empty where it answers 2xx. No redirect is followed: where to is not allowed yet."""
        parsed = parse_url(url)
        client = self._client(f"{parsed.scheme}://{parsed.netloc.decode()}")
        try:
            status = await client.status(parsed.raw_path.decode())
        finally:
            await client.aclose()
        return "" if 200 <= status < 300 else f"it answered {status}, wanted 2xx"

    async def _query(self, probe: Probe) -> str:
        """What is wrong with the result of an instant query."""
        client = self._client(probe.prometheus or "")
        try:
            answer = await client.read(
                "GET",
                "/api/v1/query",
                params={"query": probe.query or ""},
                max_bytes=MAX_ANSWER_BYTES,
                tries=1,
            )
        finally:
            await client.aclose()
        return trouble(answer.parse(QUERY_ANSWER))

    def _client(self, url: str) -> WebClient:
        return WebClient(url, None, allowed=self._allowed, transport=self._transport, total_seconds=self._seconds)


def _name(probe: Probe) -> str:
    """What people call it by: an address without its query, which may hold a secret, or what Prometheus is asked."""
    if probe.url is None:
        return one_line(f"query {probe.query}")
    try:
        parsed = parse_url(probe.url)
    except OutsideError:
        return "the probe's address"
    return one_line(str(parsed.copy_with(query=None, fragment=None)))
