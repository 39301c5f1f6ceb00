"""The one Secret that the ingress mounts: all Repositories' webhook secrets (format: conveyor_ingress.secrets)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

from conveyor.api.objects import Repository
from conveyor.api.repository import SecretRef
from conveyor.cluster.protocol import Cluster, Key
from conveyor.web.errors import NotFound


class SecretMirror:
    """Each Repository owns its own entries; passes over two Repositories do not overwrite each other."""

    def __init__(self, cluster: Cluster, target: Key) -> None:
        self._cluster, self._target = cluster, target
        self._lock = asyncio.Lock()

    async def update(self, repository: Repository) -> str:
        """Bring a Repository's entries up to date; says what is missing, "" where nothing is."""
        missing: list[str] = []
        entries = dict([await self._gitea(repository, missing), *await self._plane(repository, missing)])
        await self._replace(_prefixes(repository), {name: text for name, text in entries.items() if text})
        return ", ".join(missing)

    async def remove(self, repository: Repository) -> None:
        await self._replace(_prefixes(repository), {})

    async def _replace(self, prefixes: frozenset[str], entries: Mapping[str, str]) -> None:
        async with self._lock:
            try:
                stored = dict(await self._cluster.secret(self._target))
            except NotFound:
                stored = {}
            wanted = {name: text for name, text in stored.items() if name not in prefixes} | dict(entries)
            if wanted != stored or not stored:
                await self._cluster.apply_secret(self._target, wanted)

    async def _gitea(self, repository: Repository, missing: list[str]) -> tuple[str, str]:
        name = f"gitea.{repository.metadata.namespace}.{repository.name}"
        return name, await self._entry(repository, repository.spec.forge.webhook_secret_ref, missing, {})

    async def _plane(self, repository: Repository, missing: list[str]) -> list[tuple[str, str]]:
        tracker = repository.spec.tracker
        if tracker is None:
            return []
        name = f"plane.{repository.metadata.namespace}.{tracker.project_id.lower()}"
        more = {"repository": repository.name}
        return [(name, await self._entry(repository, tracker.webhook_secret_ref, missing, more))]

    async def _entry(
        self, repository: Repository, reference: SecretRef | None, missing: list[str], more: Mapping[str, str]
    ) -> str:
        """The JSON of one registration; "" where there is no usable secret, so that its path stays closed."""
        if reference is None:
            return ""
        try:
            secret = await self._cluster.secret(Key(repository.metadata.namespace, reference.name))
        except NotFound:
            missing.append(f"Secret {reference.name} is missing")
            return ""
        current = secret.get("secret", "").rstrip("\r\n")
        if not current.strip():
            missing.append(f"Secret {reference.name} has no key secret")
            return ""
        previous = secret.get("previous", "").rstrip("\r\n")
        return json.dumps({"current": current, **({"previous": previous} if previous.strip() else {}), **more})


def _prefixes(repository: Repository) -> frozenset[str]:
    namespace, tracker = repository.metadata.namespace, repository.spec.tracker
    names = {f"gitea.{namespace}.{repository.name}"}
    return frozenset(names | ({f"plane.{namespace}.{tracker.project_id.lower()}"} if tracker is not None else set()))
