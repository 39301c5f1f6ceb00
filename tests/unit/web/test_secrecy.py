"""The token is in no message, repr, argument, traceback, context or log, whatever fails."""

import logging
import traceback
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from conveyor.web.client import Credentials
from conveyor.web.errors import OutsideError
from tests.unit.web.conftest import TOKEN, URL


def echo(request: httpx.Request) -> httpx.Response:
    return httpx.Response(422, json={"message": f"bad header {request.headers['authorization']}", "more": "x"})


def echo_at_the_cut(request: httpx.Request) -> httpx.Response:
    return httpx.Response(500, json={"message": "x" * 195 + request.headers["authorization"].split()[1]})


def broken(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError(f"lost {request.headers['authorization']}", request=request)


def unconnected(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError(f"no route {request.headers['authorization']}", request=request)


def everything_said(error: BaseException) -> str:
    said = [repr(error), str(error), repr(error.args), repr(vars(error))]
    said += traceback.format_exception(error)
    for inner in (error.__cause__, error.__context__):
        if inner is not None:
            said.append(everything_said(inner))
    return "\n".join(said)


@pytest.mark.parametrize("call", ["read", "write"])
@pytest.mark.parametrize("handler", [echo, echo_at_the_cut, broken, unconnected])
async def test_token_is_nowhere_in_an_error(
    serve: Any, handler: Callable[[httpx.Request], httpx.Response], call: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(OutsideError) as caught:
        await getattr(serve(handler).client(), call)("POST", "/x")
    assert TOKEN[:5] not in everything_said(caught.value) + caplog.text
    assert caught.value.__context__ is None


def test_token_is_not_in_a_repr(serve: Any) -> None:
    client = serve(echo).client()
    assert TOKEN not in repr(client) + repr(Credentials("Authorization", f"token {TOKEN}", URL))


async def test_addresses_are_not_logged_by_the_library(serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await serve(lambda _: httpx.Response(200)).client().read("GET", "/x", params={"q": "private"})
    assert caplog.text == ""
