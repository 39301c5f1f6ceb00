"""A shop whose deploys are watched for two minutes, a probe each 10 s, degraded after three failures in a row."""

from __future__ import annotations

from typing import Any

from conveyor.cluster.protocol import JSONObject, Key, Kind
from tests.unit.engine.rig import SHOP, Rig

WATCH: JSONObject = {
    "windowSeconds": 120,
    "intervalSeconds": 10,
    "failureThreshold": 3,
    "probes": [{"url": "https://shop.test/healthz"}],
}
DOWN = "it answered 500, wanted 2xx"
DEGRADED = f"https://shop.test/healthz: {DOWN}"


def shop(*, monitor: JSONObject | None = None, settings: JSONObject | None = None, **spec: Any) -> tuple[Rig, Key]:
    rig = Rig(**(settings or {}))
    rig.repository(monitor=WATCH | (monitor or {}), **spec)
    return rig, rig.item("first", title="First")


def monitor(rig: Rig, item: Key) -> JSONObject:
    found: JSONObject = rig.status(item).get("monitor", {})
    return found


def verdict(rig: Rig, item: Key) -> str:
    return str(monitor(rig, item).get("verdict", ""))


def freezes(rig: Rig) -> list[JSONObject]:
    found: list[JSONObject] = rig.status(SHOP, Kind.REPOSITORY).get("freezes", [])
    return found


def deployed_by(rig: Rig, item: Key) -> str:
    """The id of the deploy's transition, as history has it."""
    return str(rig.status(item)["history"][-1]["transitionID"])


def degraded_events(rig: Rig) -> list[str]:
    return [text for reason, text in rig.notes() if reason == "Degraded"]


async def watched(rig: Rig, item: Key) -> None:
    """To the end of the watch."""
    for _ in range(20):
        await rig.run(until=60)
        if verdict(rig, item) not in ("", "Watching"):
            return
    raise AssertionError(f"no verdict: {monitor(rig, item)}")
