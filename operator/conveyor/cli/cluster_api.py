"""`Api` on a real API server, reached as kubectl does: the user's kubeconfig, its current context and namespace."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import yaml
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config.config_exception import ConfigException
from kubernetes.aio.config.kube_config import load_kube_config

from conveyor.api.objects import API_VERSION
from conveyor.cli.api import Api, JSONObject
from conveyor.cluster.connection import MERGE_PATCH, Connection, Reply
from conveyor.cluster.replies import failure, is_ok
from conveyor.web.errors import OutsideError, Unavailable

PAGE = 500
"""Objects per page of a listing, as kubectl asks."""
LIST_SECONDS = 60.0
LIST_TRIES = 3
MANAGER = {"fieldManager": "kubectl-workitem", "fieldValidation": "Strict"}
OURS = f"/apis/{API_VERSION}"
BATCH, COORDINATION = "/apis/batch/v1", "/apis/coordination.k8s.io/v1"
REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_UNUSABLE = (ConfigException, OSError, yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError)
"""What the loader raises for files that are none."""


@dataclass(frozen=True, slots=True)
class Login:
    """Which kubeconfig, several joined as in KUBECONFIG, and which of its contexts."""

    files: str
    context: str | None = None


def login(kubeconfig: str | None, context: str | None, environ: Mapping[str, str]) -> Login:
    """As kubectl chooses: the file that was named, then KUBECONFIG, then ~/.kube/config."""
    return Login(files=kubeconfig or environ.get("KUBECONFIG") or "~/.kube/config", context=context)


class ClusterApi(Api):
    """`async with`. `namespace` is the context's own."""

    def __init__(self, connection: Connection, *, namespace: str, page: int = PAGE) -> None:
        self._connection, self.namespace, self._page = connection, namespace, page

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._connection.close()

    async def workitems(self, namespace: str, *, labels: str = "", fields: str = "") -> list[JSONObject]:
        return await self._list(_path("workitems", namespace), {"labelSelector": labels, "fieldSelector": fields})

    async def repositories(self, namespace: str) -> list[JSONObject]:
        return await self._list(_path("repositories", namespace), {})

    async def workitem(self, namespace: str, name: str) -> JSONObject:
        return await self._get(_path("workitems", namespace, name), f"WorkItem {namespace}/{name}")

    async def repository(self, namespace: str, name: str) -> JSONObject:
        return await self._get(_path("repositories", namespace, name), f"Repository {namespace}/{name}")

    async def patch(self, namespace: str, name: str, patch: JSONObject) -> JSONObject:
        return await self._patch(_path("workitems", namespace, name), patch, f"WorkItem {namespace}/{name}")

    async def patch_repository(self, namespace: str, name: str, patch: JSONObject) -> JSONObject:
        return await self._patch(_path("repositories", namespace, name), patch, f"Repository {namespace}/{name}")

    async def jobs(self, namespace: str, labels: str) -> list[JSONObject]:
        return await self._list(_path("jobs", namespace, root=BATCH), {"labelSelector": labels})

    async def leases(self, namespace: str, labels: str) -> list[JSONObject]:
        return await self._list(_path("leases", namespace, root=COORDINATION), {"labelSelector": labels})

    async def _patch(self, target: str, patch: JSONObject, wanted: str) -> JSONObject:
        reply = await self._connection.request("PATCH", target, params=MANAGER, body=patch, content_type=MERGE_PATCH)
        return _body(reply, wanted)

    async def user(self) -> str:
        """Never a reason to fail: the name is for people who read the request."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        try:
            reply = await self._connection.request("POST", REVIEWS, body=review)
        except OutsideError:
            return ""
        found = reply.body.get("status", {}).get("userInfo", {}).get("username") if is_ok(reply) else None
        return str(found or "")

    async def _get(self, target: str, wanted: str) -> JSONObject:
        return _body(await self._connection.request("GET", target), wanted)

    async def _list(self, target: str, selectors: Mapping[str, str]) -> list[JSONObject]:
        """All pages of one listing; begun anew where it grew too old meanwhile (410)."""
        query = {name: value for name, value in selectors.items() if value} | {"limit": str(self._page)}
        for _ in range(LIST_TRIES):
            found = await self._pages(target, query)
            if found is not None:
                return found
        raise Unavailable(f"{target}: the listing expired {LIST_TRIES} times before its last page")

    async def _pages(self, target: str, query: Mapping[str, str]) -> list[JSONObject] | None:
        found: list[JSONObject] = []
        token = ""
        while True:
            more = {"continue": token} if token else {}
            reply = await self._connection.request("GET", target, params={**query, **more}, timeout=LIST_SECONDS)
            if reply.status == 410:
                return None
            body = _body(reply, target)
            found += body["items"]
            token = body["metadata"].get("continue", "")
            if not token:
                return found


async def connect(chosen: Login, *, page: int = PAGE) -> ClusterApi:
    """Raises Unavailable where there is no kubeconfig that can be used."""
    if not _exists(chosen):
        raise Unavailable(f"there is no kubeconfig at {chosen.files}")
    configuration = Configuration()
    try:
        loader = await load_kube_config(  # type: ignore[no-untyped-call]
            chosen.files, chosen.context, configuration, persist_config=False
        )
        namespace = loader.current_context["context"].get("namespace") or "default"
    except _UNUSABLE as error:
        said = str(error) if isinstance(error, ConfigException) else type(error).__name__
        raise Unavailable(f"the kubeconfig {chosen.files} cannot be used: {said}") from error
    return ClusterApi(Connection(configuration), namespace=str(namespace), page=page)


def _exists(chosen: Login) -> bool:
    return any(Path(file).expanduser().is_file() for file in chosen.files.split(os.pathsep) if file)


def _path(plural: str, namespace: str, name: str = "", *, root: str = OURS) -> str:
    place = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    return f"{root}{place}/{plural}" + (f"/{quote(name, safe='')}" if name else "")


def _body(reply: Reply, wanted: str) -> JSONObject:
    if not is_ok(reply):
        raise failure(reply, wanted, reading=True)
    return reply.body
