"""Objects as the API server keeps them: versions that only rise, finalizers, owners, a watch that misses nothing."""

from collections.abc import Callable
from uuid import UUID

from conveyor.api.fields import rfc3339
from conveyor.cluster.merge_patch import apply_merge_patch
from conveyor.cluster.protocol import JSONObject, Key, Kind
from tests.fakes.clock import Clock
from tests.fakes.copies import json_copy

JOBS, LEASES, PODS = "jobs", "leases", "pods"
"""Kinds beside the protocol's. PODS are the operator's own; those of Jobs are in `MemoryStore.pods`."""

OnChange = Callable[[str, str, JSONObject], None]
"""Called with kind, event type (ADDED, MODIFIED, DELETED) and a copy of the object, before the writer is answered."""


class MemoryStore:
    def __init__(self, clock: Clock, on_change: OnChange | None = None) -> None:
        self.clock, self.on_change = clock, on_change
        self.objects: dict[tuple[str, Key], JSONObject] = {}
        self.pods: dict[Key, list[JSONObject]] = {}
        """By Job; one with `metadata.stays` outlives its Job."""
        self.version = 1000
        self._uids = 0

    # --- reading

    def object(self, kind: str, key: Key) -> JSONObject:
        return json_copy(self.objects[kind, key])

    def keys(self, kind: str) -> list[Key]:
        return sorted(key for stored, key in self.objects if stored == kind)

    # --- what people and other controllers do

    def edit(self, kind: str, key: Key, patch: JSONObject) -> JSONObject:
        """A merge-patch of anything but the status, unchecked. Taking the last finalizer off ends a deletion."""
        old = self.objects[kind, key]
        new = apply_merge_patch(old, {name: value for name, value in patch.items() if name != "status"})
        if new.get("spec") != old.get("spec"):
            new["metadata"] = new["metadata"] | {"generation": old["metadata"]["generation"] + 1}
        return self.put(kind, key, new)

    def set_status(self, kind: str, key: Key, patch: JSONObject) -> JSONObject:
        """A merge-patch of the status, unchecked and without regard to the version."""
        return self.put(kind, key, apply_merge_patch(self.objects[kind, key], {"status": patch}))

    def delete(self, kind: str, key: Key) -> JSONObject:
        """In the background: what has a finalizer stays for now."""
        obj = self.objects[kind, key]
        deleted = {"deletionTimestamp": rfc3339(self.clock.now())} | obj["metadata"]
        return self.put(kind, key, obj | {"metadata": deleted})

    def remove(self, kind: str, key: Key) -> None:
        """Gone at once, whatever held it: a restored backup, a forced deletion."""
        obj = self.objects.pop((kind, key))
        obj["metadata"]["resourceVersion"] = self.next_version()
        if kind == JOBS:
            self.pods[key] = [pod for pod in self.pods.get(key, []) if pod["metadata"].get("stays")]
        self._tell(kind, "DELETED", obj)
        if kind in (Kind.WORKITEM, Kind.REPOSITORY):
            self._collect_garbage(obj["metadata"]["uid"])

    # --- writing

    def add(self, kind: str, key: Key, manifest: JSONObject) -> JSONObject:
        self._uids += 1
        obj = json_copy(manifest)
        obj["metadata"] |= {
            "uid": str(UUID(int=self._uids)),
            "generation": 1,
            "creationTimestamp": rfc3339(self.clock.now()),
            "resourceVersion": self.next_version(),
        }
        self.objects[kind, key] = obj
        self._tell(kind, "ADDED", obj)
        return json_copy(obj)

    def put(self, kind: str, key: Key, new: JSONObject) -> JSONObject:
        """Nothing happens where nothing changes; an object under deletion goes with its last finalizer."""
        new = json_copy(new)
        metadata = new["metadata"]
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            self.objects[kind, key] = new
            self.remove(kind, key)
        elif new != self.objects[kind, key]:
            metadata["resourceVersion"] = self.next_version()
            self.objects[kind, key] = new
            self._tell(kind, "MODIFIED", new)
        return json_copy(new)

    def next_version(self) -> str:
        self.version += 1
        return str(self.version)

    def _collect_garbage(self, uid: str) -> None:
        """The Jobs and Leases that a deleted object owned."""
        for kind in (JOBS, LEASES):
            for key in self.keys(kind):
                owners = self.objects[kind, key]["metadata"].get("ownerReferences", [])
                if any(owner["uid"] == uid for owner in owners):
                    self.delete(kind, key)

    def _tell(self, kind: str, event: str, obj: JSONObject) -> None:
        if self.on_change is not None:
            self.on_change(kind, event, json_copy(obj))


def key_of(manifest: JSONObject) -> Key:
    return Key(manifest["metadata"]["namespace"], manifest["metadata"]["name"])
