"""The one connection to the API server: kubernetes.aio's configuration, authentication and TLS, but plain JSON.

Nothing is repeated here: aiohttp sends a second time only reads and deletions, and only over a kept connection that
broke. The client's Python objects for Kubernetes' types are left out: they drop unknown fields, and reading an object
into them costs more than the request. pydantic's JSON takes half the time of Python's, in both directions.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
import yaml
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject
from kubernetes.aio.config.config_exception import ConfigException
from kubernetes.aio.config.incluster_config import InClusterConfigLoader
from kubernetes.aio.config.kube_config import load_kube_config
from pydantic_core import from_json, to_json
from yarl import URL

from conveyor.cluster.protocol import JSONObject
from conveyor.web.errors import Ambiguous, BadCredentials, RateLimited, Unavailable

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
MANAGER = {"fieldManager": "conveyor"}
"""Who we are in managedFields."""

UNPACKED = {"Accept-Encoding": "identity"}
"""The API server packs every answer of over 128 KiB for who takes it: a page of a listing costs it as much again."""
MAX_CONNECTIONS = 32
"""More than eight writes in flight bring no throughput (measured); the rest is for reads."""
CONNECT_SECONDS = 5.0
"""Including the wait for a free connection."""
READ_SECONDS = 10.0
WRITE_SECONDS = 20.0
"""An admission webhook alone may take 10 s."""
PAGE_BYTES = 2**21
"""What is read ahead of us: a page of a listing has some megabytes, and aiohttp's 64 KiB would stop it at each step."""
KEPT_SECONDS = 60.0
"""An idle connection is kept so long: a new one costs more than a call. The API server closes its own after 90."""
READ = aiohttp.ClientTimeout(total=READ_SECONDS, connect=CONNECT_SECONDS)
WRITE = aiohttp.ClientTimeout(total=WRITE_SECONDS, connect=CONNECT_SECONDS)
SILENT_SECONDS = 75.0
"""A watch without changes sends a bookmark every minute (kube-apiserver); one that sends nothing for longer is dead."""
TOKEN_SECONDS = 60.0
"""How long a token file's content is used before it is read again; client-go's number."""
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Reply:
    """What the API server answered; `body` is empty where it was no JSON object."""

    status: int
    body: JSONObject = field(repr=False)


class TokenFile:
    """A service account's token, which the kubelet replaces now and then."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        self._read_at: float | None = None

    def forget(self) -> None:
        """Read it anew next time: the API server refused it."""
        self._read_at = None

    def refresh(self, configuration: Configuration) -> None:
        """The hook that the client calls before each request. Raises Unavailable where there is no token to read."""
        now = self._clock()
        if self._read_at is not None and now - self._read_at < TOKEN_SECONDS:
            return
        try:
            token = self._path.read_text().strip()
        except OSError as error:
            raise Unavailable(f"the service account's token cannot be read: {error.strerror}") from error
        if not token:
            raise Unavailable(f"the service account's token file {self._path} is empty")
        configuration.api_key["BearerToken"] = f"Bearer {token}"
        self._read_at = now


class Connection:
    """`async with`, or `close()` at the end."""

    def __init__(self, configuration: Configuration, token: TokenFile | None = None) -> None:
        self._configuration, self._token = configuration, token
        self._rest: Any = RESTClientObject(configuration)  # carries no types
        self._options = options(configuration)
        self._calls: aiohttp.ClientSession | None = None
        self._watches: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        for session in (self._calls, self._watches):
            if session is not None:
                await session.close()

    def _session(self, *, limit: int) -> aiohttp.ClientSession:
        """The environment's proxies are for the world outside, and ~/.netrc would be read at each request."""
        connector = aiohttp.TCPConnector(limit=limit, ssl=self._rest.ssl_context, keepalive_timeout=KEPT_SECONDS)
        return aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, read_bufsize=PAGE_BYTES
        )

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: JSONObject | None = None,
        content_type: str = JSON,
        accept: str = JSON,
        timeout: float | None = None,  # noqa: ASYNC109 aiohttp tells a connection never made from an answer lost
    ) -> Reply:
        """One request, `timeout` in seconds (READ_SECONDS, WRITE_SECONDS). `path` is already quoted.

        Raises Unavailable where nothing was sent or a read had no answer, Ambiguous where a write had none,
        BadCredentials for 401 and RateLimited for 429, which the API server gives before it does anything.
        """
        url, wanted = self._url(path, params or {}), f"{method} {path}"
        headers = await self._headers(content_type, accept)
        limits = READ if method == "GET" else WRITE
        if timeout is not None:
            limits = aiohttp.ClientTimeout(total=timeout, connect=CONNECT_SECONDS)
        data = None if body is None else to_json(body)
        self._calls = self._calls or self._session(limit=MAX_CONNECTIONS)
        try:
            call = self._calls.request(method, url, headers=headers, data=data, timeout=limits, **self._options)
            async with call as response:
                content = await response.read()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Unavailable(f"{wanted}: no connection to the API server: {type(error).__name__}") from error
        except (aiohttp.ClientError, OSError) as error:
            lost = Unavailable if method == "GET" else Ambiguous
            raise lost(f"{wanted}: no answer from the API server: {type(error).__name__}") from error
        self._refuse(wanted, response.status, response.headers)
        return Reply(response.status, _object(content))

    @asynccontextmanager
    async def stream(self, path: str, *, params: Mapping[str, str]) -> AsyncIterator[AsyncIterator[bytes]]:
        """The lines of an answer that stays open, until the API server ends it. `path` is already quoted.

        Raises, its lines too, Unavailable where it is refused, with its status, and where there is no connection, or
        it breaks off or falls silent; else as `request`.
        """
        url, wanted = self._url(path, params), f"GET {path}"
        limits = aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS)
        headers = await self._headers(JSON, JSON)
        self._watches = self._watches or self._session(limit=0)  # what stays open must not take a request's place
        try:
            answer = await self._watches.get(url, headers=headers, timeout=limits, **self._options)
            try:
                self._refuse(wanted, answer.status, answer.headers)
                if answer.status != 200:
                    raise Unavailable(f"{wanted}: {answer.status}", status=answer.status)
                yield _lines(answer)
            finally:
                answer.close()
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"{wanted}: the watch broke off: {type(error).__name__}") from error

    def _url(self, path: str, params: Mapping[str, str]) -> URL:
        """It is quoted already: aiohttp would take it apart to quote it once more."""
        return URL(self._host + path + _query(*params.items()), encoded=True)

    @cached_property
    def _host(self) -> str:
        """Quoted. Raises Unavailable for what is no address."""
        unusable = Unavailable("the address of the API server is none that can be used")  # it may hold a password
        try:
            url = URL(self._configuration.host)
            port = url.port  # which is checked only when it is asked for
        except ValueError as error:
            raise unusable from error
        if port is None:
            raise unusable
        return str(url).rstrip("/")

    async def _headers(self, content_type: str, accept: str) -> dict[str, str]:
        headers = {**UNPACKED, "Accept": accept, "Content-Type": content_type, "User-Agent": "conveyor"}
        key = await self._configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        if key:
            headers["Authorization"] = key
        return headers

    def _refuse(self, wanted: str, status: int, headers: Mapping[str, str]) -> None:
        if status == 401:
            if self._token is not None:
                self._token.forget()
            raise BadCredentials(f"{wanted}: the API server does not accept our credentials", status=status)
        if status == 429:
            after = headers.get("Retry-After", "")
            seconds = float(after) if after.isdecimal() else 1.0
            raise RateLimited(f"{wanted}: the API server is busy", until_seconds=seconds, status=status)


def in_cluster(*, directory: Path = SERVICE_ACCOUNT, environ: Mapping[str, str] | None = None) -> Connection:
    """As the pod's service account. Raises Unavailable outside a pod."""
    configuration, token = Configuration(), TokenFile(directory / "token")
    loader = InClusterConfigLoader(  # type: ignore[no-untyped-call]
        token_filename=str(directory / "token"),
        cert_filename=str(directory / "ca.crt"),
        try_refresh_token=False,
        environ=os.environ if environ is None else environ,
    )
    try:
        loader.load_and_set(configuration)  # type: ignore[no-untyped-call]
    except ConfigException as error:
        raise Unavailable(f"this process runs in no pod of a cluster: {error}") from error
    configuration.refresh_api_key_hook = token.refresh  # type: ignore[assignment]
    return Connection(configuration, token)


async def from_kubeconfig(path: Path, *, context: str | None = None) -> Connection:
    """As the file's current context, or another one. Raises Unavailable where the file cannot be used."""
    configuration = Configuration()
    try:
        await load_kube_config(str(path), context, configuration, persist_config=False)  # type: ignore[no-untyped-call]
    except (ConfigException, OSError, yaml.YAMLError) as error:
        raise Unavailable(f"the kubeconfig {path} cannot be used: {error}") from error
    return Connection(configuration)


@lru_cache(maxsize=256)
def _query(*params: tuple[str, str]) -> str:
    """Nearly all requests have one of a few."""
    return f"?{urlencode(params)}" if params else ""


def options(configuration: Configuration) -> dict[str, Any]:
    """Of every request. A redirect is an answer that nobody expects: a write followed as a read would look done."""
    asked = {
        "proxy": configuration.proxy,
        "proxy_headers": configuration.proxy_headers,
        "server_hostname": configuration.tls_server_name,
    }
    return {"allow_redirects": False} | {name: value for name, value in asked.items() if value}


async def _lines(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """As they are complete. aiohttp's own reading by lines refuses those of over 64 KiB."""
    begun: list[bytes] = []
    async for chunk in answer.content.iter_any():
        first, *others = chunk.split(b"\n")
        begun.append(first)
        for line in others:
            yield b"".join(begun)
            begun = [line]


def _object(content: bytes) -> JSONObject:
    try:
        value: Any = from_json(content)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
