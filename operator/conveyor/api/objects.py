"""WorkItem and Repository as whole objects: metadata, spec, status."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from conveyor.api.annotations import GROUP, ITEMS_FINALIZER, TRANSITION_FINALIZER, VERSION
from conveyor.api.fields import Model
from conveyor.api.names import key_of_item
from conveyor.api.repository import RepositorySpec, RepositoryStatus
from conveyor.api.workitem import WorkItemSpec, WorkItemStatus

API_VERSION = f"{GROUP}/{VERSION}"


class FieldManager(Model):
    """What we use of metav1.ManagedFieldsEntry."""

    manager: str = ""


class Metadata(Model):
    """What we use of metav1.ObjectMeta."""

    name: str
    namespace: str
    uid: str
    resource_version: str
    generation: int = 1
    creation_timestamp: datetime
    deletion_timestamp: datetime | None = None
    annotations: dict[str, str] = Field(default={})
    labels: dict[str, str] = Field(default={})
    finalizers: tuple[str, ...] = ()
    managed_fields: tuple[FieldManager, ...] = ()
    """Of those who apply the object server-side; the others are left out when it is read."""


class WorkItem(Model):
    metadata: Metadata
    spec: WorkItemSpec
    status: WorkItemStatus = Field(default=WorkItemStatus())

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def key(self) -> str:
        """KEY: the ticket's key, for items made by hand the name in upper case."""
        return key_of_item(self.name, self.spec.source.key if self.spec.source else None)

    @property
    def held(self) -> bool:
        """Whether it stays, when deleted, until what it began has ended."""
        return TRANSITION_FINALIZER in self.metadata.finalizers


class Repository(Model):
    metadata: Metadata
    spec: RepositorySpec
    status: RepositoryStatus = Field(default=RepositoryStatus())

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def held(self) -> bool:
        """Whether it stays, when deleted, while items of it are under way."""
        return ITEMS_FINALIZER in self.metadata.finalizers
