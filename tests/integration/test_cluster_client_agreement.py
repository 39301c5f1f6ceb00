"""The cluster in memory answers as a real API server does: one machine drives both and compares.

| what | with |
|---|---|
| create | a new name, a name in use, a status in the manifest, an unknown field, a broken spec |
| patch the status | the present, an older, a future, no version; legal and illegal moves; no change; a missing object |
| delete | the right uid, another one; the present, an older, a future, any version; an object that is gone |
| Jobs | created once and again, deleted with the right uid and another one |
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from conveyor.cluster.client import KubernetesCluster
from conveyor.cluster.connection import Connection, from_kubeconfig
from conveyor.cluster.protocol import Cluster, JSONObject, Key, Kind, Won, Written
from tests.cluster.api import Kube
from tests.fakes.memory_cluster import MemoryCluster
from tests.integration.crd_objects import FORGE, HAND_MADE, listed, namespace_for

T = TypeVar("T")
Act = Callable[[Cluster, Key, JSONObject | None], Awaitable[T]]
"""Something done to one of the two clusters, whose object of that key is given."""

NAMES = ("a", "b")
AT = "2026-11-21T06:30:00Z"
OVERRIDE = {"id": "o-1", "from": "created", "to": "review"}
STATUSES: list[JSONObject] = [
    *({"stage": stage} for stage in ("created", "analysis", "architecture", "deploy", "cancelled", "nowhere", None)),
    *({"fencingToken": 1}, {"fencingToken": 2}, {"fencingToken": None}, {"runs": 1}, {"runs": 3}, {"runs": -1}),
    {"attempts": [{"cause": "CI", "count": 1}]},
    {"attempts": [{"cause": "CI", "count": 2}, {"cause": "Review", "count": 1}]},
    {"attempts": [{"cause": "CI", "count": 0}]},
    {"attempts": None},
    {"stage": "review", "override": OVERRIDE},
    {"override": None},
    {"waiting": {"reason": "Admission", "message": "it waits"}},
    {"waiting": {"reason": "Nonsense"}},
    {"waiting": None},
    {"history": [{"from": "created", "to": "analysis", "time": AT, "actor": "operator", "cause": "admitted"}] * 21},
    *({"bogus": 1}, {"waiting": {"bogus": 1}}, {"stage": 7}, {}),
]
REPOSITORY_STATUSES: list[JSONObject] = [
    {"activeItem": {"name": "shop-et-1", "uid": "u-1"}},
    {"activeItem": None},
    *({"bogus": 1}, {"activeItem": "text"}, {"coverage": {"percent": 81.5, "sha": "ab12"}}, {"coverage": None}),
]
SPECS: dict[Kind, list[JSONObject]] = {
    Kind.WORKITEM: [HAND_MADE, {"repositoryRef": {"name": "shop"}, "title": 7}, HAND_MADE | {"bogus": True}],
    Kind.REPOSITORY: [{"forge": FORGE}, {"forge": FORGE, "agents": [{"bogus": 1}]}, {}],
}
BODIES = {Kind.WORKITEM: STATUSES, Kind.REPOSITORY: REPOSITORY_STATUSES}
KINDS = {Kind.WORKITEM: "WorkItem", Kind.REPOSITORY: "Repository"}
VERSIONS: dict[str, Callable[[JSONObject | None], str]] = {
    "present": lambda obj: obj["metadata"]["resourceVersion"] if obj else "1",
    "older": lambda obj: str(int(obj["metadata"]["resourceVersion"]) - 1) if obj else "1",
    "future": lambda _: "999999999",
    "empty": lambda _: "",
    "zero": lambda _: "0",
}


class Pair(RuleBasedStateMachine):
    """The same act on both; answers and what is stored afterwards must be the same, but for uids, times, versions."""

    runner: asyncio.Runner
    real: KubernetesCluster
    kube: Kube
    namespace: str

    def __init__(self) -> None:
        super().__init__()
        self.memory = MemoryCluster()
        for resource in KINDS:
            self.kube.delete(f"/apis/conveyor.dev/v1alpha1/namespaces/{self.namespace}/{resource}")

    @rule(kind=st.sampled_from(Kind), name=st.sampled_from(NAMES), with_status=st.booleans(), data=st.data())
    def create(self, kind: Kind, name: str, with_status: bool, data: st.DataObject) -> None:
        spec = data.draw(st.sampled_from(SPECS[kind]))
        manifest = self.manifest(kind, name, spec) | ({"status": {"stage": "done"}} if with_status else {})
        self.both(kind, name, lambda cluster, _key, _old: cluster.create(kind, manifest))

    @rule(
        name=st.sampled_from(NAMES), kind=st.sampled_from(Kind), version=st.sampled_from(list(VERSIONS)), data=st.data()
    )
    def patch(self, name: str, kind: Kind, version: str, data: st.DataObject) -> None:
        self.write_status(kind, name, data.draw(st.sampled_from(BODIES[kind])), version)

    @rule(name=st.sampled_from(NAMES), body=st.sampled_from(STATUSES))
    def move(self, name: str, body: JSONObject) -> None:
        """The likely case again, so that items get on: patched at the present version."""
        self.write_status(Kind.WORKITEM, name, body, "present")

    @rule(
        kind=st.sampled_from(Kind),
        name=st.sampled_from(NAMES),
        right=st.booleans(),
        version=st.sampled_from(list(VERSIONS)),
    )
    def delete(self, kind: Kind, name: str, *, right: bool, version: str) -> None:
        async def act(cluster: Cluster, key: Key, old: JSONObject | None) -> None:
            uid = old["metadata"]["uid"] if old and right else "another"
            await cluster.delete(kind, key, uid=uid, resource_version=VERSIONS[version](old))

        self.both(kind, name, act)

    @invariant()
    def the_listings_agree(self) -> None:
        for kind in Kind:
            stored = [self.runner.run(listed(cluster, kind)) for cluster in (self.memory, self.real)]
            names = [sorted(obj["metadata"]["name"] for obj in found) for found in stored]
            assert names[0] == names[1]

    def write_status(self, kind: Kind, name: str, body: JSONObject, version: str) -> None:
        def act(cluster: Cluster, key: Key, old: JSONObject | None) -> Awaitable[Written]:
            return cluster.patch_status(kind, key, resource_version=VERSIONS[version](old), status=body)

        self.both(kind, name, act)

    def manifest(self, kind: Kind, name: str, spec: JSONObject) -> JSONObject:
        metadata = {"name": name, "namespace": self.namespace}
        return {"apiVersion": "conveyor.dev/v1alpha1", "kind": KINDS[kind], "metadata": metadata, "spec": spec}

    def both(self, kind: Kind, name: str, act: Act[Any]) -> None:
        memory, real = (self.runner.run(self.act(cluster, kind, name, act)) for cluster in (self.memory, self.real))
        assert memory == real

    async def act(self, cluster: Cluster, kind: Kind, name: str, act: Act[Any]) -> list[Any]:
        """All that can be compared: the answer, what is stored, and whether its version moved."""
        key = Key(self.namespace, name)
        old = await cluster.get(kind, key)
        answer = await act(cluster, key, old)
        new = await cluster.get(kind, key)
        told = _told(answer.object) if isinstance(answer, Won) else type(answer).__name__
        moved = old is not None and new is not None and old["metadata"]["resourceVersion"] != _version(new)
        return [told, new and _told(new), moved, isinstance(answer, Won) and _version(answer.object) == _version(new)]


def _version(obj: JSONObject | None) -> str:
    return str(obj["metadata"]["resourceVersion"]) if obj is not None else ""


def _told(obj: JSONObject) -> JSONObject:
    """Without what each server chooses for itself."""
    own = ("uid", "resourceVersion", "creationTimestamp")
    metadata = {key: value for key, value in obj["metadata"].items() if key not in own}
    return obj | {"metadata": metadata}


@pytest.fixture
def machine(crds: None, kube: Kube, kubeconfig: Path) -> Iterator[type[Pair]]:
    with asyncio.Runner() as runner, namespace_for(kube, "agreement") as namespace:
        connection: Connection = runner.run(from_kubeconfig(kubeconfig))

        class Bound(Pair):
            pass

        Bound.runner, Bound.kube, Bound.namespace = runner, kube, namespace
        Bound.real = KubernetesCluster(connection, namespaces=(namespace,))
        yield Bound
        runner.run(connection.close())


@pytest.mark.slow
def test_memory_and_api_server_answer_alike(machine: type[Pair]) -> None:
    limits = settings(
        max_examples=20, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    run_state_machine_as_test(machine, settings=limits)


async def test_jobs_in_memory_and_on_the_api_server_answer_alike(namespace: str, kubeconfig: Path) -> None:
    async with await from_kubeconfig(kubeconfig) as connection:
        real = await _job_story(KubernetesCluster(connection), namespace)
    assert await _job_story(MemoryCluster(), namespace) == real
    assert real[1:4] == ["Won", "Lost", "Lost"]


NOBODY = "00000000-0000-0000-0000-000000000000"


async def _job_story(cluster: Cluster, namespace: str) -> list[Any]:
    key = Key(namespace, "run-1")
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "example.invalid/x"}]}}
    metadata = {"name": key.name, "namespace": namespace, "finalizers": ["conveyor.dev/result"]}
    spec = {"backoffLimit": 0, "template": template, "suspend": True}
    manifest = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}
    before = await cluster.job(key, with_message=True)
    absent = await cluster.stored_job(key)
    first, second = await cluster.create_job(manifest), await cluster.create_job(manifest)
    third = await cluster.start_job(key, uid=NOBODY)
    told: list[Any] = [before.state, *(type(answer).__name__ for answer in (first, second, third))]
    job = await cluster.job(key, with_message=False)
    stored = await cluster.stored_job(key) or {}
    told += [job.state, job.suspended, job.unstarted, job.has_finalizer, job.has_ttl]
    told += [absent, stored["metadata"]["uid"] == job.uid, stored["spec"]["suspend"]]
    await cluster.delete_job(key, uid="another")
    await cluster.expire_job(key, seconds=600)
    told.append(await _flags(cluster, key))
    await cluster.delete_job(key, uid=job.uid)
    told.append(await _flags(cluster, key))
    told.append(type(await cluster.start_job(key, uid=job.uid)).__name__)
    await cluster.release_job(key)
    told.append(type(await cluster.start_job(key, uid=job.uid)).__name__)
    await cluster.delete_job(key, uid=job.uid)
    await cluster.release_job(key)
    for finalizers in (["conveyor.dev/result"], []):
        again = await cluster.create_job(manifest | {"metadata": metadata | {"finalizers": finalizers}})
        assert isinstance(again, Won)
        await cluster.release_job(key, expire_seconds=600)
        told.append(await _flags(cluster, key))
        await cluster.delete_job(key, uid=again.object["metadata"]["uid"])
    return told


async def _flags(cluster: Cluster, key: Key) -> list[Any]:
    job = await cluster.job(key, with_message=False)
    return [job.state, job.has_finalizer, job.has_ttl]
