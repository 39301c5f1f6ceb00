"""The Cluster protocol on the API server. One request per write, never repeated; what its answer means is in `replies`.

Reads carry no resourceVersion, which makes them quorum reads: the API server asks etcd and not its watch cache.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

from conveyor.api.annotations import GROUP, LABEL_WORKITEM, RESULT_FINALIZER, VERSION
from conveyor.cluster import events, secrets
from conveyor.cluster.connection import JSON, MANAGER, MERGE_PATCH, Connection, Reply
from conveyor.cluster.jobs import job_fact, missing_job_fact
from conveyor.cluster.leases import API_VERSION as LEASE_VERSION
from conveyor.cluster.leases import LeaseRecord, LeaseSpec, lease_record, spec_of
from conveyor.cluster.paths import path
from conveyor.cluster.pods import PodFact, pod_fact
from conveyor.cluster.protocol import (
    HEARTBEAT_ANNOTATION,
    Cluster,
    JSONObject,
    Key,
    Kind,
    Lost,
    Rejected,
    Uncertain,
    Written,
)
from conveyor.cluster.replies import failure, is_ok, without_managed_fields, written
from conveyor.cluster.watch import GONE, Source
from conveyor.pipeline.facts import JobFact
from conveyor.web.errors import Ambiguous, Conflict, NotFound, Unavailable

STRICT = MANAGER | {"fieldValidation": "Strict"}
PAGE = 500
"""Objects per page of a listing, as client-go asks."""
METADATA = f"{JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
"""What to accept for a listing of metadata alone; every API server since 1.15 makes it."""
UNTRACKED: JSONObject = {"managedFields": [{}]}
"""Strips an object of them (Kubernetes: Server-Side Apply, clearing); one without them gets none by updates."""
LIST_SECONDS = 60.0
"""For one page of a listing."""
LIST_TRIES = 3
RELEASE_TRIES = 5
JOB_NAME_LABEL = "batch.kubernetes.io/job-name"
JOB_UID_LABEL = "batch.kubernetes.io/controller-uid"


class KubernetesCluster(Cluster):
    """`namespaces`: what `pages` covers, none for all there are. The connection is the caller's to close."""

    def __init__(self, connection: Connection, *, namespaces: tuple[str, ...] = (), page: int = PAGE) -> None:
        self._connection, self._namespaces, self._page = connection, namespaces, page

    # --- WorkItems and Repositories

    async def get(self, kind: Kind, key: Key) -> JSONObject | None:
        return await self._read(_path(kind, key.namespace, key.name))

    async def pages(self, kind: Kind) -> AsyncIterator[list[JSONObject]]:
        for namespace in self._namespaces or ("",):
            async for page in self._pages(_path(kind, namespace), {}):
                yield page

    async def metadata_pages(self, kind: Kind) -> AsyncIterator[list[JSONObject]]:
        for namespace in self._namespaces or ("",):
            async for page in self._pages(_path(kind, namespace), {}, accept=METADATA):
                yield page

    async def patch_status(self, kind: Kind, key: Key, *, resource_version: str, status: JSONObject) -> Written:
        body = {"metadata": {"resourceVersion": resource_version}, "status": status}
        target = f"{_path(kind, key.namespace, key.name)}/status"
        return await self._write("PATCH", target, body, content_type=MERGE_PATCH)

    async def set_finalizers(
        self, kind: Kind, key: Key, *, resource_version: str, finalizers: tuple[str, ...], untracked: bool = False
    ) -> Written:
        metadata: JSONObject = {"resourceVersion": resource_version, "finalizers": list(finalizers)}
        body = {"metadata": metadata | UNTRACKED if untracked else metadata}
        return await self._write("PATCH", _path(kind, key.namespace, key.name), body, content_type=MERGE_PATCH)

    async def create(self, kind: Kind, manifest: JSONObject) -> Written:
        return await self._write("POST", _path(kind, manifest["metadata"]["namespace"]), manifest)

    async def delete(self, kind: Kind, key: Key, *, uid: str, resource_version: str = "") -> None:
        version = {"resourceVersion": resource_version} if resource_version else {}
        await self._delete(_path(kind, key.namespace, key.name), {"uid": uid} | version)

    # --- Jobs

    async def job(self, key: Key, *, with_message: bool) -> JobFact:
        job = await self._read(_job_path(key))
        if job is None:
            return missing_job_fact(await self._pods(key.namespace, JOB_NAME_LABEL, key.name))
        pods = await self._pods(key.namespace, JOB_UID_LABEL, job["metadata"]["uid"]) if with_message else None
        return job_fact(job, pods)

    async def stored_job(self, key: Key) -> JSONObject | None:
        return await self._read(_job_path(key))

    async def create_job(self, manifest: JSONObject) -> Written:
        return await self._write("POST", _jobs_path(manifest["metadata"]["namespace"]), manifest)

    async def start_job(self, key: Key, *, uid: str) -> Written:
        body = {"metadata": {"uid": uid}, "spec": {"suspend": False}}
        written = await self._write("PATCH", _job_path(key), body, content_type=MERGE_PATCH)
        if isinstance(written, Rejected) and "metadata.uid" in written.message:
            return Lost()  # measured on 1.34: of another uid it says 422, "metadata.uid: field is immutable"
        return written

    async def delete_job(self, key: Key, *, uid: str, resource_version: str = "") -> None:
        version = {"resourceVersion": resource_version} if resource_version else {}
        await self._delete(_job_path(key), {"uid": uid} | version)

    async def expire_job(self, key: Key, *, seconds: int) -> None:
        await self._patch_job(key, {"spec": {"ttlSecondsAfterFinished": seconds}})

    async def release_job(self, key: Key, *, expire_seconds: int | None = None) -> None:
        """Read, then write on that very version: the list of finalizers is replaced whole, and others write it too.

        Raises Conflict where others wrote between them every time.
        """
        for _ in range(RELEASE_TRIES):
            job = await self._read(_job_path(key))
            finalizers = (job or {}).get("metadata", {}).get("finalizers") or []
            if job is None or RESULT_FINALIZER not in finalizers:
                return
            left = [name for name in finalizers if name != RESULT_FINALIZER]
            patch: JSONObject = {
                "metadata": {"resourceVersion": job["metadata"]["resourceVersion"], "finalizers": left}
            }
            patch |= {"spec": {"ttlSecondsAfterFinished": expire_seconds}} if expire_seconds is not None else {}
            try:
                await self._patch_job(key, patch)
            except Conflict:
                continue
            return
        raise Conflict(f"the finalizer of Job {key} could not be removed: others wrote it {RELEASE_TRIES} times")

    # --- Leases, and the Pods of their holders

    async def pod(self, key: Key) -> PodFact | None:
        found = await self._read(f"/api/v1{path('namespaces', key.namespace, 'pods', key.name)}")
        return None if found is None else pod_fact(found)

    async def lease(self, key: Key) -> LeaseRecord | None:
        found = await self._read(_lease_path(key))
        return None if found is None else lease_record(found)

    async def leases(self) -> list[tuple[Key, LeaseRecord]]:
        found: list[JSONObject] = []
        for namespace in self._namespaces or ("",):
            found += await self._list(_leases_path(namespace), labelSelector=LABEL_WORKITEM)
        return [
            (Key(lease["metadata"]["namespace"], lease["metadata"]["name"]), lease_record(lease)) for lease in found
        ]

    async def create_lease(
        self, key: Key, lease: LeaseSpec, *, labels: Mapping[str, str], owner: JSONObject | None = None
    ) -> Written:
        metadata = {"namespace": key.namespace, "name": key.name, "labels": dict(labels)}
        owners = {"ownerReferences": [owner]} if owner is not None else {}
        manifest = {
            "apiVersion": LEASE_VERSION,
            "kind": "Lease",
            "metadata": metadata | owners,
            "spec": spec_of(lease),
        }
        return await self._write("POST", _leases_path(key.namespace), manifest)

    async def update_lease(
        self, key: Key, lease: LeaseSpec, *, resource_version: str, labels: Mapping[str, str] | None = None
    ) -> Written:
        labelled: JSONObject = {} if labels is None else {"labels": dict(labels)}
        body = {"metadata": {"resourceVersion": resource_version} | labelled, "spec": spec_of(lease)}
        return await self._write("PATCH", _lease_path(key), body, content_type=MERGE_PATCH)

    async def delete_lease(self, key: Key, *, uid: str, resource_version: str) -> Written:
        return await self._write(
            "DELETE", _lease_path(key), {"preconditions": {"uid": uid, "resourceVersion": resource_version}}
        )

    # --- the rest

    async def secret(self, key: Key) -> Mapping[str, str]:
        return await secrets.read(self._connection, key)

    async def apply_secret(self, key: Key, values: Mapping[str, str]) -> None:
        await secrets.apply(self._connection, key, values)

    async def record_event(self, event: JSONObject) -> None:
        await events.record(self._connection, event)

    async def touch_heartbeat(self, key: Key, *, value: str) -> None:
        metadata: JSONObject = {"annotations": {HEARTBEAT_ANNOTATION: value}}
        reply = await self._connection.request(
            "PATCH", _lease_path(key), params=MANAGER, body={"metadata": metadata}, content_type=MERGE_PATCH
        )
        if reply.status == 404:
            lease = {
                "apiVersion": LEASE_VERSION,
                "kind": "Lease",
                "metadata": metadata | {"namespace": key.namespace, "name": key.name},
                "spec": {},
            }
            reply = await self._connection.request("POST", _leases_path(key.namespace), params=MANAGER, body=lease)
        if not is_ok(reply):
            raise failure(reply, f"touch Lease {key}")

    # --- requests

    async def _read(self, target: str) -> JSONObject | None:
        reply = await self._connection.request("GET", target)
        if is_ok(reply):
            return without_managed_fields(reply.body)
        problem = failure(reply, f"GET {target}", reading=True)
        if isinstance(problem, NotFound):
            return None
        raise problem

    async def _list(self, target: str, **params: str) -> list[JSONObject]:
        found = {item["metadata"]["uid"]: item async for page in self._pages(target, params) for item in page}
        return list(found.values())

    async def _pages(
        self, target: str, params: Mapping[str, str], *, accept: str = JSON
    ) -> AsyncIterator[list[JSONObject]]:
        """Of one listing, which is a snapshot; begun anew, from its first page, where it grew too old meanwhile (410).

        The next page is on its way while one is used.
        """

        def ask(**more: str) -> asyncio.Task[Reply]:
            query = {**params, "limit": str(self._page), **more}
            request = self._connection.request("GET", target, params=query, accept=accept, timeout=LIST_SECONDS)
            return asyncio.create_task(request)

        begun, coming = 1, ask()
        try:
            while True:
                reply = await coming
                if reply.status == GONE and begun < LIST_TRIES:
                    begun, coming = begun + 1, ask()
                    continue
                if reply.status == GONE:
                    raise Unavailable(f"GET {target}: the listing expired {LIST_TRIES} times before its last page")
                if not is_ok(reply):
                    raise failure(reply, f"GET {target}", reading=True)
                token = reply.body["metadata"].get("continue")
                if token:
                    coming = ask(**{"continue": token})
                # An empty list of metadata alone is null (measured on 1.34).
                yield [without_managed_fields(item) for item in reply.body["items"] or ()]
                if not token:
                    return
        finally:
            coming.cancel()

    async def _pods(self, namespace: str, label: str, value: str) -> list[JSONObject]:
        return await self._list(f"/api/v1{path('namespaces', namespace, 'pods')}", labelSelector=f"{label}={value}")

    async def _write(self, method: str, target: str, body: JSONObject, *, content_type: str = JSON) -> Written:
        try:
            reply = await self._connection.request(method, target, params=STRICT, body=body, content_type=content_type)
        except Ambiguous as lost:
            return Uncertain(str(lost))
        return written(reply, f"{method} {target}")

    async def _patch_job(self, key: Key, patch: JSONObject) -> None:
        """A Job that is gone is no error."""
        reply = await self._connection.request(
            "PATCH", _job_path(key), params=MANAGER, body=patch, content_type=MERGE_PATCH
        )
        if not is_ok(reply):
            error = failure(reply, f"patch Job {key}")
            if not isinstance(error, NotFound):
                raise error

    async def _delete(self, target: str, preconditions: JSONObject) -> None:
        """An object that is gone, or is not what was meant (409: a precondition failed), is no error."""
        options = {"propagationPolicy": "Background", "preconditions": preconditions}
        reply = await self._connection.request("DELETE", target, body=options)
        if not is_ok(reply):
            error = failure(reply, f"DELETE {target}")
            if not isinstance(error, NotFound | Conflict):
                raise error


def sources(namespaces: tuple[str, ...], *, heartbeat: Key) -> Mapping[str, list[Source]]:
    """What an operator watches, by the kind's plural; without namespaces everywhere."""
    places = namespaces or ("",)
    return {
        **{kind.value: [Source(_path(kind, place), {}, listed_elsewhere=True) for place in places] for kind in Kind},
        "jobs": [
            Source(_jobs_path(place), {"labelSelector": LABEL_WORKITEM}, listed_elsewhere=False) for place in places
        ],
        "leases": [
            Source(
                _leases_path(heartbeat.namespace),
                {"fieldSelector": f"metadata.name={heartbeat.name}"},
                listed_elsewhere=False,
            )
        ],
    }


def _path(kind: Kind, namespace: str, name: str = "") -> str:
    """Of one object; of all in a namespace without a name; of all there are without either."""
    return f"/apis/{GROUP}/{VERSION}{_inside(namespace)}/{kind}{path(name) if name else ''}"


def _jobs_path(namespace: str) -> str:
    return f"/apis/batch/v1{_inside(namespace)}/jobs"


def _job_path(key: Key) -> str:
    return _jobs_path(key.namespace) + path(key.name)


def _leases_path(namespace: str) -> str:
    return f"/apis/{LEASE_VERSION}{_inside(namespace)}/leases"


def _inside(namespace: str) -> str:
    """One namespace; the empty one is all."""
    return path("namespaces", namespace) if namespace else ""


def _lease_path(key: Key) -> str:
    return _leases_path(key.namespace) + path(key.name)
