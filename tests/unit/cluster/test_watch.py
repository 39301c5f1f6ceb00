"""Where a watch goes on, and where it begins anew, whatever the API server answers."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from conveyor.cluster.watch import REFUSALS, Source, Told, Watch
from tests.unit.cluster.test_connection import api_server

ITEMS = Source("/items", {"labelSelector": "a=b"}, listed_elsewhere=True)
JOBS = Source("/jobs", {}, listed_elsewhere=False)


class EnoughError(Exception):
    pass


def event(kind: str, version: int, name: str = "cart") -> dict[str, Any]:
    return {"type": kind, "object": {"metadata": {"name": name, "resourceVersion": str(version)}}}


def error(code: int) -> dict[str, Any]:
    return {"type": "ERROR", "object": {"kind": "Status", "code": code, "reason": "Expired"}}


def stream(*events: dict[str, Any]) -> web.StreamResponse:
    return web.Response(body=b"".join(json.dumps(found).encode() + b"\n" for found in events))


def newest(version: int) -> web.StreamResponse:
    return web.json_response({"items": [], "metadata": {"resourceVersion": str(version)}})


async def break_off(request: web.Request) -> web.StreamResponse:
    """In mid-answer: where there is none yet, aiohttp asks once more by itself."""
    answer = web.StreamResponse()
    await answer.prepare(request)
    await answer.write(b'{"type": "MODI')
    assert request.transport is not None
    request.transport.abort()
    return answer


@dataclass
class Heard:
    """What an API server was asked for, and what of its answers was told."""

    asked: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    failed: list[BaseException] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    def seen(self, obj: dict[str, Any]) -> None:
        if obj["metadata"]["name"] == "odd":
            raise KeyError("nobody thought of it")
        self.told.append(f"seen {obj['metadata']['resourceVersion']}")

    def gone(self, obj: dict[str, Any]) -> None:
        self.told.append(f"gone {obj['metadata']['resourceVersion']}")


async def hear(source: Source, *answers: web.StreamResponse | None) -> Heard:
    """Answer one request after the other, by None with a broken connection, until there are no more answers."""
    heard, left, enough = Heard(), list(answers), asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        query = request.query
        what = f"watch {query.get('resourceVersion', 'all')}" if "watch" in query else f"list {query['limit']}"
        if not left:
            enough.set()
            await asyncio.Event().wait()
        heard.asked.append(what)
        answer = left.pop(0)
        return await break_off(request) if answer is None else answer

    async def sleep(seconds: float) -> None:
        heard.slept.append(seconds)

    def begins() -> None:
        heard.told.append("begins")

    async with api_server(handler) as connection:
        watch = Watch(connection, source, Told(heard.seen, heard.gone, begins, heard.failed.append))
        running = asyncio.create_task(watch.run(sleep=sleep))
        async with asyncio.timeout(20):
            await enough.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    return heard


async def test_watch_begins_at_a_version_that_it_has_read_and_says_so_before_it_tells() -> None:
    heard = await hear(ITEMS, newest(5), stream(event("MODIFIED", 6), event("DELETED", 7)))
    assert heard.asked == ["list 1", "watch 5"]
    assert heard.told == ["begins", "seen 6", "gone 7"]


async def test_watch_that_ends_goes_on_where_it_was() -> None:
    heard = await hear(ITEMS, newest(5), stream(event("MODIFIED", 6)), stream(event("BOOKMARK", 9)), stream())
    assert heard.asked == ["list 1", "watch 5", "watch 6", "watch 9"]
    assert heard.told == ["begins", "seen 6"]


async def test_watch_that_nobody_lists_is_told_all_there_is() -> None:
    heard = await hear(JOBS, stream(event("ADDED", 8, "a"), event("ADDED", 3, "b")), stream())
    assert heard.asked == ["watch all", "watch 8"]
    assert heard.told == ["begins", "seen 8", "seen 3"]


@pytest.mark.parametrize("expired", [stream(error(410)), web.json_response({"code": 410}, status=410)])
async def test_watch_whose_version_is_too_old_begins_anew_and_says_so(expired: web.StreamResponse) -> None:
    heard = await hear(ITEMS, newest(5), stream(event("MODIFIED", 6)), expired, newest(70), stream(event("ADDED", 71)))
    assert heard.asked == ["list 1", "watch 5", "watch 6", "list 1", "watch 70"]
    assert heard.told == ["begins", "seen 6", "begins", "seen 71"]


@pytest.mark.parametrize("broken", [None, stream(error(500)), web.json_response({}, status=503)])
async def test_watch_that_breaks_goes_on_where_it_was_after_a_rest(broken: web.StreamResponse | None) -> None:
    heard = await hear(ITEMS, newest(5), stream(event("MODIFIED", 6)), broken, stream(event("MODIFIED", 7)))
    assert heard.asked == ["list 1", "watch 5", "watch 6", "watch 6"]
    assert heard.told == ["begins", "seen 6", "seen 7"]
    assert heard.slept == [0.5]


async def test_version_that_is_refused_again_and_again_is_given_up() -> None:
    """As after a backup was restored, which has never come to that version."""
    refused = [stream(error(504)) for _ in range(REFUSALS)]
    heard = await hear(ITEMS, newest(500), *refused, newest(20), stream(event("ADDED", 21)))
    assert heard.asked == ["list 1", *["watch 500"] * REFUSALS, "list 1", "watch 20"]
    assert heard.told == ["begins", "begins", "seen 21"]


async def test_api_server_that_is_busy_keeps_its_version() -> None:
    busy = [web.json_response({}, status=429) for _ in range(REFUSALS + 1)]
    heard = await hear(ITEMS, newest(5), *busy, stream(event("MODIFIED", 6)))
    assert heard.asked == ["list 1", *["watch 5"] * (REFUSALS + 2)]
    assert heard.told == ["begins", "seen 6"]


@pytest.mark.parametrize("odd", [b"<html>", b"[]", b'{"type": "ADDED"}', b'{"type": "ADDED", "object": {}}'])
async def test_what_is_no_event_ends_no_watch(odd: bytes) -> None:
    heard = await hear(ITEMS, newest(5), web.Response(body=odd + b"\n"), stream(event("MODIFIED", 6)))
    assert heard.asked == ["list 1", "watch 5", "watch 5"]
    assert heard.told == ["begins", "seen 6"]
    assert heard.slept == [0.5]
    assert heard.failed


async def test_api_server_that_is_away_is_asked_more_and_more_seldom() -> None:
    heard = await hear(ITEMS, newest(5), *[None] * 6)
    assert heard.slept[:6] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert set(heard.asked[1:]) == {"watch 5"}


async def test_event_of_many_kilobytes_is_taken_whole() -> None:
    large = event("MODIFIED", 6)
    large["object"]["status"] = {"text": "x" * 1_000_000}
    heard = await hear(ITEMS, newest(5), stream(large, event("MODIFIED", 7)))
    assert heard.told == ["begins", "seen 6", "seen 7"]


async def test_object_that_nobody_thought_possible_ends_no_watch() -> None:
    heard = await hear(ITEMS, newest(5), stream(event("MODIFIED", 6, "odd"), event("MODIFIED", 7)))
    assert heard.told == ["begins", "seen 7"]
    assert [type(found) for found in heard.failed] == [KeyError]
