"""What must be so whatever happens, watched from outside the engine: in the store, at the forge, at every request.

| law | seen |
|---|---|
| an intent has its effect once: a merge, a rebase, a Job, a mark | as it lands |
| nothing happens outside that is not on record before | as it lands |
| nobody sends for an intent that it has not just seen to be its own | as it is sent |
| only legal edges; token and counters never go down; an intent is begun once | at each status write |
| what is done is not rolled back, and what was rolled back is not done but by a later deploy | at both |
| nobody takes away the Lease of one who works, unless a person has asked for that | as it is deleted |
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from conveyor.cluster.protocol import JSONObject, Key, Kind
from tests.fakes.gates import Gate, Request
from tests.fakes.memory_cluster import MemoryCluster
from tests.fakes.memory_forge import MemoryForge
from tests.faults.rules import item_offences, repository_offences

TERM_SECONDS = 60.0
BY_THE_FORGE = {
    "create_branch": "CutBranch",
    "open_pull_request": "OpenPullRequest",
    "update_by_rebase": "Rebase",
    "merge": "Merge",
}
EFFECT, ITEM = "conveyor.dev/effect", "conveyor.dev/workitem-uid"


class Audit:
    def __init__(self, cluster: MemoryCluster, forge: MemoryForge, *, is_working: Callable[[str], bool]) -> None:
        """`is_working`: whether this holder lives and is not known to be dead."""
        self._cluster, self._forge, self._is_working = cluster, forge, is_working
        self.offences: list[str] = []
        self.intents: dict[str, JSONObject] = {}
        """All there ever were, by id, as they were begun."""
        self.executed: dict[str, list[str]] = {}
        """By item: the effects whose Jobs were put to work, in order."""
        self._runs: set[str] = set()
        self._statuses: dict[str, JSONObject] = {}
        self._repositories: dict[str, JSONObject] = {}
        self._jobs: dict[str, str] = {}
        """Intent of each Job that was put to work, by the Job's uid."""
        self._landed: Counter[str] = Counter()
        self._marks: set[str] = set()
        self._looked: dict[str, JSONObject] = {}
        self._deletes = ""
        """Who is about to delete a Lease; empty: no operator."""
        self._by_order = False
        """Whether somebody has said `release-lease`."""
        self._written: dict[str, float] = {}
        """When each Lease was last written."""

    def listen(self, gate: Gate) -> None:
        gate.on_arrival.append(self._sent)
        gate.on_passage.append(self._passed)

    def _say(self, offence: str) -> None:
        self.offences.append(offence)

    # --- what is stored

    def changed(self, kind: str, event: str, obj: JSONObject, *, now: float) -> None:
        self._by_order |= any("release-lease" in name for name in obj["metadata"].get("annotations") or ())
        match kind:
            case Kind.WORKITEM if event != "DELETED":
                self._item(obj["metadata"]["uid"], obj.get("status") or {})
            case Kind.REPOSITORY if event != "DELETED":
                self._repository(obj["metadata"]["uid"], obj.get("status") or {})
            case "jobs" if event != "DELETED":
                self._job(obj)
            case "leases" if event == "DELETED":
                self._released(obj, now=now)
            case "leases":
                self._written[obj["metadata"]["name"]] = now
            case _:
                pass

    def _item(self, uid: str, new: JSONObject) -> None:
        old = self._statuses.get(uid, {})
        self.offences += item_offences(old, new, known=set(self.intents))
        self._statuses[uid] = new
        transition, run = new.get("transition"), new.get("activeRun")
        if transition is not None:
            self.intents.setdefault(transition["id"], transition | {"item": uid})
        if run is not None:
            self._runs.add(run["name"])
        if new.get("stage") == "done" and old.get("stage") == "deploy":
            last = [effect for effect in self.executed.get(uid, []) if effect in ("Production", "Rollback")]
            if last[-1:] != ["Production"]:
                self._say(f"done, and the last of {last} was not its deploy")

    def _repository(self, uid: str, new: JSONObject) -> None:
        old = self._repositories.get(uid, {})
        self.offences += repository_offences(old, new)
        mark = new.get("coverage")
        if mark and mark != old.get("coverage"):
            if mark["sha"] in self._marks:
                self._say(f"the coverage mark of {mark['sha']} was set twice")
            self._marks.add(mark["sha"])
        self._repositories[uid] = new

    def _job(self, job: JSONObject) -> None:
        """A Job is carried out once it is not suspended: its first pod follows at once."""
        labels, uid = job["metadata"]["labels"], job["metadata"]["uid"]
        if EFFECT not in labels or uid in self._jobs or job["spec"].get("suspend"):
            return
        intent = _variable(job, "CONVEYOR_TRANSITION_ID")
        if intent in self._jobs.values():
            self._say(f"a second Job was put to work for intent {intent} ({labels[EFFECT]})")
        if intent not in self.intents:
            self._say(f"a Job was put to work for {labels[EFFECT]}, which is not on record")
        self._jobs[uid] = intent
        self.executed.setdefault(labels[ITEM], []).append(labels[EFFECT])
        if labels[EFFECT] == "Rollback" and self._statuses[labels[ITEM]].get("stage") == "done":
            self._say("what is done was rolled back")

    # --- what the forge does

    def forge_changed(self) -> None:
        verb, *what = self._forge.calls.effects[-1]
        effect = BY_THE_FORGE.get(verb)
        if effect is None:
            return
        intents = [it for it in self.intents.values() if it["effect"] == effect]
        wanted = {"merge": "headSHA", "create_branch": "baseSHA"}.get(verb)
        if wanted is not None:
            intents = [it for it in intents if it["precondition"].get(wanted) == what[-1]]
        self._landed[f"{effect} {what[-1] if wanted else ''}"] += 1
        if self._landed[f"{effect} {what[-1] if wanted else ''}"] > len(intents):
            self._say(f"{verb} {what} landed {dict(self._landed)}, and {len(intents)} intents are on record for it")

    # --- what they ask for

    def _passed(self, request: Request) -> None:
        if request.verb == "get" and request.about.startswith(Kind.WORKITEM):
            self._looked[request.sender.name] = self._transition(request.about)
        self._deletes = request.sender.name.rpartition("/")[0] if request.verb == "delete_lease" else ""

    def _transition(self, about: str) -> JSONObject:
        namespace, _, name = about.partition(" ")[2].partition("/")
        item = self._cluster.store.objects.get((Kind.WORKITEM, Key(namespace, name)), {})
        found: JSONObject = (item.get("status") or {}).get("transition") or {}
        return found

    def _sent(self, request: Request) -> None:
        effect, name = BY_THE_FORGE.get(request.verb), request.about.rpartition("/")[2]
        if request.verb in ("create_job", "start_job") and name not in self._runs:
            self._check(request, job=name)
        elif effect is not None:
            self._check(request, effect=effect)

    def _check(self, request: Request, *, effect: str | None = None, job: str | None = None) -> None:
        """The last look: the sender has just seen its own intent on record."""
        seen = self._looked.pop(request.sender.name, {})
        right = seen.get("effect") == effect if job is None else (seen.get("job") or {}).get("name") == job
        process = request.sender.name.rpartition("/")[0]
        if not right or not str(seen.get("holder")).startswith(f"{process}/"):
            what = {name: seen.get(name) for name in ("effect", "holder", "phase")}
            self._say(f"{request.sender.name} sent {request.verb} {request.about}, having seen {json.dumps(what)}")

    def _released(self, lease: JSONObject, *, now: float) -> None:
        name, holder = lease["metadata"]["name"], lease["spec"].get("holderIdentity") or ""
        fresh = now - self._written[name] <= TERM_SECONDS
        if (
            fresh
            and self._deletes
            and not self._by_order
            and not holder.startswith(f"{self._deletes}/")
            and self._is_working(holder)
        ):
            self._say(f"{self._deletes} took away Lease {name} of {holder}, who works")


def _variable(job: JSONObject, name: str) -> str:
    env: list[dict[str, Any]] = job["spec"]["template"]["spec"]["containers"][0]["env"]
    return next(str(entry["value"]) for entry in env if entry["name"] == name)
