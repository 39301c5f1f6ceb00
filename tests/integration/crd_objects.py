"""WorkItems and Repositories on a real API server, as the tests of the CRDs write them: strictly validated."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from conveyor.cluster.protocol import Cluster, JSONObject, Kind
from tests.cluster.api import ApiError, Kube
from tests.cluster.fixtures import unique_name

Object = dict[str, Any]

AT = "2026-11-21T06:30:00Z"
HAND_MADE: Object = {"repositoryRef": {"name": "shop"}, "title": "Mend the login"}
SOURCE: Object = {"tracker": "Plane", "projectID": "p-1", "issueID": "i-17", "key": "ET-17"}
FORGE: Object = {
    "url": "https://git.test",
    "owner": "acme",
    "name": "shop",
    "credentialsSecretRef": {"name": "forge"},
}
TRACKER: Object = {
    "url": "https://plane.test",
    "workspace": "acme",
    "projectID": "p-1",
    "identifier": "ET",
    "credentialsSecretRef": {"name": "plane"},
}


class Objects:
    """The objects of one kind in one namespace.

    `refusal...` are dry runs: the API server judges as it does for a real write and stores nothing.
    """

    def __init__(self, kube: Kube, namespace: str, *, kind: str, plural: str) -> None:
        self._kube, self._kind = kube, kind
        self._path = f"/apis/conveyor.dev/v1alpha1/namespaces/{namespace}/{plural}"

    def create(self, name: str, spec: Object, *, status: Object | None = None, **params: str) -> Object:
        body: Object = {"apiVersion": "conveyor.dev/v1alpha1", "kind": self._kind, "metadata": {"name": name}}
        body |= {"spec": spec} | ({} if status is None else {"status": status})
        return self._kube.post(self._path, body, fieldValidation="Strict", **params)

    def change(self, name: str, spec: Mapping[str, Any], **params: str) -> Object:
        return self._kube.patch(f"{self._path}/{name}", {"spec": spec}, fieldValidation="Strict", **params)

    def write_status(self, name: str, status: Mapping[str, Any] | None, **params: str) -> Object:
        return self._kube.patch(f"{self._path}/{name}/status", {"status": status}, fieldValidation="Strict", **params)

    def get(self, name: str) -> Object:
        return self._kube.get(f"{self._path}/{name}")

    def names(self, selector: str) -> list[str]:
        found = self._kube.get(self._path, fieldSelector=selector)["items"]
        return sorted(item["metadata"]["name"] for item in found)

    def refusal_of_new(self, name: str, spec: Object) -> str | None:
        """Why the API server would not create this; None if it would."""
        try:
            self.create(name, spec, dryRun="All")
        except ApiError as error:
            return _text(error)
        return None

    def refusal_of_change(self, name: str, spec: Mapping[str, Any]) -> str | None:
        try:
            self.change(name, spec, dryRun="All")
        except ApiError as error:
            return _text(error)
        return None

    def refusal_of_status(self, name: str, status: Mapping[str, Any] | None) -> str | None:
        try:
            self.write_status(name, status, dryRun="All")
        except ApiError as error:
            return _text(error)
        return None


@contextlib.contextmanager
def namespace_for(kube: Kube, what: str) -> Iterator[str]:
    """A namespace for a whole file of tests: objects that nobody changes need not be made for each."""
    name = unique_name(what)
    kube.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    try:
        yield name
    finally:
        kube.delete(f"/api/v1/namespaces/{name}")


def workitems(kube: Kube, namespace: str) -> Objects:
    return Objects(kube, namespace, kind="WorkItem", plural="workitems")


def repositories(kube: Kube, namespace: str) -> Objects:
    return Objects(kube, namespace, kind="Repository", plural="repositories")


def _text(error: ApiError) -> str:
    """Anything but a judgement on the object is an error of the test."""
    if (error.code, error.reason) not in ((422, "Invalid"), (400, "BadRequest")):
        raise error
    return str(error)


async def listed(cluster: Cluster, kind: Kind) -> list[JSONObject]:
    return [obj async for page in cluster.pages(kind) for obj in page]
