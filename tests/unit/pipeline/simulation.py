"""A tiny forge, cluster and crew around one item: decisions are carried out, and much goes wrong.

Chance comes from one seeded generator, so a walk is repeated by its seed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from conveyor.api.annotations import TRANSITION_FINALIZER
from conveyor.api.objects import Repository, WorkItem
from conveyor.api.repository import ActiveItem, RepositoryStatus
from conveyor.api.stages import EDGES, WRITERS, Role, Stage
from conveyor.api.workitem import ActiveRun, Effect, Transition, WorkItemStatus
from conveyor.pipeline.actions import (
    Action,
    Admit,
    Amend,
    Apply,
    Discard,
    LetGo,
    ReleaseLeases,
    Settle,
    StartRun,
    StopEffect,
    StopRun,
)
from conveyor.pipeline.admitting import planned_branch
from conveyor.pipeline.amending import amended
from conveyor.pipeline.case import Case, Facts
from conveyor.pipeline.decide import decide
from conveyor.pipeline.facts import (
    ChangedFile,
    CommitStatus,
    Fact,
    ForgeReview,
    JobFact,
    JobState,
    PullRequest,
    Unknown,
)
from conveyor.pipeline.wants import wants
from tests.unit.pipeline.builders import BASE, NOW, OPEN_LANE, POLICY, REVIEWER, item, repository, sha
from tests.unit.pipeline.luck import Commit, Luck

DOCUMENTS = {Role.ANALYST: "01-analysis.md", Role.ARCHITECT: "06-adr/0001.md"}


@dataclass
class World:
    random: Random
    luck: Luck
    of: Repository = field(default_factory=lambda: repository(active=False))
    whole: WorkItem = field(default_factory=lambda: item(None))
    now: datetime = NOW
    holder: str = "process-0"
    commits: dict[str, Commit] = field(default_factory=lambda: {BASE: Commit("", frozenset())})
    base: str = BASE
    branches: dict[str, str] = field(default_factory=dict)
    pull: PullRequest | None = None
    reviews: list[ForgeReview] = field(default_factory=list)
    jobs: dict[str, JobFact] = field(default_factory=dict)
    created: list[str] = field(default_factory=list)
    """Names of Jobs in the order of their creation."""
    merges: list[str] = field(default_factory=list)
    requests: int = 0
    retries: int = 0
    discarded: bool = False
    conflict: tuple[str, ...] | None = None
    """What the forge said to a rebase a moment ago."""

    @property
    def status(self) -> WorkItemStatus:
        return self.whole.status

    @property
    def _name(self) -> str:
        return planned_branch(self.whole, None) or ""

    @property
    def branch(self) -> str | None:
        return self.branches.get(self._name)

    # --- reading

    def facts(self) -> Facts:
        values: dict[str, Any] = {
            "own_login": "operator",
            "lane": OPEN_LANE,
            "slot_free": self.random.random() > 0.1,
            "nonce": "00",
        }
        for want in sorted(wants(self.whole, self.of, OPEN_LANE, look_at_ticket=False)):
            lost = self.random.random() < self.luck.unread
            values[want.value] = Unknown("time-out") if lost else self._read(want.value)
        values["conflict"], self.conflict = self.conflict, None
        return Facts(**values)

    def _read(self, fact: str) -> Any:
        return getattr(self, f"_{fact}")()

    @property
    def _head(self) -> str:
        """The head that counts: the pull request's, else the branch's."""
        pull = self._pull()
        return pull.head_sha if pull is not None else self.branch or ""

    def _run_job(self) -> JobFact:
        run = self.status.active_run
        return self.jobs.get(run.name, _MISSING) if run is not None else _MISSING

    def _effect_job(self) -> JobFact:
        intent = self.status.transition
        return self.jobs.get(intent.job.name, _MISSING) if intent is not None and intent.job is not None else _MISSING

    def _branch_head(self) -> str | None:
        return self.branch

    def _base_head(self) -> str:
        return self.base

    def _pull(self) -> PullRequest | None:
        """The recorded one by its number, else an open one."""
        recorded, found = self.status.pull_request, self.pull
        return found if recorded is not None or (found is not None and found.state == "open") else None

    def _changed(self) -> tuple[ChangedFile, ...]:
        found = self.commits[self._head].files if self._head else frozenset[str]()
        return tuple(ChangedFile(path, "added") for path in sorted(found))

    def _change_id(self) -> Fact[str]:
        return sha(str(sorted(self.commits[self._head].files))) if self._head else Unknown("no head")

    def _statuses(self) -> tuple[CommitStatus, ...]:
        word = self.commits[self._head].ci if self._head else ""
        return (CommitStatus("ci", "ci-bot", word, ""),) if word else ()

    def _reviews(self) -> tuple[ForgeReview, ...]:
        return tuple(self.reviews)

    def _head_in_base(self) -> bool:
        intent = self.status.transition
        return self._contains(self.base, intent.precondition.head_sha if intent is not None else self._head)

    def _base_in_head(self) -> bool:
        intent = self.status.transition
        return self._contains(self._head, intent.precondition.base_sha if intent is not None else self.base)

    def _merge_in_production(self) -> bool:
        production = self.of.status.production
        return production is not None and self._contains(production.sha, self.status.merge_sha or "")

    def lineage(self, head: str) -> list[str]:
        """The head, and those that our own rebases made it of."""
        found = [head]
        while self.commits[found[-1]].was:
            found.append(self.commits[found[-1]].was)
        return found

    def _contains(self, tip: str, commit: str) -> bool:
        while tip and tip != commit:
            tip = self.commits[tip].parent
        return tip == commit

    # --- a pass

    def step(self) -> Action:
        """Something happens outside, then one pass."""
        self.now += timedelta(seconds=self.random.choice((1, 5, 60, 400)))
        self._happen()
        if self.random.random() < self.luck.restart:
            self.holder = f"process-{int(self.holder.split('-')[1]) + 1}"
        policy = replace(POLICY, holder=self.holder)
        case = Case(self.whole, self.of, self.facts(), policy, self.now)
        action = decide(case)
        self._carry_out(action)
        if isinstance(action, Admit):
            self._carry_out(decide(replace(case, facts=replace(case.facts, admitted=True))))
        return action

    def _carry_out(self, action: Action) -> None:
        match action:
            case Settle(status=status) | ReleaseLeases(nothing=Settle(status=status)):
                self._store(status)
            case Admit():
                active = RepositoryStatus(active_item=ActiveItem(name=self.whole.name, uid=self.whole.metadata.uid))
                self.of = self.of.model_copy(update={"status": active})
            case StartRun(run):
                if self.random.random() > self.luck.effect_lost:
                    self._create(run.name)
            case StopRun(run=stopped) | StopEffect(transition=Transition(job=stopped)):
                self.jobs.pop(stopped.name if stopped is not None else "", None)
            case Apply(transition):
                if self.random.random() > self.luck.effect_lost:
                    self._apply(transition)
            case Amend():
                self.of = self.of.model_copy(update={"status": amended(self.of.status, action)})
            case LetGo() | Discard():
                self._hold(())
                self.discarded = isinstance(action, Discard)

    def _store(self, status: WorkItemStatus) -> None:
        """As the API server would: through JSON, and with the rules of the kind."""
        old, new = self.status, WorkItemStatus.model_validate(status.dump())
        if new.stage != old.stage:
            assert new.stage in (EDGES[old.stage] if old.stage is not None else {Stage.CREATED})
        assert (new.runs or 0) >= (old.runs or 0)
        assert (new.fencing_token or 0) >= (old.fencing_token or 0)
        assert new.active_run is None or new.transition is None
        if new.transition is not None:
            self._hold((TRANSITION_FINALIZER,))
        for attempt in old.attempts:
            assert new.attempts_of(attempt.cause).count in (0, *range(attempt.count, 101))
        self.whole = self.whole.model_copy(update={"status": new})

    def _hold(self, finalizers: tuple[str, ...]) -> None:
        held = self.whole.metadata.model_copy(update={"finalizers": finalizers})
        self.whole = self.whole.model_copy(update={"metadata": held})

    def _create(self, name: str, *, held: bool = False) -> None:
        if name in self.jobs:
            return
        self.created.append(name)
        new = JobFact(JobState.ACTIVE, uid=f"uid-{len(self.created)}", item_uid=self.whole.metadata.uid)
        self.jobs[name] = replace(new, suspended=held, unstarted=held)

    def _start(self, name: str, uid: str) -> None:
        job = self.jobs.get(name)
        if job is not None and job.uid == uid:
            self.jobs[name] = replace(job, suspended=False, unstarted=False)

    def _apply(self, transition: Transition) -> None:
        head, base = transition.precondition.head_sha, transition.precondition.base_sha
        match transition.effect:
            case Effect.CUT_BRANCH if self.branch is None:
                self.branches[self._name] = base
            case Effect.OPEN_PULL_REQUEST if self.pull is None or self.pull.state != "open":
                self.pull = self._open_pull(self.branch or "")
            case Effect.REBASE if self.pull is not None and self.pull.head_sha == head:
                self._rebase(head)
            case Effect.MERGE if self._contains(self.base, head):
                self.pull = self._closed_as_merged(head)
            case Effect.MERGE if self.base == base and self.pull is not None and self.pull.head_sha == head:
                self.merges.append(head)
                self.base = head
                if self.random.random() > self.luck.effect_lost:
                    self.pull = self._closed_as_merged(head)
            case Effect.PRODUCTION if transition.job is not None and transition.job.uid is not None:
                self._start(transition.job.name, transition.job.uid)
            case Effect.PRODUCTION if transition.job is not None:
                self._create(transition.job.name, held=True)
            case _:
                pass

    def _rebase(self, head: str) -> None:
        if self._contains(head, self.base):
            return
        if self._unlucky("conflict"):
            self.conflict = ("src/cart.py",)
            return
        old = self.commits[head]
        self._move(replace(old, parent=self.base, ci="", was=head))

    def _open_pull(self, head: str) -> PullRequest:
        number = self.pull.number + 1 if self.pull is not None else 1
        self.reviews = []
        branch = self.status.branch or ""
        return PullRequest(
            number=number,
            url="u",
            state="open",
            merged=False,
            merged_by="",
            head=branch,
            head_sha=head,
            base="main",
            mergeable=True,
            merge_sha="",
        )

    def _closed_as_merged(self, head: str) -> PullRequest | None:
        if self.pull is None:
            return None
        return replace(self.pull, state="closed", merged=True, merged_by="operator", merge_sha=head)

    # --- what others do

    def _happen(self) -> None:
        for name, job in list(self.jobs.items()):
            if job.state == JobState.ACTIVE and not job.suspended and self.random.random() < 0.6:
                self.jobs[name] = self._end(name, job)
        for head in {self.branch, self.pull.head_sha if self.pull else None} - {None}:
            commit = self.commits[str(head)]
            if commit.ci in ("", "pending") and self.random.random() < 0.5:
                commit.ci = self.random.choice(("failure", "pending")) if self._unlucky("red") else "success"
        if self._unlucky("meddling"):
            self._meddle()
        if self._unlucky("base_moves") and not self.merges:
            new = sha(f"base/{len(self.commits)}")
            self.commits[new] = Commit(self.base, frozenset())
            self.base = new
        if self.status.stalled is not None and self.random.random() < 0.4:
            self._ask(self.random.choice(("resume", "retry")) if self.luck.meddling else "retry")
        elif self.status.last_run is not None and self.status.last_run.question and self.random.random() < 0.5:
            self._ask("resume")
        elif self.status.approval is not None and self.random.random() < 0.5:
            self._ask("reject" if self._unlucky("bad_answer") else "approve")

    def _unlucky(self, what: str) -> bool:
        probability: float = getattr(self.luck, what)
        return self.random.random() < probability

    def _ask(self, verb: str) -> None:
        self.requests += 1
        self.retries += verb == "retry"
        annotations = {f"request.conveyor.dev/{verb}": f"r{self.requests} by=lead"}
        asked = self.whole.metadata.model_copy(update={"annotations": annotations})
        self.whole = self.whole.model_copy(update={"metadata": asked})

    def _meddle(self) -> None:
        """Somebody else's hands in the repository."""
        match self.random.randrange(5):
            case 0 if self.branch is not None and not self.merges:
                self._push({f"src/foreign-{len(self.commits)}.py"})
            case 1 if self.pull is not None and self.pull.state == "open":
                self.pull = replace(self.pull, state="closed")
            case 2 if self.pull is not None and self.pull.state == "closed" and not self.pull.merged:
                self.pull = replace(self.pull, state="open", head_sha=self.branch or "")
            case 4 if self.branch is not None and not self.merges:
                self._amend(self.branch)
            case 3 if self.status.active_run is not None:
                self.jobs.pop(self.status.active_run.name, None)
            case _:
                pass

    def _amend(self, head: str) -> None:
        """The same change again. On the base that our own rebase is under way to, nobody can tell the two apart."""
        intent, commit = self.status.transition, self.commits[head]
        ours = intent is not None and intent.effect == Effect.REBASE and commit.parent == intent.precondition.base_sha
        self._move(replace(commit, ci="") if ours else replace(commit, ci="", tested=False, was=""))

    def _push(self, files: set[str]) -> None:
        parent = self.branch or BASE
        self._move(Commit(parent, self.commits[parent].files | files))

    def _move(self, commit: Commit) -> None:
        """The branch to a new commit, whatever it was at."""
        new = sha(f"{commit.parent}/{len(self.commits)}")
        self.commits[new] = commit
        self.branches[self._name] = new
        if self.pull is not None and self.pull.state == "open":
            self.pull = replace(self.pull, head_sha=new)

    def _end(self, name: str, job: JobFact) -> JobFact:
        run = self.status.active_run
        if run is None or run.name != name:
            failed = self._unlucky("bad_answer")
            return replace(job, state=JobState.ENDED, complete=not failed)
        answer = self._work(run)
        return replace(job, state=JobState.ENDED, complete=True, message=answer)

    def _work(self, run: ActiveRun) -> str | None:
        worked_on = self.branch or ""
        verdict = "pass"
        if self._unlucky("bad_answer"):
            verdict = self.random.choice(("fail", "blocked", "retry", "cut", "none"))
        if run.role in WRITERS and self.random.random() < 0.8 + (not self.luck.bad_answer):
            self._push({f"docs/work-items/{self.whole.key}/{DOCUMENTS.get(run.role, 'code.md')}"})
        if run.role == Role.REVIEWER and verdict == "pass" and self.pull is not None:
            state = "REQUEST_CHANGES" if self._unlucky("red") else "APPROVED"
            said = ForgeReview(REVIEWER, state, worked_on, official=True, dismissed=False, stale=False, body="", url="")
            self.reviews.append(said)
        if run.role == Role.TESTER and verdict == "pass":
            self.commits[worked_on].tested = True
        sha_of_answer = worked_on if run.role not in WRITERS else self.branch
        whole = {"conveyor": 1, "uid": self.whole.metadata.uid, "run": run.name, "token": run.token}
        text = json.dumps(whole | {"verdict": verdict, "sha": sha_of_answer, "question": "which?", "coverage": 80})
        return {"none": None, "cut": text[:40]}.get(verdict, text)


_MISSING = JobFact(JobState.MISSING)
