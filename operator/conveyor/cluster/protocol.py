"""What the engine needs of Kubernetes. Every method may raise `conveyor.web.errors`; every call has a time-out.

Conditional writes carry the resourceVersion they were decided upon and are never repeated here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from conveyor.api.annotations import GROUP
from conveyor.cluster.leases import LeaseRecord, LeaseSpec
from conveyor.cluster.pods import PodFact
from conveyor.pipeline.facts import JobFact

JSONObject = dict[str, Any]
HEARTBEAT_ANNOTATION = f"{GROUP}/heartbeat"
"""Of the heartbeat Lease."""


class Kind(StrEnum):
    """Our kinds, by their plural in the API."""

    WORKITEM = "workitems"
    REPOSITORY = "repositories"


class Key(NamedTuple):
    """Namespace and name. A tuple, for everything is looked up by it, and a tuple's hash is cheap."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Won:
    """The write is in the store; `object` is what is there now."""

    object: JSONObject


@dataclass(frozen=True, slots=True)
class Lost:
    """Somebody else wrote first: read again, decide again."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The API server will not store this (schema, rule, policy, access): a bug or a person's matter."""

    message: str


@dataclass(frozen=True, slots=True)
class Uncertain:
    """No answer that proves anything: it may be in the store. Read to know."""

    message: str


Written = Won | Lost | Rejected | Uncertain


class Cluster(Protocol):
    async def get(self, kind: Kind, key: Key) -> JSONObject | None:
        """The object from the API server itself (a quorum read). Of managedFields it has who applies it, no more."""

    def pages(self, kind: Kind) -> AsyncIterator[list[JSONObject]]:
        """All objects of a kind in the watched namespaces, as `get` has them.

        A listing that expires is begun anew: then pages come again, and newer.
        """

    def metadata_pages(self, kind: Kind) -> AsyncIterator[list[JSONObject]]:
        """The same of each object's metadata alone, which is a small part of what has to be sent and read."""

    async def patch_status(self, kind: Kind, key: Key, *, resource_version: str, status: JSONObject) -> Written:
        """Merge-patch `/status`, only if the object still has that resourceVersion. Strictly validated."""

    async def set_finalizers(
        self, kind: Kind, key: Key, *, resource_version: str, finalizers: tuple[str, ...], untracked: bool = False
    ) -> Written:
        """Write the whole list, only if the object still has that resourceVersion.

        An object that is being deleted takes no new one, and goes with its last one: then `Won` has it as it was.
        `untracked`: from now on the API server keeps no managedFields of it, until somebody applies it server-side.
        """

    async def create(self, kind: Kind, manifest: JSONObject) -> Written:
        """Lost where an object of that name is there."""

    async def delete(self, kind: Kind, key: Key, *, uid: str, resource_version: str = "") -> None:
        """Delete this very object in the background; one that is gone already is no error.

        With a resourceVersion only if it has not changed since; one that has is no error.
        """

    async def job(self, key: Key, *, with_message: bool) -> JobFact:
        """A Job, read from the API server, and with `with_message` its pod's end too."""

    async def stored_job(self, key: Key) -> JSONObject | None:
        """A Job as a watch would tell of it, read from the API server; None: there is none of that name."""

    async def create_job(self, manifest: JSONObject) -> Written:
        """Lost where a Job of that name is there."""

    async def start_job(self, key: Key, *, uid: str) -> Written:
        """Let this very Job begin, which was created suspended; one that has begun stays as it is.

        Lost where it is gone, or another has its name.
        """

    async def delete_job(self, key: Key, *, uid: str, resource_version: str = "") -> None:
        """Delete the Job and its pods (propagationPolicy Background), only if it has this uid.

        With a resourceVersion only if it has not changed since; one that has is no error.
        """

    async def expire_job(self, key: Key, *, seconds: int) -> None:
        """Let the cluster remove a finished Job after that time. NotFound is no error."""

    async def release_job(self, key: Key, *, expire_seconds: int | None = None) -> None:
        """Take our finalizer off a Job, and let the cluster remove it after that time if one is given.

        Both or, where the finalizer is off already, neither. NotFound is no error.
        """

    async def pod(self, key: Key) -> PodFact | None:
        """A Pod, read from the API server; None: there is none of that name."""

    async def lease(self, key: Key) -> LeaseRecord | None:
        """A Lease, read from the API server; None: there is none of that name."""

    async def leases(self) -> list[tuple[Key, LeaseRecord]]:
        """All Leases of transitions in the watched namespaces: those that bear a WorkItem's label."""

    async def create_lease(
        self, key: Key, lease: LeaseSpec, *, labels: Mapping[str, str], owner: JSONObject | None = None
    ) -> Written:
        """Lost where a Lease of that name is there. `owner`: an ownerReference, with which it goes."""

    async def update_lease(
        self, key: Key, lease: LeaseSpec, *, resource_version: str, labels: Mapping[str, str] | None = None
    ) -> Written:
        """Write the whole of `lease`, only if the Lease still has that resourceVersion; what is not ours stays.

        `labels`: those that are to be another's now; None leaves them as they are.
        """

    async def delete_lease(self, key: Key, *, uid: str, resource_version: str) -> Written:
        """Delete exactly what was read. Lost where it is gone, or another, or was written since."""

    async def secret(self, key: Key) -> Mapping[str, str]:
        """A Secret's decoded text values. NotFound where it is missing. Values are never logged."""

    async def apply_secret(self, key: Key, values: Mapping[str, str]) -> None:
        """Make a Secret hold exactly these values; one that does already is not written."""

    async def record_event(self, event: JSONObject) -> None:
        """Store an events.k8s.io/v1 Event, or count it up where it exists."""

    async def touch_heartbeat(self, key: Key, *, value: str) -> None:
        """Change an annotation of the heartbeat Lease, so that a watch of it must report something."""
