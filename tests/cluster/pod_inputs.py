"""What a pod's containers are given: environment, files, and container paths turned into paths of this host.

Pure functions of the pod and of the Secrets and ConfigMaps it names, which the caller has fetched.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

Object = dict[str, Any]
Objects = Mapping[tuple[str, str], Object]  # by ("secrets" or "configmaps", name)
ADDRESS = "127.0.0.1"


class NotAvailableError(Exception):
    """Something the pod refers to is missing or unsupported; a kubelet would say so in the status and try again."""


@dataclass(frozen=True)
class PathMap:
    """Mount paths of one container and where they are on this host."""

    paths: Mapping[str, Path]

    def apply(self, text: str) -> str:
        """Replace every mount path that stands in `text` as a whole path or as the beginning of one."""
        if not self.paths:
            return text
        longest_first = sorted(self.paths, key=len, reverse=True)
        pattern = r"(?<![\w./-])(?:" + "|".join(map(re.escape, longest_first)) + r")(?=/|$|[^\w.-])"
        return re.sub(pattern, lambda found: str(self.paths[found[0]]), text)


def references(pod: Object) -> dict[tuple[str, str], bool]:
    """The Secrets and ConfigMaps a pod names, and whether it can do without."""
    found: dict[tuple[str, str], bool] = {}
    for resource, name, optional in _references(pod["spec"]):
        found[resource, name] = found.get((resource, name), True) and optional
    return found


def check_present(wanted: Mapping[tuple[str, str], bool], objects: Objects) -> None:
    """Raises NotAvailableError naming what is wanted, not optional, and absent."""
    absent = [key for key, optional in wanted.items() if not optional and key not in objects]
    if absent:
        raise NotAvailableError(", ".join(f"{resource} {name!r} not found" for resource, name in absent))


def _references(spec: Object) -> Iterator[tuple[str, str, bool]]:
    for container in containers(spec):
        sources = [*container.get("envFrom", []), *(entry.get("valueFrom", {}) for entry in container.get("env", []))]
        for source in sources:
            for key, resource in _RESOURCES.items():
                if key in source:
                    yield resource, source[key]["name"], source[key].get("optional", False)
    for source in (part for volume in spec.get("volumes", []) for part in volume_sources(volume)):
        if "secret" in source:
            secret = source["secret"]
            yield "secrets", secret.get("secretName") or secret["name"], secret.get("optional", False)
        if "configMap" in source:
            yield "configmaps", source["configMap"]["name"], source["configMap"].get("optional", False)


_RESOURCES = {
    "secretRef": "secrets",
    "secretKeyRef": "secrets",
    "configMapRef": "configmaps",
    "configMapKeyRef": "configmaps",
}


def containers(spec: Object) -> list[Object]:
    """All of them in the order of their start."""
    return [*spec.get("initContainers", []), *spec["containers"]]


def volume_sources(volume: Object) -> list[Object]:
    """A projected volume has several sources, every other kind is its own only one."""
    sources: list[Object] = volume["projected"].get("sources", []) if "projected" in volume else [volume]
    return sources


def data_of(resource: str, found: Object) -> dict[str, bytes]:
    if resource == "secrets":
        return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}
    plain = {key: value.encode() for key, value in (found.get("data") or {}).items()}
    return plain | {key: base64.b64decode(value) for key, value in (found.get("binaryData") or {}).items()}


def environment(container: Object, pod: Object, objects: Objects) -> dict[str, str]:
    """`envFrom`, then `env`, each value with `$(NAME)` expanded from those before it."""
    result: dict[str, str] = {}
    for source in container.get("envFrom", []):
        for key in ("configMapRef", "secretRef"):
            found = objects.get((_RESOURCES[key], source[key]["name"])) if key in source else None
            for name, value in data_of(_RESOURCES[key], found or {}).items():
                result[source.get("prefix", "") + name] = value.decode(errors="replace")
    for entry in container.get("env", []):
        value_from = entry.get("valueFrom")
        given = _value_from(value_from, pod, objects) if value_from else expand(entry.get("value") or "", result)
        if given is not None:
            result[entry["name"]] = given
    return result


def _value_from(source: Object, pod: Object, objects: Objects) -> str | None:
    if "fieldRef" in source:
        return field_value(pod, source["fieldRef"]["fieldPath"])
    for key in ("secretKeyRef", "configMapKeyRef"):
        if key in source:
            reference = source[key]
            data = data_of(_RESOURCES[key], objects.get((_RESOURCES[key], reference["name"]), {}))
            if reference["key"] in data:
                return data[reference["key"]].decode(errors="replace")
            if reference.get("optional"):
                return None
            raise NotAvailableError(f"couldn't find key {reference['key']} in {_RESOURCES[key]} {reference['name']}")
    raise NotAvailableError(f"the process node does not know {', '.join(source)} of valueFrom")


def expand(text: str, values: Mapping[str, str]) -> str:
    """`$(NAME)` becomes its value if it has one; `$$` is a dollar sign."""
    return re.sub(r"\$\$|\$\(([^()]*)\)", lambda m: "$" if m[0] == "$$" else values.get(m[1], m[0]), text)


def field_value(pod: Object, path: str) -> str:
    """The downward API's fields."""
    metadata, spec = pod["metadata"], pod["spec"]
    if keyed := re.fullmatch(r"metadata\.(annotations|labels)\['(.+)'\]", path):
        return str((metadata.get(keyed[1]) or {}).get(keyed[2], ""))
    simple = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "metadata.labels": _pairs(metadata.get("labels")),
        "metadata.annotations": _pairs(metadata.get("annotations")),
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
    } | dict.fromkeys(("status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"), ADDRESS)
    if path not in simple:
        raise NotAvailableError(f"the process node does not know the field {path}")
    return str(simple[path])


def _pairs(values: Mapping[str, str] | None) -> str:
    return "\n".join(f"{key}={json.dumps(value)}" for key, value in sorted((values or {}).items()))


def volume_files(source: Object, pod: Object, objects: Objects) -> dict[str, bytes]:
    """The files of a Secret, ConfigMap or downward API source, by path below the mount."""
    if "downwardAPI" in source:
        items = source["downwardAPI"].get("items", [])
        return {item["path"]: field_value(pod, item["fieldRef"]["fieldPath"]).encode() for item in items}
    resource = "secrets" if "secret" in source else "configmaps"
    wanted = source["secret"] if "secret" in source else source["configMap"]
    name = wanted.get("secretName") or wanted["name"]
    data = data_of(resource, objects.get((resource, name), {}))
    if not wanted.get("items"):
        return data
    absent = [item["key"] for item in wanted["items"] if item["key"] not in data]
    if absent and not wanted.get("optional"):
        raise NotAvailableError(f"{resource} {name} has no key {', '.join(absent)}")
    return {item["path"]: data[item["key"]] for item in wanted["items"] if item["key"] in data}


def path_map(container: Object, volumes: Mapping[str, Path], termination_file: Path) -> PathMap:
    """Where the container's mounts are; `terminationMessagePath` counts as the mount of one file."""
    paths = {container.get("terminationMessagePath") or "/dev/termination-log": termination_file}
    for mount in container.get("volumeMounts", []):
        if "subPathExpr" in mount:
            raise NotAvailableError("the process node does not know subPathExpr")
        inside = PurePosixPath(mount.get("subPath") or ".")
        paths[str(PurePosixPath(mount["mountPath"]))] = volumes[mount["name"]] / inside
    return PathMap(paths)
