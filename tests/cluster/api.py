"""Two small clients of the Kubernetes API in plain JSON: `Kube` for fixtures and scripts, `AsyncKube` for the nodes.

They are no part of what is tested, so they know no kinds: the caller gives the path.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import httpx

from tests.cluster import kubeconfig as kubeconfigs

Object = dict[str, Any]
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


class ApiError(Exception):
    """The API server refused: `code` is the HTTP status, `reason` the Status object's reason."""

    def __init__(self, method: str, path: str, status: Object) -> None:
        self.code: int = status.get("code", 0)
        self.reason: str = status.get("reason", "")
        super().__init__(f"{method} {path}: {self.code} {self.reason}: {str(status.get('message', ''))[:500]}")


def _refusal(method: str, path: str, *, code: int, body: bytes) -> ApiError:
    try:
        status = json.loads(body)
    except ValueError:
        status = {}
    if not isinstance(status, dict) or status.get("kind") != "Status":
        status = {"message": body.decode(errors="replace")}
    return ApiError(method, path, {**status, "code": code})


class Kube:
    """Synchronous. Connection errors are httpx.TransportError."""

    def __init__(self, kubeconfig: Path, *, timeout: float = 30) -> None:
        connection = kubeconfigs.read(kubeconfig)
        headers = {"Authorization": f"Bearer {connection.token}"} if connection.token else {}
        self._http = httpx.Client(base_url=connection.server, verify=connection.tls, headers=headers, timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, **params: str) -> Object:
        return self._request("GET", path, params=params)

    def post(self, path: str, body: Object, **params: str) -> Object:
        return self._request("POST", path, body=body, params=params)

    def patch(self, path: str, body: Object, *, content_type: str = MERGE, **params: str) -> Object:
        return self._request("PATCH", path, body=body, content_type=content_type, params=params)

    def apply(self, path: str, body: Object) -> Object:
        """Server-side apply: created or brought to this content."""
        return self.patch(path, body, content_type=APPLY, fieldManager="tests", force="true")

    def delete(self, path: str, *, propagation: str = "Background", grace: int | None = None) -> None:
        options: Object = {"propagationPolicy": propagation} | ({} if grace is None else {"gracePeriodSeconds": grace})
        self._request("DELETE", path, body=options)

    def raw(self, path: str) -> str:
        """A path that does not answer JSON: `/readyz`, `/metrics`."""
        answer = self._http.get(path)
        if answer.status_code >= 400:
            raise _refusal("GET", path, code=answer.status_code, body=answer.content)
        return answer.text

    def _request(
        self,
        method: str,
        path: str,
        *,
        body: Object | None = None,
        content_type: str = "application/json",
        params: Mapping[str, str] | None = None,
    ) -> Object:
        content = None if body is None else json.dumps(body)
        headers = {"Content-Type": content_type}
        answer = self._http.request(method, path, content=content, headers=headers, params=params)
        if answer.status_code >= 400:
            raise _refusal(method, path, code=answer.status_code, body=answer.content)
        result: Object = answer.json()
        return result


class AsyncKube:
    """Asynchronous, with watches. Connection errors are aiohttp.ClientError or TimeoutError."""

    def __init__(self, kubeconfig: Path, *, timeout: float = 30) -> None:
        self._connection = kubeconfigs.read(kubeconfig)
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        token = self._connection.token
        self._session = aiohttp.ClientSession(
            base_url=self._connection.server,
            connector=aiohttp.TCPConnector(ssl=self._connection.tls, limit=0),
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=self._timeout,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            await asyncio.sleep(0.01)  # aborted transports close their sockets in a later turn of the loop

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Object | None = None,
        content_type: str = "application/json",
        params: Mapping[str, str] | None = None,
    ) -> Object:
        """Raises ApiError for an answer of 400 and above."""
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": content_type}
        async with self._open.request(method, path, data=data, headers=headers, params=params) as answer:
            content = await answer.read()
            if answer.status >= 400:
                raise _refusal(method, path, code=answer.status, body=content)
            result: Object = json.loads(content)
            return result

    async def watch(self, path: str, *, resource_version: str, seconds: int = 300) -> AsyncGenerator[Object]:
        """Watch events until the server ends the stream; an ERROR event (410 Gone) is raised as ApiError."""
        params = {
            "watch": "1",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(seconds),
            "allowWatchBookmarks": "1",
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=seconds + 30)
        async with self._open.get(path, params=params, timeout=timeout) as answer:
            if answer.status >= 400:
                raise _refusal("WATCH", path, code=answer.status, body=await answer.read())
            pending = b""
            try:
                async for chunk in answer.content.iter_any():
                    *lines, pending = (pending + chunk).split(b"\n")
                    for line in filter(None, lines):
                        event: Object = json.loads(line)
                        if event["type"] == "ERROR":
                            raise ApiError("WATCH", path, event["object"])
                        yield event
            finally:  # left in the middle: TLS would wait for the server to take leave, and the server goes on sending
                if answer.connection is not None and answer.connection.transport is not None:
                    answer.connection.transport.abort()

    @property
    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("AsyncKube is used as `async with AsyncKube(...) as kube`")
        return self._session
