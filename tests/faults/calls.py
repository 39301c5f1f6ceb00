"""What a request of the operator's is: a write that counts or not, its name for people, and what it must never be.

A name says what the write does and not to which object, so that the same write of another item has the same name.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
HEARTBEAT = re.compile(r"/leases(/(?!transition-|merge-|deploy-)[^/]+)?$")
"""Leases of the process itself: the watch's heartbeat, leadership. Those that own side effects are counted."""
RENEW = "renew"
"""What a Lease's holder does every ten seconds: how often it comes up is a matter of the machine's speed."""
_STATUS = re.compile(r"/(workitems|repositories)/[^/]+/status$")
_RESOURCE = re.compile(r"^/(?:api/v1|apis/[^/]+/[^/]+)/namespaces/[^/]+/(?P<resource>[a-z]+)(?:/(?P<name>[^/]+))?")
_FORGE = re.compile(r"^/api/v1/repos/[^/]+/[^/]+/(?P<what>.+)$")


@dataclass(frozen=True)
class Call:
    """One request as the proxy has read it."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def json(self) -> Object:
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def resource(self) -> str:
        """Plural of the Kubernetes kind in a namespace, "" for everything else."""
        match = _RESOURCE.match(self.path)
        return match["resource"] if match else ""

    @property
    def is_watch(self) -> bool:
        return self.method == "GET" and self.query.get("watch", "") in ("1", "true", "True")

    @property
    def is_list(self) -> bool:
        match = _RESOURCE.match(self.path)
        return self.method == "GET" and not self.is_watch and match is not None and match["name"] is None


def counts(call: Call) -> bool:
    """Whether it is one of the writes that are gone through: no Event, no heartbeat, nothing about leadership."""
    if call.method not in WRITES or call.resource == "events":
        return False
    return not (call.resource == "leases" and _is_heartbeat(call))


def _is_heartbeat(call: Call) -> bool:
    name = str(call.json.get("metadata", {}).get("name", ""))
    path = f"{call.path}/{name}" if call.method == "POST" else call.path
    return HEARTBEAT.search(path) is not None


def offence(call: Call) -> str:
    """What no request of ours may be; "" where all is well."""
    if call.query.get("resourceVersion") == "0":
        return f"{call.method} {call.path} reads with resourceVersion=0: from a cache of any age"
    version = call.json.get("metadata", {}).get("resourceVersion")
    if call.method in ("PUT", "PATCH") and _STATUS.search(call.path) and not version:
        return f"{call.method} {call.path} writes without metadata.resourceVersion: over whatever is there"
    return ""


# --- names


class Names:
    """Names of writes; it remembers what each Job is for and who works, which later requests about it do not say."""

    def __init__(self) -> None:
        self._jobs: dict[str, str] = {}
        self._role = self._effect = "nothing"
        self._holders: dict[str, str] = {}

    def of(self, call: Call) -> str:
        match call.resource:
            case "workitems" | "repositories" as resource:
                kind = {"workitems": "item", "repositories": "repository"}[resource]
                return f"{kind}: {self._status_change(call) if call.path.endswith('/status') else _other_change(call)}"
            case "jobs":
                return self._job(call)
            case "leases":
                return self._lease(call)
            case "":
                return _forge_write(call)
            case other:
                return f"{other}: {call.method.lower()}"

    def _status_change(self, call: Call) -> str:
        """What a merge patch of a status changes, in the order in which it matters."""
        status = call.json.get("status") or {}
        said = [*_stage(status), *self._transition(status), *self._run(status)]
        return ", ".join(said or _waiting(status) or sorted(status)) or "nothing"

    def _transition(self, status: Object) -> list[str]:
        found = status.get("transition", False)
        if found is False:
            return []
        if found is None:
            return [f"end of {self._effect}"]
        if "id" in found:  # of two Jobs in a row the effect alone may differ, or not even that
            self._effect = found.get("effect", self._effect)
            return [f"intent {self._effect}"]
        if "holder" in found:
            return [f"{self._effect} taken over"]
        if "uid" in (found.get("job") or {}):
            return [f"uid of the Job {self._effect}"]
        return [f"{self._effect}: {', '.join(sorted(found))}"]

    def _run(self, status: Object) -> list[str]:
        run = status.get("activeRun", False)
        if run is None:
            return [f"answer of the {self._role}" if status.get("lastRun") else f"run of the {self._role} ends"]
        if not run:
            return []
        if "role" not in run:
            return [f"uid of the {self._role}'s run"]
        self._role = run["role"]
        return [f"run of the {self._role}"]

    def _lease(self, call: Call) -> str:
        body = call.json
        name = str(body.get("metadata", {}).get("name") or call.path.rsplit("/", 1)[-1])
        holder, before = str((body.get("spec") or {}).get("holderIdentity") or ""), self._holders.get(name)
        self._holders[name] = holder
        doing = {"POST": "take", "DELETE": "delete"}.get(call.method, "take over" if holder else "release")
        return f"Lease {name.split('-', maxsplit=1)[0]}: {RENEW if holder and holder == before else doing}"

    def _job(self, call: Call) -> str:
        metadata = call.json.get("metadata", {})
        if call.method == "POST":
            labels = metadata.get("labels", {})
            what = labels.get("conveyor.dev/role") or labels.get("conveyor.dev/effect") or "of nobody"
            self._jobs[str(metadata.get("name"))] = what
            return f"Job {what}: create"
        what = self._jobs.get(call.path.rsplit("/", 1)[-1], "of nobody")
        if call.method == "DELETE":
            return f"Job {what}: delete"
        if (call.json.get("spec") or {}).get("suspend") is False:
            return f"Job {what}: start"
        return f"Job {what}: {'let go' if 'finalizers' in metadata else 'expire'}"


def _stage(status: Object) -> list[str]:
    return [f"to {status['stage']}"] if "stage" in status else []


def _waiting(status: Object) -> list[str]:
    reason = (status.get("waiting") or {}).get("reason")
    return [f"waits for {reason}"] if reason else []


def _other_change(call: Call) -> str:
    finalizers = call.json.get("metadata", {}).get("finalizers")
    return call.method.lower() if finalizers is None else "finalizer on" if finalizers else "finalizer off"


def _forge_write(call: Call) -> str:
    match = _FORGE.match(call.path)
    what = re.sub(r"\d+", "n", match["what"]) if match else call.path
    how = call.json.get("Do") or call.query.get("style") or ""
    return f"forge: {call.method} {what}{f' {how}' if how else ''}"
