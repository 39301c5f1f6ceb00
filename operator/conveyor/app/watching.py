"""kopf as the watch shell: it tells the hub what it sees, and writes nothing.

Only `on.event` is used: every other kind of handler annotates objects or patches them without a precondition.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator
from typing import Any, cast

import kopf

from conveyor.api.annotations import GROUP, LABEL_WORKITEM, VERSION
from conveyor.cluster.connection import Access, Connection
from conveyor.cluster.protocol import JSONObject
from conveyor.engine.hub import Hub

SERVER_SECONDS, CLIENT_SECONDS = 300, 310
"""How long one watch lasts. kopf sends the first as it is, and the API server takes integers alone (measured)."""


LONGEST_BACKOFF_SECONDS = 5.0
"""Four watches ask so seldom that it is nothing, and know of what they missed soon after the API server is back."""


class EndlessBackoff:
    """Seconds between tries, for ever: an API server that is away must not end the process."""

    def __iter__(self) -> Iterator[float]:
        seconds = 0.5
        while True:
            yield seconds
            seconds = min(seconds * 2, LONGEST_BACKOFF_SECONDS)


class NoDiffs(kopf.DiffBaseStorage):
    """Nobody handles changes here. kopf would copy each object at each event, for the case that somebody did."""

    def build(
        self,
        *,
        body: kopf.Body,
        extra_fields: object = None,
    ) -> kopf.BodyEssence:
        return cast("kopf.BodyEssence", {})

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Nothing: kopf writes nothing."""


def settings(*, lease: str) -> kopf.OperatorSettings:
    chosen = kopf.OperatorSettings()
    chosen.posting.enabled = False
    chosen.scanning.disabled = True
    chosen.peering.standalone = True
    chosen.watching.server_timeout = SERVER_SECONDS
    chosen.watching.client_timeout = CLIENT_SECONDS
    chosen.watching.reconnect_backoff = 1.0
    chosen.networking.error_backoffs = EndlessBackoff()
    chosen.persistence.diffbase_storage = NoDiffs()
    chosen.watching.label_selectors["batch", "v1", "jobs"] = LABEL_WORKITEM
    chosen.watching.field_selectors["coordination.k8s.io", "v1", "leases"] = f"metadata.name={lease}"
    return chosen


def registry(hub: Hub, connection: Connection, *, heartbeat: Callable[[JSONObject], None]) -> kopf.OperatorRegistry:
    """All we ever hear from kopf."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers)
    async def login(**_: Any) -> kopf.ConnectionInfo:  # noqa: ANN401 - kopf's own signature
        return _connection_info(await connection.access())

    _watch(handlers, (GROUP, VERSION, "repositories"), hub.repository_seen, hub.repository_gone)
    _watch(handlers, (GROUP, VERSION, "workitems"), hub.item_seen, hub.item_gone)
    _watch(handlers, ("batch", "v1", "jobs"), hub.job_seen, hub.job_gone)

    _watch(handlers, ("coordination.k8s.io", "v1", "leases"), heartbeat, lambda _: None)
    return handlers


def _watch(
    handlers: kopf.OperatorRegistry,
    resource: tuple[str, str, str],
    seen: Callable[[JSONObject], None],
    gone: Callable[[JSONObject], None],
) -> None:
    @kopf.on.event(*resource, registry=handlers, id="/".join(resource))
    async def changed(type: str | None, body: kopf.Body, **_: Any) -> None:  # noqa: A002, ANN401 - kopf's own signature
        (gone if type == "DELETED" else seen)(_plain(body))


def _plain(body: kopf.Body) -> JSONObject:
    """The object without managedFields, which are a quarter of it."""
    raw = dict(body)
    raw["metadata"] = {key: value for key, value in raw["metadata"].items() if key != "managedFields"}
    return raw


def _connection_info(access: Access) -> kopf.ConnectionInfo:
    """Made anew at each login: a rotated token comes into use when the old one is refused."""
    return kopf.ConnectionInfo(
        server=access.server,
        ca_path=access.ca_path,
        token=access.token,
        certificate_path=access.certificate_path,
        private_key_path=access.private_key_path,
        insecure=access.insecure,
    )


class _AllTasks(Collection["asyncio.Task[Any]"]):
    """What kopf is to leave alone at its end: it takes all tasks begun after its start for its own (1.45.2)."""

    def __contains__(self, task: object) -> bool:
        return True

    def __iter__(self) -> Iterator[asyncio.Task[Any]]:
        return iter(())

    def __len__(self) -> int:
        return 0


async def watch(
    handlers: kopf.OperatorRegistry,
    *,
    namespaces: tuple[str, ...],
    lease: str,
    stop: asyncio.Event,
    listen_to_signals: Callable[[], None],
) -> None:
    """Until `stop` is set; raises RuntimeError where kopf ends by itself, as it does when its login is refused.

    kopf takes SIGTERM and SIGINT for itself; `listen_to_signals` is called to take them back.
    """
    tasks = await kopf.spawn_tasks(
        registry=handlers,
        settings=settings(lease=lease),
        namespaces=list(namespaces),
        clusterwide=not namespaces,
        standalone=True,
        stop_flag=stop,
    )
    listen_to_signals()
    await kopf.run_tasks(tasks, ignored=_AllTasks())
    if not stop.is_set():
        raise RuntimeError("kopf's watch ended by itself")
