"""The one HTTP client. Reads are repeated; a write is sent once, and what became of it is said truthfully."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Container, Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import quote

import httpx

from conveyor.web.answer import Answer
from conveyor.web.errors import Ambiguous, BadCredentials, HostNotAllowed, OutsideError, Refused, TooLarge, Unavailable
from conveyor.web.hosts import AllowedHosts, origin, parse_url
from conveyor.web.transport import GuardedTransport

Params = Mapping[str, str | int]

MAX_BODY_BYTES = 8 * 2**20
CONCURRENCY = 16  # httpx slows down far above it
CONNECT_SECONDS = 5.0
IDLE_SECONDS = 15.0
TOTAL_SECONDS = 30.0
TRIES = 3
ANY_STATUS = range(100, 1000)
BACKOFF_SECONDS = 0.25

# No connection, or no request to send over one.
_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL)
_LIBRARY_ERRORS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError)  # TimeoutError is an OSError


@dataclass(frozen=True, slots=True)
class Credentials:
    """A token as a header, and the address its Secret names: it goes to no other server."""

    header: str
    value: str = field(repr=False)
    url: str

    def __post_init__(self) -> None:
        if not self.value.strip() or not self.value.isascii() or not self.value.isprintable():
            raise BadCredentials("the token is empty or has characters that no header can carry")


def path(*segments: str | int) -> str:
    """A path of these segments, each quoted whole (`/` too). Refused where one would climb."""
    if any(str(segment) in ("", ".", "..") for segment in segments):
        raise Refused("a name of the form '', '.' or '..' gives no address")
    return "".join(f"/{quote(str(segment), safe='')}" for segment in segments)


class WebClient:
    """One server. Every method raises `conveyor.web.errors` and nothing of httpx.

    No redirect is followed, no cookie kept, no proxy or netrc of the environment used.
    """

    def __init__(
        self,
        url: str,
        credentials: Credentials | None,
        *,
        allowed: AllowedHosts,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        total_seconds: float = TOTAL_SECONDS,
    ) -> None:
        base = parse_url(url)
        allowed.check(base)
        headers = {"Accept-Encoding": "identity", "User-Agent": "conveyor"}
        if credentials:
            if origin(base) != origin(parse_url(credentials.url)):
                raise HostNotAllowed(f"the Secret's url is not on {base.host}: its token does not go there")
            headers[credentials.header] = credentials.value
        self._secret = credentials.value.split()[-1].encode() if credentials else b""
        self._base = base.copy_with(query=None, fragment=None)
        self._sleep = sleep
        self._total_seconds = total_seconds
        self._slots = asyncio.Semaphore(CONCURRENCY)
        self._http = _http_client(headers, transport or GuardedTransport(connections=CONCURRENCY))

    def __repr__(self) -> str:
        return f"WebClient({str(self._base)!r})"

    async def aclose(self) -> None:
        with contextlib.suppress(*_LIBRARY_ERRORS):
            await self._http.aclose()

    async def read(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        json: object = None,
        ok: tuple[int, ...] = (200,),
        max_bytes: int = MAX_BODY_BYTES,
        tries: int = TRIES,
    ) -> Answer:
        """Ask for something; so many tries while it is Unavailable. Answers with a status of `ok` are returned."""
        request = self._request(method, path, params=params, json=json)
        for left in reversed(range(tries)):
            try:
                return await self._once(request, ok, wrote=False, max_bytes=max_bytes)
            except Unavailable as error:
                if not left or isinstance(error, TooLarge):
                    raise
            delay = BACKOFF_SECONDS * 2 ** (tries - 1 - left)
            await self._sleep(delay * (0.5 + random.random()))  # noqa: S311 jitter is no secret
        raise AssertionError("unreachable: the last try returns or raises")

    async def write(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        json: object = None,
        ok: tuple[int, ...] = (200, 201, 204),
        max_bytes: int = MAX_BODY_BYTES,
    ) -> Answer:
        """Change something, in one try. Unavailable: it never left. Ambiguous: only reading tells."""
        request = self._request(method, path, params=params, json=json)
        return await self._once(request, ok, wrote=True, max_bytes=max_bytes)

    async def status(self, path: str) -> int:
        """The status that a GET is answered with, whatever it is, in one try. The body is left unread."""
        request = self._request("GET", path, params=None, json=None)
        return (await self._once(request, ANY_STATUS, wrote=False, max_bytes=None)).status

    def _request(self, method: str, path: str, *, params: Params | None, json: object) -> httpx.Request:
        with contextlib.suppress(httpx.InvalidURL):
            url = httpx.URL(str(self._base).rstrip("/") + path)
            return self._http.build_request(method, url, params=params, json=json)
        raise Refused(f"{method}: its parameters give no address")

    async def _once(self, request: httpx.Request, ok: Container[int], *, wrote: bool, max_bytes: int | None) -> Answer:
        subject = f"{request.method} {request.url.path}"
        failure: OutsideError
        try:
            async with self._slots, asyncio.timeout(self._total_seconds):
                answer = await self._exchange(request, subject, wrote=wrote, max_bytes=max_bytes)
            if answer.status in ok:
                return answer
            failure = answer.error(now=time.time())
        except _LIBRARY_ERRORS as error:
            failure = _from_library(error, subject, wrote=wrote)
        # Raised out here, or the library's error, which holds the request and its headers, would be its context.
        raise failure

    async def _exchange(self, request: httpx.Request, subject: str, *, wrote: bool, max_bytes: int | None) -> Answer:
        """`max_bytes`: of the body; None leaves it unread."""
        response = await self._http.send(request, stream=True)
        try:
            body = b"" if max_bytes is None else await _body(response, subject, wrote=wrote, max_bytes=max_bytes)
        finally:
            await response.aclose()
        if self._secret and response.is_error:
            body = body.replace(self._secret, b"...")  # a server can put what it was sent into its message
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, headers, body, subject=subject, wrote=wrote)


async def _body(response: httpx.Response, subject: str, *, wrote: bool, max_bytes: int) -> bytes:
    body = bytearray()
    if response.headers.get("content-encoding", "identity") != "identity":
        # We asked for none, and a small one can unpack to any size.
        raise (Ambiguous if wrote else Unavailable)(f"{subject} answered in a content encoding")
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > max_bytes:
            raise (Ambiguous if wrote else TooLarge)(f"{subject} answered more than {max_bytes} bytes")
    return bytes(body)


def _from_library(error: Exception, subject: str, *, wrote: bool) -> OutsideError:
    what = type(error).__name__
    if isinstance(error, _NEVER_LEFT):
        return Unavailable(f"{subject} was not sent: {what}")
    if wrote:
        return Ambiguous(f"{subject} was sent, its answer is lost: {what}")
    return Unavailable(f"{subject} got no whole answer: {what}")


def _http_client(headers: Mapping[str, str], transport: httpx.AsyncBaseTransport) -> httpx.AsyncClient:
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)  # they log every address asked
    return httpx.AsyncClient(
        headers=headers,
        transport=transport,
        timeout=httpx.Timeout(IDLE_SECONDS, connect=CONNECT_SECONDS),
        follow_redirects=False,
        trust_env=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    )
