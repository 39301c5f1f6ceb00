"""Events for people, in events.k8s.io/v1: one per note, counted up where the same is said again. Never state."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from datetime import UTC, datetime

from conveyor.api.objects import API_VERSION, WorkItem
from conveyor.api.text import printable
from conveyor.cluster.protocol import JSONObject, Key, Kind
from conveyor.engine.world import World
from conveyor.pipeline.actions import Note
from conveyor.web.errors import OutsideError

logger = logging.getLogger(__name__)

CONTROLLER = "conveyor.dev/operator"
MAX_NOTE_BYTES = 1024
"""events.k8s.io/v1 takes no longer note (measured)."""


@dataclass(frozen=True, slots=True)
class Regarding:
    """What Events are about."""

    kind: Kind
    key: Key
    uid: str


def regarding(item: WorkItem) -> Regarding:
    return Regarding(Kind.WORKITEM, Key(item.metadata.namespace, item.name), item.metadata.uid)


class EventRecorder:
    """An Event that cannot be stored is logged and forgotten: nothing depends on one."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def record(self, about: Regarding, notes: tuple[Note, ...]) -> None:
        settings = self._world.settings
        if not settings.events:
            return
        for note in notes:
            try:
                await self._world.cluster.record_event(event(about, note, now=self._world.now(), by=settings.holder))
            except OutsideError as error:
                logger.warning("event not stored", extra={"reason": note.reason, "error": type(error).__name__})


def event(about: Regarding, note: Note, *, now: datetime, by: str) -> JSONObject:
    """The name is made of what is said, so that saying it again counts it up."""
    text = plain(note.text)
    said = hashlib.sha256(f"{about.uid}/{note.reason}/{text}".encode()).hexdigest()[:16]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{about.key.name}.{said}", "namespace": about.key.namespace},
        "eventTime": f"{now.astimezone(UTC).isoformat(timespec='microseconds')[:26]}Z",
        "reportingController": CONTROLLER,
        "reportingInstance": by[:128],
        "action": note.reason,
        "reason": note.reason,
        "type": "Warning" if note.warning else "Normal",
        "note": text,
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": _NAMES[about.kind],
            "name": about.key.name,
            "namespace": about.key.namespace,
            "uid": about.uid,
        },
    }


_NAMES = {Kind.WORKITEM: "WorkItem", Kind.REPOSITORY: "Repository"}


def plain(text: str) -> str:
    """Text of tickets and agents without control characters, cut to what an Event takes."""
    safe = " ".join(printable(text).split())
    return safe.encode()[:MAX_NOTE_BYTES].decode(errors="ignore")
