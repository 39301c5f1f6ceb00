"""Forge and tracker of each Repository, made from its Secrets and kept for a while."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from conveyor.api.objects import Repository
from conveyor.api.repository import Forge, Tracker
from conveyor.api.stages import Role
from conveyor.cluster.protocol import Cluster, Key
from conveyor.engine.secrets import SECRET_SECONDS, Secrets
from conveyor.forge import gitea
from conveyor.forge.protocol import Forge as ForgeClient
from conveyor.tracker import plane
from conveyor.tracker.budget import Budget
from conveyor.tracker.protocol import Tracker as TrackerClient
from conveyor.web.errors import OutsideError
from conveyor.web.hosts import AllowedHosts

LOGINS_SECONDS = 600.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Kept(Generic[T]):
    spec: Forge | Tracker
    fingerprint: str
    """Of the Secret."""
    read: float
    client: T


@dataclass(frozen=True, slots=True)
class _Logins:
    about: tuple[Forge, str]
    """Whose: the forge, and the name of the Secret."""
    read: float
    found: Mapping[str, str]


class _Shelf(Generic[T]):
    """Clients by Repository, made anew when the spec or the Secret behind one has changed."""

    def __init__(self, secrets: Secrets, clock: Callable[[], float]) -> None:
        self._secrets, self._clock = secrets, clock
        self._kept: dict[Key, _Kept[T]] = {}

    async def get(self, key: Key, spec: Forge | Tracker, make: Callable[[Mapping[str, str]], T]) -> T:
        kept, now = self._kept.get(key), self._clock()
        if kept is not None and kept.spec != spec:
            kept = None  # made anew under the same name, it may be another forge or project
        if kept is not None and now - kept.read < SECRET_SECONDS:
            return kept.client
        secret = await self._secrets.get(Key(key.namespace, spec.credentials_secret_ref.name))
        fingerprint = _fingerprint(secret.values)
        client = kept.client if kept is not None and kept.fingerprint == fingerprint else make(secret.values)
        self._kept[key] = _Kept(spec, fingerprint, secret.at, client)
        return client

    def forget(self, key: Key) -> None:
        self._kept.pop(key, None)


class Connections:
    """Raises `conveyor.web.errors` where a Secret is missing or wrong: the caller shows it on the Repository."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        allowed: AllowedHosts,
        clock: Callable[[], float],
        requests_per_minute: int,
        states_ttl: float,
    ) -> None:
        self._allowed, self._clock = allowed, clock
        self._requests_per_minute, self._states_ttl = requests_per_minute, states_ttl
        self._secrets = Secrets(cluster, clock)
        self._forges: _Shelf[ForgeClient] = _Shelf(self._secrets, clock)
        self._trackers: _Shelf[TrackerClient] = _Shelf(self._secrets, clock)
        self._budgets: dict[str, Budget] = {}
        self._logins: dict[Key, _Logins] = {}

    async def forge(self, repository: Repository) -> ForgeClient:
        """The forge with the operator's own token."""
        spec = repository.spec.forge
        return await self._forges.get(
            _key(repository), spec, lambda secret: gitea.connect(spec, secret, allowed=self._allowed)
        )

    async def tracker(self, repository: Repository) -> TrackerClient | None:
        """The tracker; None for a Repository without one."""
        spec = repository.spec.tracker
        if spec is None:
            return None
        return await self._trackers.get(_key(repository), spec, lambda secret: self._plane(spec, secret))

    async def agent_logins(self, repository: Repository) -> Mapping[str, str]:
        """Forge logins of the trusted steps' tokens by role, as far as the forge tells them; asked once a while."""
        reference = repository.spec.agent_credentials_secret_ref
        if reference is None:
            return {}
        key, now, about = _key(repository), self._clock(), (repository.spec.forge, reference.name)
        kept = self._logins.get(key)
        if kept is not None and kept.about != about:
            kept = None
        if kept is None or now - kept.read >= LOGINS_SECONDS:
            try:
                kept = _Logins(about, now, await self._read_logins(repository, reference.name))
            except OutsideError:
                found = kept.found if kept is not None else {}
                kept = _Logins(about, now - LOGINS_SECONDS + SECRET_SECONDS, found)
            self._logins[key] = kept
        return kept.found

    async def _read_logins(self, repository: Repository, name: str) -> Mapping[str, str]:
        spec = repository.spec.forge
        secret = await self.secret(Key(repository.metadata.namespace, name))
        found: dict[str, str] = {}
        for role in Role:
            token = secret.get(role.value, secret.get("token", ""))
            if token:
                client = gitea.connect(
                    spec, {"token": token, "url": secret.get("url", spec.url)}, allowed=self._allowed
                )
                found[role.value] = await client.login()
        return {role: login for role, login in found.items() if login}

    async def secret(self, key: Key) -> Mapping[str, str]:
        """As it was at most SECRET_SECONDS ago. Raises as `Cluster.secret`."""
        return (await self._secrets.get(key)).values

    def forget(self, repository: Key) -> None:
        """The Repository is gone, or what is known of its forge and tracker is to be read anew."""
        self._forges.forget(repository)
        self._trackers.forget(repository)
        self._logins.pop(repository, None)

    def forget_secrets(self, repository: Repository) -> None:
        """Its Secrets are to be read anew now: somebody may have mended one."""
        spec = repository.spec
        tracker = spec.tracker.credentials_secret_ref if spec.tracker is not None else None
        for reference in (spec.forge.credentials_secret_ref, tracker, spec.agent_credentials_secret_ref):
            if reference is not None:
                self._secrets.forget(Key(repository.metadata.namespace, reference.name))

    def _plane(self, spec: Tracker, secret: Mapping[str, str]) -> TrackerClient:
        return plane.connect(
            spec,
            secret,
            allowed=self._allowed,
            budget=self._budget(secret.get("token", "")),
            clock=self._clock,
            states_ttl=self._states_ttl,
        )

    def _budget(self, token: str) -> Budget:
        """Plane counts requests by token: whoever shares it shares the budget."""
        name = hashlib.sha256(token.encode()).hexdigest()
        if name not in self._budgets:
            self._budgets[name] = Budget(self._requests_per_minute, clock=self._clock)
        return self._budgets[name]


def _key(repository: Repository) -> Key:
    return Key(repository.metadata.namespace, repository.name)


def _fingerprint(secret: Mapping[str, str]) -> str:
    """Tells a changed Secret without keeping its text."""
    text = "\0".join(f"{key}={secret[key]}" for key in sorted(secret))
    return hashlib.sha256(text.encode()).hexdigest()
