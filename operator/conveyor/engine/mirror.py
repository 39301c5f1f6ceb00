"""The one Secret that the ingress mounts: all Repositories' webhook secrets (format: conveyor_ingress.secrets)."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from conveyor.api.objects import Repository
from conveyor.api.repository import SecretRef
from conveyor.cluster.protocol import Cluster, Key
from conveyor.engine.secrets import SECRET_SECONDS
from conveyor.web.errors import NotFound

MAX_SECRET = 1024
"""Characters. One Secret holds everybody's, and an object has room for 1 MiB."""
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
"""What the API server takes as a key of a Secret: one other key, and it refuses all of it."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the Secret holds, by whose it is, None for what is nobody's; and when, in seconds of the clock."""

    by_owner: Mapping[Key | None, Mapping[str, str]] = field(repr=False)
    at: float


class SecretMirror:
    """Each Repository owns its own entries: two passes do not overwrite each other's, and those of the gone go."""

    def __init__(
        self,
        cluster: Cluster,
        target: Key,
        *,
        exists: Callable[[Key], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`exists`: whether there is a Repository of that key. It must know them all."""
        self._cluster, self._target, self._exists, self._clock = cluster, target, exists, clock
        self._lock = asyncio.Lock()
        self._seen: _Seen | None = None

    async def update(self, repository: Repository) -> str:
        """Bring a Repository's entries up to date; says what is missing, "" where nothing is."""
        missing: list[str] = []
        found = [await self._gitea(repository, missing), *await self._plane(repository, missing)]
        entries = {name: text for name, text in found if text}
        await self._replace(Key(repository.metadata.namespace, repository.name), entries)
        return ", ".join(missing)

    async def forget_the_gone(self) -> None:
        """Close the paths of Repositories that are no more."""
        await self._replace(None, {})

    async def _replace(self, of: Key | None, entries: Mapping[str, str]) -> None:
        async with self._lock:
            if self._is_as_wanted(of, entries):
                return
            try:
                stored = dict(await self._cluster.secret(self._target))
            except NotFound:
                stored = {}
            kept = {name: text for name, text in stored.items() if self._stays(name, text, of)}
            wanted = kept | dict(entries)
            if wanted != stored or not stored:
                await self._cluster.apply_secret(self._target, wanted)
            self._seen = _Seen(_by_owner(wanted), self._clock())

    def _is_as_wanted(self, of: Key | None, entries: Mapping[str, str]) -> bool:
        """By what was there a moment ago: hundreds of Repositories are looked at in a row. A write reads first."""
        seen = self._seen
        if seen is None or self._clock() - seen.at >= SECRET_SECONDS or None in seen.by_owner:
            return False
        if of is None:
            return all(owner is not None and self._exists(owner) for owner in seen.by_owner)
        return seen.by_owner.get(of, {}) == entries

    def _stays(self, name: str, text: str, of: Key | None) -> bool:
        owner = _owner(name, text)
        return owner is not None and owner != of and self._exists(owner)

    async def _gitea(self, repository: Repository, missing: list[str]) -> tuple[str, str]:
        name = f"gitea.{repository.metadata.namespace}.{repository.name}"
        return name, await self._entry(repository, repository.spec.forge.webhook_secret_ref, missing, {})

    async def _plane(self, repository: Repository, missing: list[str]) -> list[tuple[str, str]]:
        tracker = repository.spec.tracker
        if tracker is None:
            return []
        name = f"plane.{repository.metadata.namespace}.{tracker.project_id.lower()}"
        if not _KEY.fullmatch(name):
            missing.append("tracker.projectID is not the id of a project")
            return []
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
        if max(len(current), len(previous)) > MAX_SECRET:
            missing.append(f"Secret {reference.name}: a webhook secret has {MAX_SECRET} characters at most")
            return ""
        return json.dumps({"current": current, **({"previous": previous} if previous.strip() else {}), **more})


def _by_owner(stored: Mapping[str, str]) -> Mapping[Key | None, Mapping[str, str]]:
    found: dict[Key | None, dict[str, str]] = {}
    for name, text in stored.items():
        found.setdefault(_owner(name, text), {})[name] = text
    return found


def _owner(name: str, text: str) -> Key | None:
    """Whose an entry is; None where nobody's. Namespaces have no dot in them, names may have."""
    source, _, rest = name.partition(".")
    namespace, _, registration = rest.partition(".")
    if source == "gitea":
        return Key(namespace, registration)
    try:
        repository = json.loads(text)["repository"] if source == "plane" else None
    except (ValueError, KeyError, TypeError):
        return None
    return Key(namespace, repository) if isinstance(repository, str) else None
