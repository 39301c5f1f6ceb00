"""A control plane of its own with a benchmark's objects in it, kept from one run to the next.

The objects are created through the API server, each by one request: while that goes on the CRDs have neither rules nor
a status subresource. What etcd then holds is kept in the cache under a name made of the CRDs, the servers' versions and
the objects themselves. A run works on a copy of it, behind the CRDs as they are shipped and freshly started servers.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import shutil
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.population import Objects
from conveyor.api.annotations import GROUP, VERSION
from conveyor.api.stages import Stage
from conveyor.cluster.client import UNTRACKED
from conveyor.cluster.protocol import JSONObject, Kind
from tests.cluster import binaries, crds
from tests.cluster.api import MERGE, ApiError, AsyncKube, Kube
from tests.cluster.control_plane import ControlPlane
from tests.cluster.processes import temporary_directory

IN_FLIGHT = 16
CACHED_SECONDS = 120.0
DIGEST = 16
"""Digits of a kept state's name."""
AS_SHIPPED: Mapping[str, str] = {"GOGC": "100", "GOMEMLIMIT": "off"}
"""The servers collect their garbage as a cluster's do. The tests' do it seldom, which a large store would pay for."""
FORMAT = b"2"
"""Raised when objects are stored in another way: what is kept is then made anew."""


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


@contextlib.contextmanager
def control_plane(name: str, population: Sequence[Objects]) -> Iterator[ControlPlane]:
    """A running control plane that holds these objects; `name` is the benchmark's, of which one state is kept."""
    kept = binaries.cache_root() / "bench" / f"{name}-{_digest(population)}"
    if not kept.exists():
        for old in kept.parent.glob(f"{name}-{'[0-9a-f]' * DIGEST}"):
            shutil.rmtree(old)
        _create(kept, population)
    with temporary_directory("bench") as directory:
        shutil.copytree(kept, directory / "etcd")
        say("starting the control plane")
        with ControlPlane(directory, settings=AS_SHIPPED, say=say) as plane:
            _wait_until_cached(plane)
            yield plane


def _wait_until_cached(plane: ControlPlane) -> None:
    """A new API server reads a kind's objects when it is first asked for one, and answers 429 meanwhile."""
    end = time.monotonic() + CACHED_SECONDS
    query = {"resourceVersion": "0", "fieldSelector": "metadata.name=none"}  # from its cache, and of all objects none
    with Kube(plane.kubeconfig, timeout=CACHED_SECONDS) as kube:
        for kind in Kind:
            while not _answers(kube, f"/apis/{GROUP}/{VERSION}/{kind}", query):
                if time.monotonic() > end:
                    raise TimeoutError(f"the API server has not read its {kind} in {CACHED_SECONDS:.0f} s")
                time.sleep(0.2)


def _answers(kube: Kube, path: str, query: Mapping[str, str]) -> bool:
    try:
        kube.get(path, **query)
    except ApiError as error:
        if error.code != 429:
            raise
        return False
    return True


def _digest(population: Sequence[Objects]) -> str:
    digest = hashlib.sha256(FORMAT)
    for path in [*sorted(crds.DIRECTORY.glob("*.yaml")), *sorted(binaries.MODULES.glob("*/go.mod"))]:
        digest.update(path.read_bytes())
    for objects in population:
        for manifest in (*objects.items, *objects.repositories, *objects.secrets()):
            digest.update(json.dumps(manifest).encode())
    return digest.hexdigest()[:DIGEST]


def _create(kept: Path, population: Sequence[Objects]) -> None:
    with temporary_directory("bench-new") as directory:
        bare = directory / "crds"
        bare.mkdir()
        for path in crds.DIRECTORY.glob("*.yaml"):
            (bare / path.name).write_text(yaml.safe_dump(without_rules(yaml.safe_load(path.read_text()))))
        with ControlPlane(directory, say=say) as plane, Kube(plane.kubeconfig) as kube:
            crds.install(kube, bare)
            for objects in population:
                asyncio.run(_fill(plane.kubeconfig, objects))
            crds.install(kube)
        kept.parent.mkdir(parents=True, exist_ok=True)
        partial = kept.with_name(f".{kept.name}")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(directory / "etcd", partial)
        partial.rename(kept)


def without_rules(crd: Any) -> Any:  # noqa: ANN401 any YAML value
    """The CRD without rules and subresources, all other schema as it is."""
    if isinstance(crd, list):
        return [without_rules(entry) for entry in crd]
    if not isinstance(crd, dict):
        return crd
    return {
        key: without_rules(value)
        for key, value in crd.items()
        if key not in ("x-kubernetes-validations", "subresources") or not isinstance(value, list | dict)
    }


async def _fill(kubeconfig: Path, objects: Objects) -> None:
    say(f"creating {len(objects.items)} WorkItems and {len(objects.repositories)} Repositories in {objects.namespace}")
    namespace = f"/namespaces/{objects.namespace}"
    ours = f"/apis/{GROUP}/{VERSION}{namespace}"
    async with AsyncKube(kubeconfig) as kube:
        metadata = {"name": objects.namespace}
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
        await kube.request("POST", "/api/v1/namespaces", body=body)
        for secret in objects.secrets():
            await kube.request("POST", f"/api/v1{namespace}/secrets", body=secret)
        uids: dict[str, str] = {}

        async def create_item(manifest: JSONObject) -> None:
            stored = await kube.request("POST", f"{ours}/workitems", body=manifest)
            uids[stored["metadata"]["name"]] = stored["metadata"]["uid"]
            if is_begun(manifest):  # the operator has done so with its first intent
                target = f"{ours}/workitems/{stored['metadata']['name']}"
                await kube.request("PATCH", target, body={"metadata": UNTRACKED}, content_type=MERGE)

        async def create_repository(manifest: JSONObject) -> None:
            active = objects.active[manifest["metadata"]["name"]]
            status = manifest["status"] | {"activeItem": {"name": active, "uid": uids[active]}}
            await kube.request("POST", f"{ours}/repositories", body=manifest | {"status": status})

        await _in_parallel(create_item, objects.items)
        await _in_parallel(create_repository, objects.repositories)


def is_begun(manifest: JSONObject) -> bool:
    status: JSONObject = manifest.get("status", {})
    return status.get("stage") not in (None, Stage.CREATED)


async def _in_parallel(create: Callable[[JSONObject], Awaitable[None]], manifests: Sequence[JSONObject]) -> None:
    """In their order, as far as 16 at a time have one."""
    left = iter(manifests)

    async def work() -> None:
        for manifest in left:
            await create(manifest)

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(work())
