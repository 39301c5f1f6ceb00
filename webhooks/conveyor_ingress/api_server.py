"""The store on the Kubernetes API, over plain HTTP: four calls need no client library."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Self, TypeVar

import aiohttp

from conveyor.api.annotations import GROUP, VERSION
from conveyor_ingress.cluster_access import Access
from conveyor_ingress.resolve import CreateItem, Kind, PatchHint
from conveyor_ingress.store import StoreUnavailable
from conveyor_ingress.views import ItemView, RepositoryView, hint_key, read_item, read_repository

CALL_SECONDS = 3.0
CONNECT_SECONDS = 1.5
MAX_CONNECTIONS = 16
KEPT_SECONDS = 60.0
"""An idle connection is kept so long: a new one costs more than a call. The API server closes its own after 90."""

FROM_CACHE = "?resourceVersion=0"
"""Any version will do: the API server answers from its watch cache and does not ask etcd."""

_PLURAL: dict[Kind, str] = {"WorkItem": "workitems", "Repository": "repositories"}
# A write's reply is the whole object, which we do not want.
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_MERGE_PATCH = "application/merge-patch+json"

_View = TypeVar("_View", RepositoryView, ItemView)


class ApiServer:
    """Open it with `async with`. Never follows a redirect and uses no proxy: the token goes to this server only."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, ssl=self._access.tls, keepalive_timeout=KEPT_SECONDS),
            timeout=aiohttp.ClientTimeout(total=CALL_SECONDS, sock_connect=CONNECT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def repository(self, namespace: str, name: str) -> RepositoryView | None:
        return await self._get("Repository", namespace, name, read=read_repository)

    async def item(self, namespace: str, name: str, *, newest: bool = True) -> ItemView | None:
        return await self._get("WorkItem", namespace, name, read=read_item, query="" if newest else FROM_CACHE)

    async def put_hint(self, namespace: str, hint: PatchHint) -> bool:
        patch = {"metadata": {"annotations": {hint_key(hint.hint): hint.value}}}
        path = _path(hint.kind, namespace, hint.name)
        status, _ = await self._call("PATCH", path, body=patch, content_type=_MERGE_PATCH)
        return _expect(status, done=(200,), other=404)

    async def create_item(self, namespace: str, item: CreateItem) -> bool:
        status, _ = await self._call("POST", _path("WorkItem", namespace), body=item.manifest(namespace))
        return _expect(status, done=(200, 201), other=409)

    async def reach(self) -> None:
        status, _ = await self._call("GET", "/version")
        _expect(status, done=(200,))

    async def _get(
        self, kind: Kind, namespace: str, name: str, *, read: Callable[[bytes], _View], query: str = ""
    ) -> _View | None:
        status, body = await self._call("GET", _path(kind, namespace, name) + query)
        if not _expect(status, done=(200,), other=404):
            return None
        try:
            return read(body)
        except ValueError as error:
            raise StoreUnavailable(f"{kind} {namespace}/{name} cannot be read") from error

    async def _call(
        self, method: str, path: str, *, body: dict[str, Any] | None = None, content_type: str = "application/json"
    ) -> tuple[int, bytes]:
        headers = {"Accept": "application/json" if method == "GET" else METADATA_ONLY, "Content-Type": content_type}
        try:
            if token := self._access.token():
                headers["Authorization"] = f"Bearer {token}"
            async with self._session.request(
                method,
                self._access.server + path,
                data=json.dumps(body).encode() if body is not None else None,
                headers=headers,
                allow_redirects=False,
            ) as reply:
                # Read to its end whatever it says: a connection with something left in it cannot be used again.
                return reply.status, await reply.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise StoreUnavailable(f"{method}: {type(error).__name__}") from error


def _path(kind: Kind, namespace: str, name: str = "") -> str:
    path = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{_PLURAL[kind]}"
    return f"{path}/{name}" if name else path


def _expect(status: int, *, done: tuple[int, ...], other: int | None = None) -> bool:
    if status in done:
        return True
    if status == other:
        return False
    raise StoreUnavailable(f"the API server answered {status}")
