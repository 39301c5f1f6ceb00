"""The pass over one Repository: check forge and tracker now and then, judge, store the verdict."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime

from conveyor.api.objects import Repository
from conveyor.api.repository import RepositoryStatus
from conveyor.api.stages import Role
from conveyor.cluster.merge_patch import model_patch
from conveyor.cluster.protocol import Key, Kind, Lost, Rejected, Uncertain, Won, Written
from conveyor.engine.events import EventRecorder, Regarding
from conveyor.engine.holding import set_held, should_hold, why_held
from conveyor.engine.hub import Hub
from conveyor.engine.lanes import read_repository
from conveyor.engine.mirror import SecretMirror
from conveyor.engine.observe import known, state_map
from conveyor.engine.outcomes import Again, Done, Outcome, Person, Retry
from conveyor.engine.records import RepositoryRecord
from conveyor.engine.world import World
from conveyor.pipeline.actions import Note
from conveyor.pipeline.facts import Fact, Unknown
from conveyor.pipeline.holding import with_deletion
from conveyor.pipeline.indication import StateMap
from conveyor.pipeline.readiness import Checks, frozen, judged
from conveyor.pipeline.repository_verbs import Answered, answered
from conveyor.web.errors import BadCredentials, NotFound, OutsideError, RateLimited

logger = logging.getLogger(__name__)

CHECK_SECONDS = 300.0
CHECK_AGAIN_SECONDS = 15.0
"""How soon a Repository that is not Ready is checked again."""


@dataclass(frozen=True, slots=True)
class _Checked:
    about: tuple[str, int, str]
    """Uid, generation, `refresh`: one made anew under the same name has the same generation."""
    time: datetime
    checks: Checks
    mirrored: bool
    """Whether the ingress has this Repository's webhook secrets."""


class RepositoryReconciler:
    def __init__(self, world: World, hub: Hub, mirror: SecretMirror, events: EventRecorder) -> None:
        self._world, self._hub, self._mirror, self._events = world, hub, mirror, events
        self._checked: dict[Key, _Checked] = {}

    async def reconcile(self, key: Key) -> Outcome:
        record = self._world.cache.repositories.get(key)
        try:
            if record is None:
                return await self._after_the_end(key)
            repository = read_repository(record)
            if isinstance(repository, str):
                return await self._unreadable(record, repository)
            return await self._pass(record, repository)
        except RateLimited as error:
            return Again(max(error.until_seconds, 1.0))
        except OutsideError as error:
            return Retry(f"{type(error).__name__}: {str(error)[:300]}")

    async def _after_the_end(self, key: Key) -> Outcome:
        self._checked.pop(key, None)
        self._world.connections.forget(key)
        await self._mirror.forget_the_gone()
        return Done()

    async def _unreadable(self, record: RepositoryRecord, why: str) -> Outcome:
        """Nothing is written over what we do not understand: an Event, a metric and the log say so."""
        self._world.telemetry.invariant_violated("UnreadableRepository")
        logger.error("repository cannot be read", extra={"repository": str(record.key), "error": why[:300]})
        note = Note("Unreadable", f"nothing is started here, for this object cannot be read: {why}", warning=True)
        await self._events.record(Regarding(Kind.REPOSITORY, record.key, record.uid), (note,))
        return Person(why)

    async def _pass(self, record: RepositoryRecord, repository: Repository) -> Outcome:
        if should_hold(self._world, repository) != repository.held:
            return await self._change_hold(repository)
        enabled = self._world.settings.freeze
        at_once = answered(repository, self._world.now(), looked=False)
        if at_once.notes:
            status = frozen(_with(repository, at_once.status), now=self._world.now(), enabled=enabled)
            return await self._store(record, repository, replace(at_once, status=status), after=0.0)
        checked = await self._checks(record, repository)
        now = self._world.now()
        found = answered(repository, now, looked=True)
        checks = replace(checked.checks, ceiling_seconds=self._world.settings.reaper_max_running_seconds)
        status = judged(_with(repository, found.status), checks, now=now, freeze_enabled=enabled)
        found = replace(found, status=status)
        if repository.metadata.deletion_timestamp is not None and (why := why_held(self._world, repository)):
            found = with_deletion(found, why=why, now=now)
        after = _fresh_seconds(status) if checked.mirrored else CHECK_AGAIN_SECONDS
        freeze = status.effective_freeze
        if freeze is not None and freeze.until_time is not None:
            left = (freeze.until_time - now).total_seconds()
            after = min(after, max(left, 0.0) + 0.1)
        return await self._store(record, repository, found, after=after)

    async def _change_hold(self, repository: Repository) -> Outcome:
        """By a write of its own, for a finalizer is no part of a status. A deleted one goes with its last."""
        written = await set_held(self._world, repository, held=not repository.held)
        return await self._taken(Key(repository.metadata.namespace, repository.name), written, after=0.0)

    async def _store(
        self, record: RepositoryRecord, repository: Repository, answers: Answered, *, after: float
    ) -> Outcome:
        patch = model_patch(repository.status, answers.status)
        if patch is None:
            return Again(after)
        version = repository.metadata.resource_version
        written = await self._world.cluster.patch_status(
            Kind.REPOSITORY, record.key, resource_version=version, status=patch
        )
        outcome = await self._taken(record.key, written, after=after)
        if isinstance(written, Won):
            await self._events.record(Regarding(Kind.REPOSITORY, record.key, record.uid), answers.notes)
        return outcome

    async def _taken(self, key: Key, written: Written, *, after: float) -> Outcome:
        match written:
            case Won(stored):
                metadata = stored["metadata"]
                if metadata.get("finalizers") or "deletionTimestamp" not in metadata:
                    self._hub.repository_written(stored)
                return Again(after)
            case Lost() | Uncertain():
                fresh = await self._world.cluster.get(Kind.REPOSITORY, key)
                if fresh is not None:
                    self._hub.repository_written(fresh)
                return Again(0.1)
            case Rejected(message):
                self._world.telemetry.invariant_violated("WriteRejected")
                return Retry(f"the API server rejects what is to be stored next: {message[:300]}")

    # --- checking

    async def _checks(self, record: RepositoryRecord, repository: Repository) -> _Checked:
        """What was found not long ago, or now: after a change of spec, a `refresh`, or a while."""
        kept, now = self._checked.get(record.key), self._world.now()
        metadata = repository.metadata
        request = metadata.annotations.get("request.conveyor.dev/refresh", "")
        about = (metadata.uid, metadata.generation, request)
        if kept is not None and kept.about == about:
            if (now - kept.time).total_seconds() < _fresh_seconds(repository.status) - 1.0:
                mirrored = kept.mirrored or await self._mirrored(repository)
                self._checked[record.key] = kept = replace(kept, mirrored=mirrored)
                return kept
            self._world.connections.forget(record.key)
            if not _is_ready(repository.status):
                self._world.connections.forget_secrets(repository)
        twin = self._twin(record)
        mirrored = bool(twin) or await self._mirrored(repository)
        checks = await self._check(record, repository, twin)
        self._checked[record.key] = checked = _Checked(about, now, checks, mirrored)
        return checked

    async def _mirrored(self, repository: Repository) -> bool:
        """Webhooks that cannot be taken make the operator late, and keep nothing from being admitted."""
        try:
            missing = await self._mirror.update(repository)
        except OutsideError as error:
            missing = f"{type(error).__name__}: {str(error)[:300]}"
        if missing:
            key = f"{repository.metadata.namespace}/{repository.name}"
            logger.warning("webhook secret not mirrored", extra={"repository": key, "error": missing})
        return not missing

    async def _check(self, record: RepositoryRecord, repository: Repository, twin: str) -> Checks:
        hook_path = f"/webhooks/gitea/{record.key.namespace}/{record.key.name}"
        agents = self._agents(repository)
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
            logins=await self._world.connections.agent_logins(repository),
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
        others = self._world.cache.twins(record)
        older = [other for other in others if (other.created, other.uid) < (record.created, record.uid)]
        oldest = min(older, key=lambda other: (other.created, other.uid), default=None)
        return str(oldest.key) if oldest is not None else ""

    def _agents(self, repository: Repository) -> frozenset[Role]:
        own = {agent.role for agent in repository.spec.agents}
        return frozenset(own | set(self._world.settings.default_agents))


def _with(repository: Repository, status: RepositoryStatus) -> Repository:
    return repository.model_copy(update={"status": status})


def _fresh_seconds(status: RepositoryStatus) -> float:
    """How long a check is believed: not long while something is to be mended."""
    return CHECK_SECONDS if _is_ready(status) else CHECK_AGAIN_SECONDS


def _is_ready(status: RepositoryStatus) -> bool:
    ready = status.condition("Ready")
    return ready is not None and ready.status == "True"


def _mended(error: str) -> str:
    return f"{error[:700]}: check the Secret and its rights"
