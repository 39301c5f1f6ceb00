"""The demo's CI without a forge: running tests, and who may wake it."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from examples.ci import builder
from examples.ci.builder import Builder, directories, run_tests
from examples.ci.gitea import Gitea
from examples.ci.hooks import application, repository_of

SECRET = "secret-of-tests"
TEST = "import unittest\n\nclass T(unittest.TestCase):\n    def test_it(self):\n        {}\n"


@pytest.mark.parametrize(
    ("line", "passed"), [("pass", True), ("self.fail()", False), ("import os; os._exit(3)", False)]
)
async def test_verdict_is_that_of_the_tests(line: str, passed: bool) -> None:
    with directories() as (tree, home):
        (tree / "test_it.py").write_text(TEST.format(line))
        assert (await run_tests(tree, home))[0] is passed


async def test_tests_that_do_not_end_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "TEST_SECONDS", 0.5)
    with directories() as (tree, home):
        (tree / "test_it.py").write_text(TEST.format("import time; time.sleep(60)"))
        assert await run_tests(tree, home) == (False, "the tests did not end within 0.5 s")


async def test_tests_see_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI_TOKEN", "x")
    with directories() as (tree, home):
        (tree / "test_it.py").write_text(TEST.format("import os; print(sorted(os.environ))"))
        _, output = await run_tests(tree, home)
    assert "CI_TOKEN" not in output


class Doorbell(Builder):
    def __init__(self, session: aiohttp.ClientSession) -> None:
        super().__init__(Gitea(session, "http://gitea.test", "acme/shop", token="t"), logs_url="")
        self.rings = 0

    def wake(self) -> None:
        self.rings += 1


class Door:
    def __init__(self, session: aiohttp.ClientSession, bell: Doorbell, url: str) -> None:
        self._session, self.bell, self._url = session, bell, url

    async def push(self, body: bytes, signature: str) -> int:
        headers = {"X-Gitea-Signature": signature, "Content-Type": "application/json"}
        async with self._session.post(f"{self._url}/push", data=body, headers=headers) as answer:
            return answer.status


@pytest.fixture
async def door(anyio_backend: str) -> AsyncIterator[Door]:
    async with aiohttp.ClientSession() as session:
        bell = Doorbell(session)
        runner = web.AppRunner(application({"acme/shop": bell}, SECRET))
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield Door(session, bell, f"http://127.0.0.1:{runner.addresses[0][1]}")
        finally:
            await runner.cleanup()


def body_of(name: str) -> bytes:
    return json.dumps({"repository": {"full_name": name}}).encode()


def signed(body: bytes) -> str:
    return hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


async def test_signed_push_wakes_its_repository(door: Door) -> None:
    body = body_of("acme/shop")
    assert (await door.push(body, signed(body)), door.bell.rings) == (202, 1)


async def test_unsigned_push_wakes_nobody(door: Door) -> None:
    assert (await door.push(body_of("acme/shop"), "é"), door.bell.rings) == (401, 0)


async def test_push_of_another_repository_wakes_nobody(door: Door) -> None:
    body = body_of("acme/other")
    assert (await door.push(body, signed(body)), door.bell.rings) == (404, 0)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"repository": 1}', b"\xff", b"[" * 100_000])
def test_body_of_another_shape_names_no_repository(body: bytes) -> None:
    assert repository_of(body) == ""


def test_token_is_not_shown(tmp_path: Path) -> None:
    assert "hidden" not in repr(Gitea(None, "http://gitea.test", "acme/shop", token="hidden"))  # type: ignore[arg-type]
