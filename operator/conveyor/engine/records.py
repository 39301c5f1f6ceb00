"""Slim records of the objects watched: what the queue, the lane and `/queue` need, and the whole as compact JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic_core import to_json

from conveyor.api.annotations import (
    ITEMS_FINALIZER,
    LABEL_EFFECT,
    LABEL_WORKITEM,
    LABEL_WORKITEM_UID,
    RESULT_FINALIZER,
    TRANSITION_FINALIZER,
    HintClass,
    hints,
)
from conveyor.api.names import key_of_item
from conveyor.api.stages import TERMINAL, Stage
from conveyor.cluster.protocol import JSONObject, Key
from conveyor.engine.resting import rests
from conveyor.engine.shapes import dict_in, dicts_in
from conveyor.pipeline.lane import Waiter

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ENDS = frozenset({"Complete", "Failed", "FailureTarget"})
"""Conditions of a Job that its item acts upon: the last of them says why it will fail."""
ALL_SOURCES = frozenset({"Spec", "Tracker"})
"""Where dependencies may come from, as `status.dependencies` has it."""


@dataclass(frozen=True, slots=True)
class ItemRecord:
    """A WorkItem. `body` is parsed again when a pass needs the whole."""

    key: Key
    uid: str
    version: int
    repository: str
    stage: Stage | None
    created: datetime
    item_key: str
    priority: int
    dependencies: tuple[str, ...]
    suspended: bool
    stalled: str
    waiting: str
    role: str
    """The role of the run at work; empty: none."""
    transition: str
    """The effect under way; empty: none."""
    issue_id: str
    watched_until: datetime | None
    """The end of the watch over its deploy while that goes on; None: there is none."""
    indicated: str
    """Id of the ticket state we last set."""
    branch: str
    head_sha: str
    entered: datetime
    """When it came to its stage."""
    job: str
    """Name of the Job that its run or intent has created; empty: there is none yet."""
    asked_for: str
    """Name of the Job that its run or intent creates, there or not; empty: it wants none."""
    deadline: datetime | None
    """When the intent on record is to be parked; None: there is none, or it is parked."""
    held: bool
    """Whether it stays, when deleted, until what it began has ended."""
    deleting: bool
    hints: tuple[tuple[HintClass, str], ...]
    rests: bool
    """Whether it has ended, and its own pass would change nothing."""
    invalid: str
    """Why the object cannot be read; it then counts as under way in its own repository only."""
    body: bytes

    @property
    def under_way(self) -> bool:
        """From its first intent to its end."""
        begun = self.stage not in (None, Stage.CREATED) or bool(self.transition)
        return bool(self.invalid) or (begun and not self.over)

    @property
    def terminal(self) -> bool:
        return self.stage in TERMINAL

    @property
    def over(self) -> bool:
        """Whether it does nothing more: it has ended, or is deleted and holds nothing."""
        return self.terminal or (self.deleting and not self.held)

    @property
    def waits(self) -> bool:
        return not (self.invalid or self.under_way or self.over or self.deleting)

    def waiter(self) -> Waiter:
        return Waiter(
            name=self.key.name,
            uid=self.uid,
            key=self.item_key,
            priority=self.priority,
            created=self.created,
            dependencies=self.dependencies,
            suspended=self.suspended,
        )


@dataclass(frozen=True, slots=True)
class RepositoryRecord:
    key: Key
    uid: str
    version: int
    project_id: str
    forge: str
    """url/owner/name, as far as it is told."""
    created: datetime
    max_runs: int | None
    """Its own `maxConcurrentRuns`; None: only the limit over all counts."""
    held: bool
    """Whether it stays, when deleted, while items of it are under way."""
    deleting: bool
    hints: tuple[tuple[HintClass, str], ...]
    body: bytes

    @property
    def places(self) -> tuple[str, ...]:
        """What it is for, outside: one that shares any of them is a twin."""
        return (self.forge, f"project {self.project_id}") if self.project_id else (self.forge,)


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A Job with our labels."""

    key: Key
    uid: str
    version: int
    item: Key
    item_uid: str
    effect: str
    finished: bool
    """Complete or Failed, as its controller says: of a Job that is being deleted it says nothing any more."""
    deleted: bool
    unstarted: bool
    """An effect's, created suspended, that nobody has let begin."""
    has_ttl: bool
    has_finalizer: bool
    told: tuple[str, ...]
    """What is said of it that its item may want to know: that it is held back, ends or has ended, with pods or without.

    Not what every Job comes through on its way, its start with times and counts: that changes several times.
    """

    @property
    def ends(self) -> bool:
        """Whether its controller has said anything of its end."""
        return not ENDS.isdisjoint(self.told)

    @property
    def tidy(self) -> bool:
        """Whether nothing is left to be done about it: the cluster removes it by itself."""
        return self.finished and self.has_ttl and not self.has_finalizer

    @property
    def left_over(self) -> bool:
        """Whether there is something to let go of, once nobody waits for its end any more."""
        return (self.finished and not self.tidy) or (self.deleted and self.has_finalizer) or self.unstarted


def slim(obj: JSONObject) -> bytes:
    """The object without what no decision reads, as compact JSON."""
    return to_json({"metadata": obj.get("metadata", {}), "spec": obj.get("spec", {}), "status": obj.get("status", {})})


def key_of(obj: JSONObject) -> Key:
    return Key(namespace=obj["metadata"].get("namespace", ""), name=obj["metadata"]["name"])


def version_of(obj: JSONObject) -> int:
    """The resourceVersion: those of one resource compare as integers (documented since 1.35, true before)."""
    return int(obj["metadata"]["resourceVersion"])


def item_record(obj: JSONObject, *, dependencies_from: frozenset[str] = ALL_SOURCES) -> ItemRecord:
    """Read tolerantly: whatever the store holds, the record says what is wrong instead of raising."""
    invalid = ""
    spec, status = dict_in(obj, "spec"), dict_in(obj, "status")
    stage: Stage | None = None
    try:
        stage = Stage(status["stage"]) if "stage" in status else None
    except ValueError:
        invalid = f"unknown stage {str(status['stage'])[:40]!r}: an operator newer than this one may have written it"
    source = dict_in(spec, "source")
    key = key_of(obj)
    return ItemRecord(
        key=key,
        uid=obj["metadata"]["uid"],
        version=version_of(obj),
        repository=str(dict_in(spec, "repositoryRef").get("name", "")),
        stage=stage,
        created=_time(obj["metadata"].get("creationTimestamp")),
        item_key=key_of_item(key.name, str(source["key"]) if "key" in source else None),
        priority=_int(spec.get("priority")),
        dependencies=_dependencies(spec, status, dependencies_from),
        suspended=spec.get("suspend") is True,
        stalled=_stalled(status),
        waiting=str(dict_in(status, "waiting").get("reason", "")),
        role=str(dict_in(status, "activeRun").get("role", "")),
        transition=str(dict_in(status, "transition").get("effect", "")),
        issue_id=str(source.get("issueID", "")),
        watched_until=_watched_until(stage, dict_in(status, "monitor")),
        indicated=str(dict_in(status, "tracker").get("indicatedState", "")),
        branch=str(status.get("branch", "")),
        head_sha=str(status.get("headSHA", "")),
        entered=_time(status.get("stageEnteredTime")),
        job=_job(status, created=True),
        asked_for=_job(status, created=False),
        deadline=_deadline(dict_in(status, "transition")),
        held=TRANSITION_FINALIZER in (obj["metadata"].get("finalizers") or []),
        deleting="deletionTimestamp" in obj["metadata"],
        hints=_hints(obj),
        rests=rests(stage, obj["metadata"], status),
        invalid=invalid,
        body=slim(obj),
    )


def repository_record(obj: JSONObject) -> RepositoryRecord:
    spec = dict_in(obj, "spec")
    forge = dict_in(spec, "forge")
    return RepositoryRecord(
        key=key_of(obj),
        uid=obj["metadata"]["uid"],
        version=version_of(obj),
        project_id=str(dict_in(spec, "tracker").get("projectID", "")),
        forge="/".join(str(forge.get(part, "")).rstrip("/").lower() for part in ("url", "owner", "name")),
        created=_time(obj["metadata"].get("creationTimestamp")),
        max_runs=_int(spec["maxConcurrentRuns"]) if "maxConcurrentRuns" in spec else None,
        held=ITEMS_FINALIZER in (obj["metadata"].get("finalizers") or []),
        deleting="deletionTimestamp" in obj["metadata"],
        hints=_hints(obj),
        body=slim(obj),
    )


def job_record(obj: JSONObject) -> JobRecord:
    metadata, key = obj["metadata"], key_of(obj)
    labels, spec, status = dict_in(metadata, "labels"), dict_in(obj, "spec"), dict_in(obj, "status")
    effect = str(labels.get(LABEL_EFFECT, ""))
    conditions = dicts_in(status, "conditions")
    finished = any(_ended(condition) for condition in conditions)
    held_back = spec.get("suspend") is True and "startTime" not in status
    return JobRecord(
        key=key,
        uid=metadata["uid"],
        version=version_of(obj),
        item=Key(namespace=key.namespace, name=str(labels.get(LABEL_WORKITEM, ""))),
        item_uid=str(labels.get(LABEL_WORKITEM_UID, "")),
        effect=effect,
        finished=finished,
        deleted=bool(metadata.get("deletionTimestamp")),
        unstarted=bool(effect) and held_back and not finished,
        has_ttl="ttlSecondsAfterFinished" in spec,
        has_finalizer=RESULT_FINALIZER in (metadata.get("finalizers") or []),
        told=_told(spec, status, held_back=bool(effect) and held_back),
    )


def _told(spec: Mapping[str, Any], status: Mapping[str, Any], *, held_back: bool) -> tuple[str, ...]:
    """`held_back`: an effect's that we have not let begin yet, which is nothing new to its item."""
    ends = {str(it.get("type")) for it in dicts_in(status, "conditions") if it.get("status") == "True"} & ENDS
    pods = {word for word in ("active", "terminating") if ends and status.get(word)}
    suspended = {"suspended"} if spec.get("suspend") is True and not held_back else set()
    return tuple(sorted(ends | pods | suspended))


def _ended(condition: Mapping[str, Any]) -> bool:
    return condition.get("type") in ("Complete", "Failed") and condition.get("status") == "True"


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0


def _time(value: object) -> datetime:
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        return EPOCH


def _job(status: Mapping[str, Any], *, created: bool) -> str:
    """Of the run or intent on record; `created`: only where its uid is known, for then it was there."""
    found = (dict_in(status, "activeRun"), dict_in(dict_in(status, "transition"), "job"))
    return next((str(job.get("name", "")) for job in found if job and ("uid" in job or not created)), "")


def _deadline(transition: Mapping[str, Any]) -> datetime | None:
    return _time(transition.get("deadlineTime")) if transition.get("phase") == "Prepared" else None


def _watched_until(stage: Stage | None, monitor: Mapping[str, Any]) -> datetime | None:
    watching = stage == Stage.DONE and monitor.get("verdict") == "Watching"
    return _time(monitor.get("untilTime")) if watching else None


def _stalled(status: Mapping[str, Any]) -> str:
    for condition in dicts_in(status, "conditions"):
        if condition.get("type") == "Stalled" and condition.get("status") == "True":
            return str(condition.get("reason", ""))
    return ""


def _dependencies(spec: Mapping[str, Any], status: Mapping[str, Any], sources: frozenset[str]) -> tuple[str, ...]:
    """What is on record, and what the spec asks for and may not be on record yet."""
    named = dicts_in(spec, "dependsOn") if "Spec" in sources else []
    named += [entry for entry in dicts_in(status, "dependencies") if entry.get("source") in sources]
    return tuple(sorted({str(entry["name"]) for entry in named if "name" in entry}))


def _hints(obj: JSONObject) -> tuple[tuple[HintClass, str], ...]:
    annotations = dict_in(obj["metadata"], "annotations")
    return tuple(sorted(hints({key: value for key, value in annotations.items() if isinstance(value, str)}).items()))
