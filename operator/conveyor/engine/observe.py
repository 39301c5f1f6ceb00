"""Reading what a decision wants to know. A read that fails becomes Unknown with its reason, never an exception."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, TypeVar

from conveyor.api.objects import Repository, WorkItem
from conveyor.api.stages import Stage
from conveyor.api.workitem import Effect
from conveyor.cluster.protocol import Cluster, Key
from conveyor.engine.changes import Changes
from conveyor.engine.connections import Connections
from conveyor.forge.protocol import Forge
from conveyor.pipeline.admitting import planned_branch
from conveyor.pipeline.case import Facts
from conveyor.pipeline.facts import NOT_READ, Fact, PullRequest, Unknown
from conveyor.pipeline.indication import StateMap, resolve
from conveyor.pipeline.lane import Lane
from conveyor.pipeline.wants import Want
from conveyor.tracker.protocol import Tracker
from conveyor.web.errors import NotFound, OutsideError

T = TypeVar("T")
FORGE_WANTS = frozenset(Want) - {Want.RUN_JOB, Want.EFFECT_JOB, Want.TICKET, Want.STATES}


@dataclass(frozen=True, slots=True)
class Subject:
    """What is read about."""

    item: WorkItem
    repository: Repository
    wanted: frozenset[Want]


async def known(read: Awaitable[T], on: str) -> Fact[T]:
    try:
        return await read
    except OutsideError as error:
        return Unknown(str(error)[:300] or type(error).__name__, on=on)


async def observe(
    subject: Subject,
    cluster: Cluster,
    connections: Connections,
    *,
    changes: Changes,
    lane: Lane,
    slot_free: bool,
    nonce: str,
) -> Facts:
    """All wanted facts, read now, in the order in which one depends on another."""
    found: dict[str, Any] = {"lane": lane, "slot_free": slot_free, "nonce": nonce}
    found |= await read_jobs(subject.item, subject.wanted, cluster)
    await _read_ticket(subject, connections, found)
    if subject.wanted & FORGE_WANTS:
        forge = await known(connections.forge(subject.repository), "Forge")
        if isinstance(forge, Unknown):
            found |= {want.value: forge for want in subject.wanted & FORGE_WANTS}
        else:
            await _ForgeReader(subject, forge, changes, found=found).read()
    return Facts(**found)


async def read_jobs(item: WorkItem, wanted: frozenset[Want], cluster: Cluster) -> dict[str, Any]:
    """Those of the run and of the intent on record."""
    run, transition, found = item.status.active_run, item.status.transition, dict[str, Any]()
    if Want.RUN_JOB in wanted and run is not None:
        key = Key(item.metadata.namespace, run.name)
        found["run_job"] = await known(cluster.job(key, with_message=True), "Cluster")
    if Want.EFFECT_JOB in wanted and transition is not None and transition.job is not None:
        key = Key(item.metadata.namespace, transition.job.name)
        found["effect_job"] = await known(cluster.job(key, with_message=True), "Cluster")
    return found


async def _read_ticket(subject: Subject, connections: Connections, found: dict[str, Any]) -> None:
    source = subject.item.spec.source
    if Want.TICKET not in subject.wanted or source is None:
        return
    tracker = await known(connections.tracker(subject.repository), "Tracker")
    if tracker is None:
        tracker = Unknown(f"Repository {subject.repository.name} names no tracker", on="Tracker")
    if isinstance(tracker, Unknown):
        found |= {"ticket": tracker, "states": tracker}
        return
    found["states"] = await known(state_map(tracker, subject.repository), "Tracker")
    waits = subject.item.status.stage == Stage.CREATED  # whoever has begun waits for no other ticket
    found["ticket"] = await known(tracker.ticket(source.issue_id, blockers=waits), "Tracker")


async def state_map(tracker: Tracker, repository: Repository) -> StateMap:
    configured = repository.spec.tracker.states if repository.spec.tracker is not None else {}
    return resolve(await tracker.states(), configured)


class _ForgeReader:
    """The forge's facts; which branch, base and head they are about follows from the item's status."""

    def __init__(self, subject: Subject, forge: Forge, changes: Changes, *, found: dict[str, Any]) -> None:
        self._subject, self._forge, self._changes, self._found = subject, forge, changes, found
        self._status = subject.item.status
        self._branch = self._status.branch or planned_branch(subject.item, found.get("ticket", NOT_READ)) or ""
        self._base = self._status.base_branch or subject.repository.spec.forge.default_branch

    async def read(self) -> None:
        """The pull request first: most other facts are about its head."""
        steps = (
            (Want.PULL, "pull", self._pull),
            (Want.BASE, "base_head", self._base_head),
            (Want.BRANCH, "branch_head", self._branch_head),
            (Want.CHANGED, "changed", self._changed),
            (Want.CHANGE_ID, "change_id", self._change_id),
            (Want.STATUSES, "statuses", self._statuses),
            (Want.REVIEWS, "reviews", self._reviews),
            (Want.HEAD_IN_BASE, "head_in_base", self._head_in_base),
            (Want.BASE_IN_HEAD, "base_in_head", self._base_in_head),
            (Want.MERGE_IN_PRODUCTION, "merge_in_production", self._merge_in_production),
        )
        for want, name, read in steps:
            if want in self._subject.wanted:
                self._found[name] = await known(read(), "Forge")
        if self._may_have_been_merged_meanwhile():
            self._found["pull"] = await self._pull_once_more()
        if self._is_merged_without_intent():
            self._found["own_login"] = await known(self._forge.login(), "Forge")

    def _may_have_been_merged_meanwhile(self) -> bool:
        """Whether a merge may lie between two reads of this pass: by whom stands in the pull request alone."""
        pull, in_base = self._found.get("pull"), self._found.get("head_in_base") is True
        return isinstance(pull, PullRequest) and pull.state == "open" and in_base and self._status.transition is None

    async def _pull_once_more(self) -> Fact[PullRequest | None]:
        again = await known(self._pull(), "Forge")
        if isinstance(again, PullRequest) and again.head_sha != self._head:
            return Unknown("its head moved while it was read")
        return again

    def _is_merged_without_intent(self) -> bool:
        pull, transition = self._found.get("pull"), self._status.transition
        merging = transition is not None and transition.effect == Effect.MERGE
        return isinstance(pull, PullRequest) and pull.merged and not merging

    @property
    def _head(self) -> str:
        """The head that counts: the pull request's, else the branch's."""
        pull, branch = self._found.get("pull"), self._found.get("branch_head")
        if isinstance(pull, PullRequest):
            return pull.head_sha
        return branch if isinstance(branch, str) else ""

    def _needed_head(self) -> str:
        if not self._head:
            raise NotFound("there is no head to ask about")
        return self._head

    async def _base_head(self) -> str | None:
        if self._status.stage == Stage.CREATED:
            return await self._forge.branch_head(self._subject.repository.spec.forge.default_branch)
        return await self._forge.branch_head(self._base)

    async def _branch_head(self) -> str | None:
        if not self._branch:
            raise NotFound("the branch has no name yet")
        return await self._forge.branch_head(self._branch)

    async def _pull(self) -> PullRequest | None:
        recorded = self._status.pull_request
        if recorded is not None:
            return await self._forge.pull_request(recorded.number)
        found = await self._forge.open_pull_requests(head=self._branch, base=self._base)
        return found[0] if found else None

    async def _changed(self) -> object:
        return await self._forge.changed_files(self._status.base_sha or self._base, self._needed_head())

    async def _change_id(self) -> str:
        """Read while the pull request's head stays that head; a change already known for it is not read again."""
        pull = self._found.get("pull")
        if not isinstance(pull, PullRequest):
            raise NotFound("there is no pull request to read a change of")
        if self._status.change_id and self._status.head_sha == pull.head_sha:
            return self._status.change_id
        return await self._changes.read(self._forge, pull, self._status)

    async def _statuses(self) -> object:
        return await self._forge.statuses(self._needed_head())

    async def _reviews(self) -> object:
        pull = self._found.get("pull")
        if not isinstance(pull, PullRequest):
            raise NotFound("there is no pull request to read reviews of")
        return await self._forge.reviews(pull.number)

    async def _head_in_base(self) -> bool:
        """Of an effect's head in the base as it is now, else in the base as this pass has just read it."""
        transition, base = self._status.transition, self._found.get("base_head")
        if transition is not None:
            return await self._forge.contains(self._base, transition.precondition.head_sha)
        return await self._forge.contains(base if isinstance(base, str) else self._base, self._needed_head())

    async def _base_in_head(self) -> bool:
        """Of a rebase the base that it was decided for, else the newest."""
        transition = self._status.transition
        base = transition.precondition.base_sha if transition is not None else self._found.get("base_head")
        if not isinstance(base, str):
            raise NotFound("the base is not known")
        return await self._forge.contains(self._needed_head(), base)

    async def _merge_in_production(self) -> bool:
        """A commit that the forge does not have was never merged there, so that it is no later one.

        A repository that cannot be read is NotFound as well; then so is our own merge.
        """
        production, merge = self._subject.repository.status.production, self._status.merge_sha or ""
        if production is None:
            raise NotFound("nothing is deployed")
        try:
            return await self._forge.contains(production.sha, merge)
        except NotFound:
            await self._forge.contains(self._base, merge)
            return False
