"""The pass over one Repository: check forge and tracker now and then, judge, store the verdict."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime

from conveyor.api.objects import Repository
from conveyor.api.stages import Role
from conveyor.cluster.merge_patch import merge_patch
from conveyor.cluster.protocol import Key, Kind, Lost, Rejected, Uncertain, Won
from conveyor.engine.hub import Hub
from conveyor.engine.lanes import read_repository
from conveyor.engine.mirror import SecretMirror
from conveyor.engine.observe import known, state_map
from conveyor.engine.outcomes import Again, Done, Outcome, Person, Retry
from conveyor.engine.records import RepositoryRecord
from conveyor.engine.slots import Slots
from conveyor.engine.world import World
from conveyor.pipeline.facts import Fact, Unknown
from conveyor.pipeline.indication import StateMap
from conveyor.pipeline.readiness import Checks, judged
from conveyor.web.errors import BadCredentials, NotFound, OutsideError, RateLimited

logger = logging.getLogger(__name__)

CHECK_SECONDS = 300.0
CHECK_AGAIN_SECONDS = 15.0
"""How soon a Repository that is not Ready is checked again."""


@dataclass(frozen=True, slots=True)
class _Checked:
    generation: int
    request: str
    time: datetime
    checks: Checks


class RepositoryReconciler:
    def __init__(self, world: World, hub: Hub, slots: Slots, mirror: SecretMirror) -> None:
        self._world, self._hub, self._slots, self._mirror = world, hub, slots, mirror
        self._checked: dict[Key, _Checked] = {}

    async def reconcile(self, key: Key) -> Outcome:
        record = self._world.cache.repositories.get(key)
        if record is None:
            self._forget(key)
            return Done()
        repository = read_repository(record)
        if isinstance(repository, str):
            self._world.telemetry.invariant_violated("UnreadableRepository")
            return Person(repository)
        try:
            return await self._pass(record, repository)
        except RateLimited as error:
            return Again(max(error.until_seconds, 1.0))
        except OutsideError as error:
            return Retry(f"{type(error).__name__}: {str(error)[:300]}")

    def _forget(self, key: Key) -> None:
        self._checked.pop(key, None)
        self._slots.set_limit(key, None)
        self._world.connections.forget(key)

    async def _pass(self, record: RepositoryRecord, repository: Repository) -> Outcome:
        self._slots.set_limit(record.key, repository.spec.max_concurrent_runs)
        checks = await self._checks(record, repository)
        settings = self._world.settings
        status = judged(repository, checks, now=self._world.now(), freeze_enabled=settings.freeze)
        ready = any(condition.type == "Ready" and condition.status == "True" for condition in status.conditions)
        after = CHECK_SECONDS if ready else CHECK_AGAIN_SECONDS
        freeze = status.effective_freeze
        if freeze is not None and freeze.until_time is not None:
            left = (freeze.until_time - self._world.now()).total_seconds()
            after = min(after, max(left, 0.0) + 0.1)
        patch = merge_patch(repository.status.dump(), status.dump())
        if patch is None:
            return Again(after)
        version = repository.metadata.resource_version
        written = await self._world.cluster.patch_status(
            Kind.REPOSITORY, record.key, resource_version=version, status=patch
        )
        match written:
            case Won(stored):
                self._hub.repository_written(stored)
                return Again(after)
            case Lost() | Uncertain():
                fresh = await self._world.cluster.get(Kind.REPOSITORY, record.key)
                if fresh is not None:
                    self._hub.repository_written(fresh)
                return Again(0.1)
            case Rejected(message):
                self._world.telemetry.invariant_violated("WriteRejected")
                logger.error("the API server rejects a status", extra={"key": str(record.key), "error": message[:500]})
                return Person(f"the API server rejects the next status: {message[:200]}")

    # --- checking

    async def _checks(self, record: RepositoryRecord, repository: Repository) -> Checks:
        """What was found not long ago, or now: after a change of spec, a `refresh`, or a while."""
        kept, now = self._checked.get(record.key), self._world.now()
        request = repository.metadata.annotations.get("request.conveyor.dev/refresh", "")
        generation = repository.metadata.generation
        if kept is not None and (kept.generation, kept.request) == (generation, request):
            fresh_for = CHECK_SECONDS if not _failed(kept.checks) else CHECK_AGAIN_SECONDS
            if (now - kept.time).total_seconds() < fresh_for - 1.0:
                return kept.checks
        if kept is not None:
            self._world.connections.forget(record.key)
        checks = await self._check(record, repository)
        self._checked[record.key] = _Checked(generation, request, now, checks)
        return checks

    async def _check(self, record: RepositoryRecord, repository: Repository) -> Checks:
        hook_path = f"/webhooks/gitea/{record.key.namespace}/{record.key.name}"
        missing_hook_secret = await self._mirror.update(repository)
        if missing_hook_secret:
            logger.warning(
                "webhook secret missing", extra={"repository": str(record.key), "error": missing_hook_secret}
            )
        twin, agents = self._twin(record), self._agents(repository)
        try:
            forge = await self._world.connections.forge(repository)
            settings = await forge.settings(default_branch=repository.spec.forge.default_branch)
        except (BadCredentials, NotFound) as error:
            return Checks(bad_credentials=_mended(str(error)), twin=twin, agents=agents, hook_path=hook_path)
        except OutsideError as error:
            unreachable = Unknown(str(error)[:300])
            return Checks(settings=unreachable, twin=twin, agents=agents, hook_path=hook_path)
        hooks = await known(forge.hooks(), "Forge")
        bad, identifier, states = await self._tracker(repository)
        return Checks(
            settings=settings,
            hooks=hooks,
            identifier=identifier,
            states=states,
            bad_credentials=bad,
            twin=twin,
            agents=agents,
            hook_path=hook_path,
        )

    async def _tracker(self, repository: Repository) -> tuple[str, Fact[str | None], Fact[StateMap | None]]:
        if repository.spec.tracker is None:
            return "", None, None
        try:
            tracker = await self._world.connections.tracker(repository)
            if tracker is None:
                return "", None, None
            return "", await tracker.identifier(), await state_map(tracker, repository)
        except (BadCredentials, NotFound) as error:
            return _mended(str(error)), None, None
        except OutsideError as error:
            unknown = Unknown(str(error)[:300], on="Tracker")
            return "", unknown, unknown

    def _twin(self, record: RepositoryRecord) -> str:
        """The oldest other Repository for the same forge repository or the same project."""
        same = [
            other
            for other in self._world.cache.repositories
            if other.key != record.key
            and (other.forge == record.forge or (record.project_id and other.project_id == record.project_id))
            and (other.created, other.uid) < (record.created, record.uid)
        ]
        oldest = min(same, key=lambda other: (other.created, other.uid), default=None)
        return str(oldest.key) if oldest is not None else ""

    def _agents(self, repository: Repository) -> frozenset[Role]:
        own = {agent.role for agent in repository.spec.agents}
        return frozenset(own | set(self._world.settings.default_agents))


def _failed(checks: Checks) -> bool:
    return bool(checks.bad_credentials) or isinstance(checks.settings, Unknown) or isinstance(checks.states, Unknown)


def _mended(error: str) -> str:
    return f"{error[:700]}: check the Secret and its rights"
