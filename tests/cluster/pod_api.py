"""What a node asks of the API server for its pods, repeated through restarts of the server until it is answered."""

import asyncio
import contextlib
import json
import logging
import ssl
from collections.abc import AsyncGenerator, Iterable
from typing import Any

import aiohttp

from tests.cluster.api import STRATEGIC, ApiError, AsyncKube
from tests.cluster.pod_inputs import Object

log = logging.getLogger(__name__)
_TRANSIENT = (429, 500, 502, 503, 504)
_LOST = (aiohttp.ClientError, TimeoutError, ssl.SSLError, json.JSONDecodeError)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0


class PodApi:
    """`awake` is cleared to play a node that has lost the network: calls then wait."""

    def __init__(self, kube: AsyncKube) -> None:
        self._kube = kube
        self.awake = asyncio.Event()
        self.awake.set()

    async def bind(self, pod: Object, node: str) -> bool:
        """Whether the pod is ours now. A 409 says that it has a node: ours, if an answer was lost."""
        metadata = {"name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
        target = {"apiVersion": "v1", "kind": "Node", "name": node}
        body = {"apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": target}
        try:
            await self.call("POST", f"{path_of(pod)}/binding", body)
        except ApiError as error:
            if error.code == 409:
                return await self._is_bound(pod, node)
            if error.code in (403, 404, 422):  # gone, or its namespace is going
                return False
            raise
        return True

    async def _is_bound(self, pod: Object, node: str) -> bool:
        try:
            found = await self.call("GET", path_of(pod))
        except ApiError as error:
            if error.code == 404:
                return False
            raise
        same = found["metadata"]["uid"] == pod["metadata"]["uid"]
        return bool(same and found["spec"].get("nodeName") == node)

    async def set_status(self, pod: Object, status: Object) -> Object | None:
        """The pod as it is afterwards; None when it is gone, or another has its name by now."""
        patch = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": status}
        try:
            return await self.call("PATCH", f"{path_of(pod)}/status", patch, content_type=STRATEGIC)
        except ApiError as error:
            if error.code in (404, 409):
                return None
            raise

    async def finish_deletion(self, pod: Object) -> None:
        """The second DELETE, by which a node lets go of a pod that it has ended."""
        preconditions = {"uid": pod["metadata"]["uid"]}
        try:
            await self.call("DELETE", path_of(pod), {"gracePeriodSeconds": 0, "preconditions": preconditions})
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    async def fetch(self, pod: Object, references: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Object]:
        """Those Secrets and ConfigMaps (resource, name) of the pod's namespace that exist."""
        found = {}
        for resource, name in references:
            try:
                path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/{resource}/{name}"
                found[resource, name] = await self.call("GET", path)
            except ApiError as error:
                if error.code != 404:
                    raise
        return found

    async def service_account_token(self, pod: Object, projection: Object) -> str:
        metadata = pod["metadata"]
        account = pod["spec"].get("serviceAccountName", "default")
        bound = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
        spec = {"expirationSeconds": projection.get("expirationSeconds", 3600), "boundObjectRef": bound}
        if "audience" in projection:
            spec["audiences"] = [projection["audience"]]
        answer = await self.call(
            "POST",
            f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec},
        )
        return str(answer["status"]["token"])

    async def events(self, namespace: str | None) -> AsyncGenerator[tuple[str, Any]]:
        """("LISTED", all pods) at first and after every gap, ("CHANGED", pod) and ("DELETED", pod) between; endless."""
        path = f"/api/v1/namespaces/{namespace}/pods" if namespace else "/api/v1/pods"
        while True:
            listed = await self.call("GET", path)
            yield "LISTED", listed["items"]
            version = listed["metadata"]["resourceVersion"]
            try:
                while True:
                    async with contextlib.aclosing(self._kube.watch(path, resource_version=version)) as stream:
                        async for event in stream:
                            await self.awake.wait()
                            version = event["object"]["metadata"]["resourceVersion"]
                            if event["type"] != "BOOKMARK":
                                yield "DELETED" if event["type"] == "DELETED" else "CHANGED", event["object"]
            except (*_LOST, ApiError) as error:
                log.debug("watch of %s broke: %r", path, error)
                await asyncio.sleep(_FIRST_PAUSE)

    async def call(
        self, method: str, path: str, body: Object | None = None, *, content_type: str = "application/json"
    ) -> Object:
        """Raises ApiError for answers that another try would not change."""
        pause = _FIRST_PAUSE
        while True:
            await self.awake.wait()
            try:
                return await self._kube.request(method, path, body=body, content_type=content_type)
            except ApiError as error:
                if error.code not in _TRANSIENT:
                    raise
                log.debug("%s %s: %s", method, path, error)
            except _LOST as error:
                log.debug("%s %s: %r", method, path, error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


def path_of(pod: Object) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
