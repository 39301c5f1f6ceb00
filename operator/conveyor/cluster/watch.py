"""Watches: one request that stays open and tells of each change, sent again from where it ended.

As client-go's Reflector, but that it does not list WorkItems and Repositories: whoever does is told when. A watch
begins at a version that is read first, and only then asks for a listing, so that nothing falls between the two.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from pydantic_core import from_json

from conveyor.cluster.connection import Connection
from conveyor.cluster.protocol import JSONObject
from conveyor.cluster.replies import failure, is_ok, without_managed_fields
from conveyor.web.errors import OutsideError, Unavailable

logger = logging.getLogger(__name__)

SERVER_SECONDS = (300, 400)
"""How long the API server keeps one request open: another time for each, or all would come back at once."""
SHORT_SECONDS = 1.0
"""A request that ended sooner counts as a failure: who answers so must not be asked without a rest."""
FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS = 0.5, 5.0
"""A few watches ask so seldom that it is nothing, and know of what they missed soon after the API server is back."""
LOUD = 2
"""Failures in a row that are nothing: an API server restarts."""
REFUSALS = 5
"""After so many in a row the version goes: one that the API server never came to, as after a restored backup."""
GONE, BUSY = 410, 429


@dataclass(frozen=True, slots=True)
class Source:
    """A collection, already quoted, and what of it."""

    path: str
    selector: Mapping[str, str]
    listed_elsewhere: bool
    """Whether only changes are told; else what there is comes first, as the API server tells it without a version."""


@dataclass(frozen=True, slots=True)
class Told:
    """Who is told. `begins`: events are told from now on, and what was before is to be listed."""

    seen: Callable[[JSONObject], None]
    gone: Callable[[JSONObject], None]
    begins: Callable[[], None]
    failed: Callable[[BaseException], None]
    """What must not happen: an object that `seen` cannot take, an event that is none."""


class ExpiredError(Exception):
    """The API server no longer knows what came after the version."""


class Watch:
    def __init__(
        self, connection: Connection, source: Source, told: Told, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._connection, self._source, self._told, self._clock = connection, source, told, clock
        self._version, self._heard = "", False

    async def run(self, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """For ever: an API server that is away must not end the process."""
        failures = refusals = 0
        while True:
            began, self._heard = self._clock(), False
            try:
                await self._once()
            except ExpiredError:
                logger.info("watch begins anew", extra={"path": self._source.path})
                self._version = ""
            except OutsideError as error:
                level = logging.WARNING if failures >= LOUD else logging.INFO
                logger.log(level, "watch broke off", extra={"path": self._source.path, "error": str(error)[:300]})
                refusals += error.status not in (0, BUSY)
            except Exception as error:  # noqa: BLE001 the loop's edge
                self._told.failed(error)
                refusals += 1
            if self._heard or self._clock() - began >= SHORT_SECONDS:
                failures = refusals = 0
                continue
            failures += 1
            if refusals >= REFUSALS:
                self._version, refusals = "", 0
            await sleep(min(FIRST_BACKOFF_SECONDS * 2 ** min(failures - 1, 9), LONGEST_BACKOFF_SECONDS))

    async def _once(self) -> None:
        """One request until it ends. Raises ExpiredError, and what `Connection.stream` raises."""
        if not self._version:
            if self._source.listed_elsewhere:
                self._version = await self._newest()
            self._told.begins()
        seconds = random.randint(*SERVER_SECONDS)  # noqa: S311 spreads load, guards nothing
        query = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(seconds)}
        query |= {"resourceVersion": self._version} if self._version else {}
        try:
            async with self._connection.stream(self._source.path, params={**self._source.selector, **query}) as lines:
                async for line in lines:
                    self._take(from_json(line))
        except OutsideError as error:
            if error.status == GONE:
                raise ExpiredError from error
            raise

    async def _newest(self) -> str:
        """The version of now, from etcd."""
        reply = await self._connection.request("GET", self._source.path, params={**self._source.selector, "limit": "1"})
        if not is_ok(reply):
            raise failure(reply, f"GET {self._source.path}", reading=True)
        return str(reply.body["metadata"]["resourceVersion"])

    def _take(self, event: JSONObject) -> None:
        kind, obj = event["type"], event["object"]
        if kind == "ERROR":
            if obj.get("code") == GONE:
                raise ExpiredError
            raise Unavailable(
                f"the watch of {self._source.path} ended: {obj.get('code')} {obj.get('reason')}",
                status=obj.get("code") or 500,
            )
        if kind != "BOOKMARK":
            self._tell(self._told.gone if kind == "DELETED" else self._told.seen, without_managed_fields(obj))
        self._heard, version = True, str(obj["metadata"]["resourceVersion"])
        if not self._version or int(version) > int(self._version):  # without a version they come in the order of names
            self._version = version

    def _tell(self, tell: Callable[[JSONObject], None], obj: JSONObject) -> None:
        """One object that nobody thought possible does not keep the others from being seen."""
        try:
            tell(obj)
        except Exception as error:  # noqa: BLE001 the loop's edge
            self._told.failed(error)
