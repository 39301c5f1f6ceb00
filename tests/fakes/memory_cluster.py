"""The Cluster protocol in memory: resourceVersions, compare-and-swap and the status subresource as in the API server.

Jobs run until a test ends them by hand; they are read by the same function as real ones. What people and other
controllers do to objects is a method of `store`. Agreement with a real API server is tested in
tests/integration/test_cluster_client_agreement.py.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from enum import StrEnum

from conveyor.api.annotations import LABEL_WORKITEM, RESULT_FINALIZER
from conveyor.api.fields import rfc3339
from conveyor.cluster.client import UNTRACKED
from conveyor.cluster.jobs import job_fact, missing_job_fact
from conveyor.cluster.leases import LeaseRecord, LeaseSpec, lease_record, spec_of
from conveyor.cluster.merge_patch import apply_merge_patch
from conveyor.cluster.pods import PodFact, pod_fact
from conveyor.cluster.protocol import Cluster, JSONObject, Key, Kind, Lost, Rejected, Uncertain, Won, Written
from conveyor.pipeline.facts import JobFact
from conveyor.web.errors import Ambiguous, NotFound, RateLimited, Refused, Unavailable
from tests.fakes import memory_jobs, memory_leases
from tests.fakes.clock import Clock, ManualClock
from tests.fakes.copies import json_copy
from tests.fakes.gates import Fate, Gate
from tests.fakes.memory_rules import refusal, strictness, with_defaults
from tests.fakes.memory_store import JOBS, LEASES, PODS, MemoryStore, OnChange, key_of
from tests.fakes.memory_writes import Write, outcome_of


class Fault(StrEnum):
    """What can happen to a call; the last four to a write only."""

    UNAVAILABLE = "unavailable"
    """No connection: provably nothing happened."""
    RATE_LIMITED = "rate limited"
    REQUEST_LOST = "request lost"
    """No answer, and nothing was applied."""
    ANSWER_LOST = "answer lost"
    """No answer, though it was applied."""
    OVERTAKEN = "overtaken"
    """Somebody else writes the object just before."""
    REJECTED = "rejected"


class MemoryCluster(Cluster):
    def __init__(self, clock: Clock | None = None, *, on_change: OnChange | None = None) -> None:
        self.clock = clock or ManualClock()
        self.store = MemoryStore(self.clock, on_change)
        self.writes: list[Write] = []
        """The ledger."""
        self.events: dict[Key, JSONObject] = {}
        self.secrets: dict[Key, dict[str, str]] = {}
        self.heartbeats: dict[Key, str] = {}
        self.overtake: Callable[[str, Key], object] = self._annotate
        """What somebody else does to the object just before, where a write is overtaken."""
        self.gate = Gate()
        self._faults: list[tuple[str, Fault | None]] = []

    # --- what a test does

    def fail_next(self, verb: str, fault: Fault, *, after: int = 0) -> None:
        """Let this befall the next call of a method of the protocol, or one `after` so many; several wait in line."""
        self._faults += [*[(verb, None)] * after, (verb, fault)]

    def writes_of(self, verb: str, *, outcome: str = "applied") -> list[Write]:
        return [write for write in self.writes if (write.verb, write.outcome) == (verb, outcome)]

    def end_job(self, key: Key, *, message: str = "", exit_code: int = 0, container: str | None = None) -> None:
        """The Job's pod ends: the main container with this message, or `container` with this exit code."""
        job = self.store.objects[JOBS, key]
        self.store.pods[key] = [
            memory_jobs.ended_pod(job, message=message, exit_code=exit_code, container=container, now=self.clock.now())
        ]
        self._finish(key, memory_jobs.ended_status(exit_code=exit_code, now=self.clock.now()))

    def fail_job(self, key: Key, *, reason: str, pods: Sequence[JSONObject] = ()) -> None:
        """The Job fails for a reason of the cluster, leaving these pods: none after a deadline, say."""
        self.store.pods[key] = list(pods)
        self._finish(key, memory_jobs.failed_status(reason, now=self.clock.now()))

    def _finish(self, key: Key, status: JSONObject) -> None:
        """The Job's controller writes no status any more once the Job is being deleted."""
        if "deletionTimestamp" not in self.store.objects[JOBS, key]["metadata"]:
            self.store.set_status(JOBS, key, status)

    def pod_waits(self, key: Key, *, reason: str, message: str = "") -> None:
        self.store.pods[key] = [memory_jobs.waiting_pod(self.store.objects[JOBS, key], reason=reason, message=message)]

    def leave_pods(self, key: Key) -> None:
        """Whatever happens to this Job now, its pods stay at work until `end_pods`: a lost node."""
        for pod in self.store.pods[key]:
            pod["metadata"]["stays"] = True

    def end_pods(self, key: Key) -> None:
        self.store.pods.pop(key, None)

    # --- WorkItems and Repositories

    async def get(self, kind: Kind, key: Key) -> JSONObject | None:
        await self._read("get", f"{kind} {key}")
        return json_copy(self.store.objects.get((kind, key)))

    async def pages(self, kind: Kind) -> AsyncIterator[list[JSONObject]]:
        await self._read("pages")
        yield [self.store.object(kind, key) for key in self.store.keys(kind)]

    async def metadata_pages(self, kind: Kind) -> AsyncIterator[list[JSONObject]]:
        await self._read("pages")
        yield [{"metadata": self.store.object(kind, key)["metadata"]} for key in self.store.keys(kind)]

    async def patch_status(self, kind: Kind, key: Key, *, resource_version: str, status: JSONObject) -> Written:
        def write() -> Written:
            old = self.store.objects.get((kind, key))
            if old is None:
                return Lost()
            if resource_version in ("", "0"):
                return Rejected("metadata.resourceVersion: must be specified for an update")
            new = apply_merge_patch(old, {"status": status})
            unknown = strictness(kind, new)
            if unknown:
                return Rejected(unknown)
            if resource_version != old["metadata"]["resourceVersion"]:
                return Lost()
            why = refusal(kind, old=old, new=new)
            return Rejected(why) if why else Won(self.store.put(kind, key, new))

        return await self._write("patch_status", kind, key, status, write)

    async def set_finalizers(
        self, kind: Kind, key: Key, *, resource_version: str, finalizers: tuple[str, ...], untracked: bool = False
    ) -> Written:
        def write() -> Written:
            old = self.store.objects.get((kind, key))
            if old is None or resource_version != old["metadata"]["resourceVersion"]:
                return Lost()
            added = set(finalizers) - set(old["metadata"].get("finalizers") or [])
            if added and "deletionTimestamp" in old["metadata"]:
                return Rejected("no new finalizers can be added if the object is being deleted")
            new = apply_merge_patch(old, {"metadata": {"finalizers": list(finalizers) or None}})
            return Won(self.store.put(kind, key, new))

        sent = {"finalizers": list(finalizers)} | (UNTRACKED if untracked else {})
        return await self._write("set_finalizers", kind, key, sent, write)

    async def create(self, kind: Kind, manifest: JSONObject) -> Written:
        key = key_of(manifest)

        def write() -> Written:
            new = with_defaults(kind, {name: value for name, value in manifest.items() if name != "status"})
            why = strictness(kind, manifest) or refusal(kind, old={}, new=new)
            if why:
                return Rejected(why)
            return Lost() if (kind, key) in self.store.objects else Won(self.store.add(kind, key, new))

        return await self._write("create", kind, key, manifest, write)

    async def delete(self, kind: Kind, key: Key, *, uid: str, resource_version: str = "") -> None:
        await self._delete("delete", kind, key, uid, resource_version=resource_version)

    # --- Jobs

    async def job(self, key: Key, *, with_message: bool) -> JobFact:
        await self._read("job")
        job = self.store.objects.get((JOBS, key))
        pods = self.store.pods.get(key, [])
        return missing_job_fact(pods) if job is None else job_fact(job, pods if with_message else None)

    async def stored_job(self, key: Key) -> JSONObject | None:
        await self._read("stored_job")
        return json_copy(self.store.objects.get((JOBS, key)))

    async def create_job(self, manifest: JSONObject) -> Written:
        key = key_of(manifest)

        def write() -> Written:
            if (JOBS, key) in self.store.objects:
                return Lost()
            held = manifest["spec"].get("suspend")
            job = self.store.add(JOBS, key, manifest | {"status": {} if held else self._begun()})
            self.store.pods[key] = [] if held else [memory_jobs.running_pod(job)]
            return Won(job)

        return await self._write("create_job", JOBS, key, manifest, write)

    async def start_job(self, key: Key, *, uid: str) -> Written:
        def write() -> Written:
            job = self.store.objects.get((JOBS, key))
            if job is None or job["metadata"]["uid"] != uid:
                return Lost()
            begins = job["spec"].get("suspend") and "deletionTimestamp" not in job["metadata"]
            if begins:
                self.store.pods[key] = [memory_jobs.running_pod(job)]
            changes = {"spec": {"suspend": False}} | ({"status": self._begun()} if begins else {})
            return Won(self.store.put(JOBS, key, apply_merge_patch(job, changes)))

        return await self._write("start_job", JOBS, key, {"uid": uid}, write)

    def _begun(self) -> JSONObject:
        """What the Job's controller says of one that is not suspended."""
        return {"active": 1, "startTime": rfc3339(self.clock.now())}

    async def delete_job(self, key: Key, *, uid: str, resource_version: str = "") -> None:
        await self._delete("delete_job", JOBS, key, uid, resource_version=resource_version)

    async def expire_job(self, key: Key, *, seconds: int) -> None:
        await self._patch_job("expire_job", key, lambda _: {"spec": {"ttlSecondsAfterFinished": seconds}})

    async def release_job(self, key: Key, *, expire_seconds: int | None = None) -> None:
        def patch(job: JSONObject) -> JSONObject:
            had = job["metadata"].get("finalizers", [])
            left = [name for name in had if name != RESULT_FINALIZER]
            expires = expire_seconds is not None and RESULT_FINALIZER in had
            spec = {"spec": {"ttlSecondsAfterFinished": expire_seconds}} if expires else {}
            return {"metadata": {"finalizers": left or None}} | spec

        await self._patch_job("release_job", key, patch)

    # --- Leases, and the Pods of their holders

    async def pod(self, key: Key) -> PodFact | None:
        """A Pod of the operator's own: one that a test put into the store as kind PODS."""
        await self._read("pod")
        pod = self.store.objects.get((PODS, key))
        return None if pod is None else pod_fact(pod)

    async def lease(self, key: Key) -> LeaseRecord | None:
        await self._read("lease")
        lease = self.store.objects.get((LEASES, key))
        return None if lease is None else lease_record(json_copy(lease))

    async def leases(self) -> list[tuple[Key, LeaseRecord]]:
        await self._read("leases")
        found = {key: lease for (kind, key), lease in self.store.objects.items() if kind == LEASES}
        labelled = {key: lease for key, lease in found.items() if LABEL_WORKITEM in lease["metadata"].get("labels", {})}
        return [(key, lease_record(json_copy(lease))) for key, lease in sorted(labelled.items())]

    async def create_lease(
        self, key: Key, lease: LeaseSpec, *, labels: Mapping[str, str], owner: JSONObject | None = None
    ) -> Written:
        manifest = memory_leases.new_lease(key, lease, labels, owner)

        def write() -> Written:
            why = memory_leases.refusal(lease)
            if why:
                return Rejected(why)
            return Lost() if (LEASES, key) in self.store.objects else Won(self.store.add(LEASES, key, manifest))

        return await self._write("create_lease", LEASES, key, manifest["spec"], write)

    async def update_lease(
        self, key: Key, lease: LeaseSpec, *, resource_version: str, labels: Mapping[str, str] | None = None
    ) -> Written:
        labelled: JSONObject = {} if labels is None else {"metadata": {"labels": dict(labels)}}

        def write() -> Written:
            old = self.store.objects.get((LEASES, key))
            if old is None:
                return Lost()
            if resource_version in ("", "0"):
                return Rejected("metadata.resourceVersion: must be specified for an update")
            if resource_version != old["metadata"]["resourceVersion"]:
                return Lost()
            why = memory_leases.refusal(lease)
            new = apply_merge_patch(old, {"spec": spec_of(lease)} | labelled)
            return Rejected(why) if why else Won(self.store.put(LEASES, key, new))

        return await self._write("update_lease", LEASES, key, spec_of(lease), write)

    async def delete_lease(self, key: Key, *, uid: str, resource_version: str) -> Written:
        def write() -> Written:
            metadata = self.store.objects.get((LEASES, key), {}).get("metadata", {})
            if (metadata.get("uid"), metadata.get("resourceVersion")) != (uid, resource_version):
                return Lost()
            return Won(self.store.delete(LEASES, key))

        return await self._write("delete_lease", LEASES, key, {"uid": uid}, write)

    # --- the rest

    async def secret(self, key: Key) -> Mapping[str, str]:
        await self._read("secret")
        if key not in self.secrets:
            raise NotFound(f"Secret {key} is missing", status=404)
        return dict(self.secrets[key])

    async def apply_secret(self, key: Key, values: Mapping[str, str]) -> None:
        def write() -> Written:
            self.secrets[key] = dict(values)
            self.store.next_version()
            return Won({})

        if self.secrets.get(key) != dict(values):
            self._proved(await self._write("apply_secret", "secrets", key, {}, write))

    async def record_event(self, event: JSONObject) -> None:
        def write() -> Written:
            stored = self.events.get(key_of(event))
            count = 1 if stored is None else (stored.get("series") or {}).get("count", 1) + 1
            series = {} if count == 1 else {"series": {"count": count, "lastObservedTime": event["eventTime"]}}
            self.events[key_of(event)] = (stored or json_copy(event)) | series
            self.store.next_version()
            return Won(self.events[key_of(event)])

        self._proved(await self._write("record_event", "events", key_of(event), event, write))

    async def touch_heartbeat(self, key: Key, *, value: str) -> None:
        def write() -> Written:
            self.heartbeats[key] = value
            self.store.next_version()
            return Won({})

        self._proved(await self._write("touch_heartbeat", "leases", key, {}, write))

    # --- one call

    async def _read(self, verb: str, about: str = "") -> None:
        await asyncio.sleep(0)  # others may come in between
        self._not_sent(self._take(verb), verb)
        if await self.gate.arrive(verb, about) != Fate.LANDS:
            raise Unavailable(f"{verb}: no answer")

    async def _write(self, verb: str, kind: str, key: Key, body: JSONObject, act: Callable[[], Written]) -> Written:
        await asyncio.sleep(0)
        fault = self._take(verb)
        if fault in (Fault.UNAVAILABLE, Fault.RATE_LIMITED, Fault.REQUEST_LOST):
            self.writes.append(Write(verb, kind, key, "not sent", json_copy(body), fault))
            self._not_sent(fault, verb)
            return Uncertain(f"{verb} {key}: no answer")

        def land() -> Written:
            if fault == Fault.OVERTAKEN and (kind, key) in self.store.objects:
                self.overtake(kind, key)
            before = self.store.version
            written = Rejected("as the test wished") if fault == Fault.REJECTED else act()
            outcome = outcome_of(written, changed=self.store.version != before)
            self.writes.append(Write(verb, kind, key, outcome, json_copy(body), fault))
            return written

        fate = await self.gate.arrive(verb, f"{kind} {key}", land)
        if fate in (Fate.LOST, Fate.LATE):
            return Uncertain(f"{verb} {key}: no answer")
        written = land()
        await asyncio.sleep(0)
        lost = fault == Fault.ANSWER_LOST or fate == Fate.ANSWER_LOST
        return Uncertain(f"{verb} {key}: no answer") if lost else written

    def _annotate(self, kind: str, key: Key) -> None:
        self.store.edit(kind, key, {"metadata": {"annotations": {"somebody-else": str(self.store.version)}}})

    def _take(self, verb: str) -> Fault | None:
        for index, (name, fault) in enumerate(self._faults):
            if name == verb:
                del self._faults[index]
                return fault
        return None

    def _not_sent(self, fault: Fault | None, verb: str) -> None:
        if fault == Fault.UNAVAILABLE:
            raise Unavailable(f"{verb}: no connection to the API server")
        if fault == Fault.RATE_LIMITED:
            raise RateLimited(f"{verb}: the API server is busy", until_seconds=1.0)

    def _proved(self, written: Written) -> None:
        """What the methods without a result do with one. What is gone, or overtaken, is no error to them."""
        match written:
            case Won() | Lost():
                return
            case Rejected(message):
                raise Refused(message, status=422)
            case Uncertain(message):
                raise Ambiguous(message)

    async def _delete(self, verb: str, kind: str, key: Key, uid: str, *, resource_version: str = "") -> None:
        def write() -> Written:
            obj = self.store.objects.get((kind, key))
            if obj is None or obj["metadata"]["uid"] != uid:
                return Lost()
            if resource_version not in ("", obj["metadata"]["resourceVersion"]):
                return Lost()
            deleted = self.store.delete(kind, key)
            if kind == JOBS and (kind, key) in self.store.objects:
                deleted = self.store.set_status(kind, key, {"active": None})
            return Won(deleted)

        self._proved(await self._write(verb, kind, key, {"uid": uid}, write))

    async def _patch_job(self, verb: str, key: Key, patch: Callable[[JSONObject], JSONObject]) -> None:
        def write() -> Written:
            job = self.store.objects.get((JOBS, key))
            return Lost() if job is None else Won(self.store.put(JOBS, key, apply_merge_patch(job, patch(job))))

        self._proved(await self._write(verb, JOBS, key, {}, write))
