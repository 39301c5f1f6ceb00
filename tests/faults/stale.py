"""What can happen to lists and watches on their way to the operator."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from tests.faults.calls import Call
from tests.faults.faults import Stale

Object = dict[str, Any]
OLD_LISTS = 2
"""The one by which a watch learns its version, and the listing that follows."""
VERSIONS_BACK = 3
FROZEN_SECONDS = 300.0
"""As long as the API server keeps a watch open."""
_ENDS = frozenset({Stale.CUT, Stale.OLD_LIST, Stale.GONE})
_GONE: Object = {
    "kind": "Status",
    "apiVersion": "v1",
    "status": "Failure",
    "code": 410,
    "reason": "Expired",
    "message": "too old resource version",
}


class BrokenOffError(Exception):
    """The connection to the operator is to break now."""


@dataclass(frozen=True)
class StaleTarget:
    """What happens to the `nth` event (from 1) of a resource."""

    kind: Stale
    resource: str
    nth: int

    def __str__(self) -> str:
        return f"{self.resource}, event {self.nth}"


class Watches:
    """Remembers what it let pass, since some of what goes wrong is that it comes again."""

    def __init__(self) -> None:
        self._target: StaleTarget | None = None
        self._seen = self._old_lists = 0
        self.events: dict[str, int] = {}
        self.fired = 0
        self._past: dict[str, list[bytes]] = {}
        self._versions: dict[tuple[str, str], list[Object]] = {}

    def begin(self, target: StaleTarget | None = None) -> None:
        self._target, self.fired, self._old_lists = target, 0, 0
        self.events, self._past, self._versions = {}, {}, {}

    # --- watches

    async def spoiled(
        self, resource: str, lines: AsyncIterator[bytes], *, crash: Callable[[], None]
    ) -> AsyncGenerator[bytes]:
        """The lines that the operator gets. Raises BrokenOffError where the connection is to break."""
        async for line in lines:
            due = self._is_due(resource, line)
            if self._target is None or not due:
                yield line
                continue
            self.fired += 1
            for instead in self._instead(self._target.kind, resource, line):
                yield instead
            if self._target.kind is Stale.OLD_LIST:
                self._old_lists = OLD_LISTS
                crash()
            if self._target.kind in _ENDS:
                raise BrokenOffError
            if self._target.kind is Stale.FREEZE:
                await asyncio.sleep(FROZEN_SECONDS)

    def _instead(self, kind: Stale, resource: str, line: bytes) -> list[bytes]:
        """What comes in the event's place."""
        match kind:
            case Stale.REPLAY:
                return list(self._past[resource])
            case Stale.CUT:
                return [line[: len(line) // 2]]
            case Stale.GONE:
                return [json.dumps({"type": "ERROR", "object": _GONE}).encode() + b"\n"]
            case Stale.FREEZE | Stale.LOSE | Stale.OLD_LIST:
                return []

    def _is_due(self, resource: str, line: bytes) -> bool:
        """Counts the event; whether it is the one that something happens to."""
        event = json.loads(line)
        if event.get("type", "ERROR") in ("BOOKMARK", "ERROR"):  # a refused watch is a Status, which has none
            return False
        self._past.setdefault(resource, []).append(line)
        self._remember(resource, event["object"])
        self.events[resource] = self.events.get(resource, 0) + 1
        target = self._target
        if target is None or self.fired:
            return False
        return (resource, self.events[resource]) == (target.resource, target.nth)

    def _remember(self, resource: str, found: Object) -> None:
        versions = self._versions.setdefault((resource, found["metadata"]["name"]), [])
        if not versions or versions[-1]["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]:
            versions.append(found)

    # --- lists

    def listed(self, call: Call, body: bytes) -> bytes | None:
        """Another body for the answer to a list; None: as it is."""
        if not call.is_list:
            return None
        found = json.loads(body)
        if self._old_lists and self._target is not None and call.resource == self._target.resource:
            self._old_lists -= 1
            return json.dumps(self._older(call.resource, found)).encode()
        for item in found.get("items") or []:
            self._remember(call.resource, item)
        return None

    def _older(self, resource: str, found: Object) -> Object:
        """As it was some versions of each object ago, and the list's own version with it."""
        items, versions = [], []
        for item in found.get("items") or []:
            past = self._versions.get((resource, item["metadata"]["name"]), [item])
            old = past[max(len(past) - 1 - VERSIONS_BACK, 0)]
            kept = {key: item[key] for key in ("apiVersion", "kind") if key in item}
            items.append(old | kept)
            versions.append(int(old["metadata"]["resourceVersion"]))
        whole = found["metadata"]["resourceVersion"]
        return found | {
            "items": items,
            "metadata": found["metadata"] | {"resourceVersion": str(max(versions, default=int(whole)))},
        }
