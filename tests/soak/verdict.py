"""What must be true of the whole in the end, and what is not: findings in words, by the kinds of `tests.faults.judge`.

Nothing of it asks the product: intents and stages are the audit's, movements of main are Git's, pods the node's ledger.
"""

import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.faults.agents import Ran
from tests.faults.audit import Audit, Intent
from tests.faults.judge import Expected, unfinished
from tests.faults.project import OTHERS, Found, Project
from tests.soak.people import Job
from tests.soak.ways import Way

Object = dict[str, Any]
JOBS = ("Image", "Staging", "Production", "Rollback")
OPENED, CUT, MERGED = "OpenPullRequest", "CutBranch", "Merge"
BEGIN = "Begin"


@dataclass
class Effects:
    """Of one kind: how many intents there were, and how many of them have happened how often."""

    intents: int = 0
    times: Counter[int] = field(default_factory=Counter)

    @property
    def more_than_once(self) -> int:
        return sum(count for times, count in self.times.items() if times > 1)


@dataclass(frozen=True)
class Seen:
    """One Repository from outside, at the end."""

    project: Project
    found: Found
    subjects: Mapping[str, str]
    """Of the commits that main was put to."""


@dataclass(frozen=True)
class Whole:
    """`seen` by the name of the Repository."""

    audit: Audit
    jobs: Sequence[Job]
    seen: Mapping[str, Seen]

    def of(self, name: str) -> Sequence[Job]:
        return [job for job in self.jobs if job.plot.name == name]


def look(project: Project) -> Seen:
    found = project.look()
    bare = str(project.gitea.bare(project.repository))
    command = ["git", "-C", bare, "log", "--no-walk", "--format=%H %s", *dict.fromkeys(found.moves)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.splitlines()
    return Seen(project, found, dict(line.split(" ", 1) for line in said))


def left_over(audit: Audit, jobs: Iterable[Job]) -> Iterator[str]:
    """What is still under way; nothing, once all have come to their ends and people have done what they wanted."""
    leases = set()
    for job in jobs:
        stage = audit.status(job.name).get("stage")
        expected = Expected(stages=(stage if stage in job.ends else job.ends[0],))
        lines = set(unfinished(audit, job.name, expected))
        leases |= {line for line in lines if line.startswith("Lease ")}
        yield from (f"{job.name}, {job.way}: {line}" for line in sorted(lines - leases))
        if job.acts:
            yield f"{job.name}, {job.way}: a person waits to do something"
    yield from sorted(leases)
    for name in audit.repositories:
        for freeze in audit.repository(name).get("freezes") or []:
            if not freeze.get("clearedTime"):
                yield f"{name} is frozen by {freeze['item']}: {freeze['reason']}"


def findings(whole: Whole) -> Iterator[str]:
    yield from (f"half: {line}" for line in left_over(whole.audit, whole.jobs))
    yield from (f"rule: {line}" for line in whole.audit.offences)
    for job in whole.jobs:
        story = whole.audit.items.get(job.name)
        yield from (f"rule: {job.name}: {line}" for line in (story.offences if story is not None else ()))
        yield from _jobs(whole.audit, job)
        yield from _end(whole, job)
    for name, seen in whole.seen.items():
        yield from _main(whole, name, seen)
        yield from _branches(whole, name, seen)
    for effect, count in effects(whole).items():
        if count.more_than_once:
            yield f"double: {count.more_than_once} intents of {effect} have happened more than once"


# --- effects


def intents(whole: Whole, jobs: Iterable[Job], effect: str) -> Iterator[tuple[Job, Intent]]:
    for job in jobs:
        story = whole.audit.items.get(job.name)
        for intent in story.intents.values() if story is not None else ():
            if intent.effect == effect:
                yield job, intent


def effects(whole: Whole) -> Mapping[str, Effects]:
    """How often each intent has happened. A merge that a person made of the same commit is that merge."""
    return {effect: _counted(whole, effect) for effect in (CUT, OPENED, MERGED, *JOBS)}


def _counted(whole: Whole, effect: str) -> Effects:
    result = Effects()
    for name, seen in whole.seen.items():
        pulls = Counter(pull["head"]["ref"] for pull in seen.found.pulls)
        moves, branches = Counter(seen.found.moves), Counter(seen.found.branches)
        for job, intent in intents(whole, whole.of(name), effect):
            ran = Counter(one.intent for one in job.work.ran)
            head = str(intent.precondition.get("headSHA", ""))
            times = {CUT: branches[intent.branch], OPENED: pulls[intent.branch], MERGED: moves[head]}
            result.intents += 1
            result.times[times.get(effect, ran[intent.id])] += 1
    return result


def _jobs(audit: Audit, job: Job) -> Iterator[str]:
    """Each Job once, and each at most one pod."""
    made = Counter(one["metadata"]["name"] for one in audit.jobs.get(job.name, []))
    yield from (f"double: Job {name} was created {count} times" for name, count in made.items() if count > 1)
    ran = Counter(one.job for one in job.work.ran)
    yield from (f"double: {count} pods of Job {name} ran" for name, count in ran.items() if count > 1)


# --- each item


def _end(whole: Whole, job: Job) -> Iterator[str]:
    status, moves = whole.audit.status(job.name), Counter(whole.seen[job.plot.name].found.moves)
    merged = [str(one.precondition.get("headSHA")) for _, one in intents(whole, [job], MERGED)]
    merges = sum(moves[sha] for sha in dict.fromkeys(merged))
    by_hand = sum(moves[sha] for sha in dict.fromkeys(job.merged_by_hand))
    deploys = [ran for ran in job.work.ran if ran.purpose == "Production"]
    if status.get("stage") == "cancelled":
        if merges or by_hand or deploys:
            yield f"double: {job.name} is cancelled, with {merges} merges and {len(deploys)} deploys"
        return
    wanted = 2 if job.way is Way.FAILING else 1
    if merges + by_hand < wanted or (merges + by_hand > wanted and job.way is not Way.BY_HAND):
        kind = "double" if merges + by_hand > wanted else "lost"
        yield f"{kind}: {job.name} was merged {merges} times by us and {by_hand} by hand, wanted {wanted}"
    if not any(intents(whole, [job], "Production")) and _went_along(whole, job, str(status.get("mergeSHA"))):
        return
    if job.way is not Way.BY_HAND or any(intents(whole, [job], "Production")):  # a person's merge is nobody's deploy
        yield from _deploys(job, str(status.get("mergeSHA")), deploys, wanted)


def _went_along(whole: Whole, job: Job, sha: str) -> bool:
    """Whether what another item deployed came later on main, and so has this commit in it."""
    moves = whole.seen[job.plot.name].found.moves
    later = set(moves[moves.index(sha) + 1 :]) if sha in moves else set()
    others = (other for other in whole.of(job.plot.name) if other is not job)
    return any(ran.purpose == "Production" and ran.sha in later for other in others for ran in other.work.ran)


def _deploys(job: Job, sha: str, deploys: Sequence[Ran], wanted: int) -> Iterator[str]:
    rollbacks = [ran for ran in job.work.ran if ran.purpose == "Rollback"]
    if len(deploys) != wanted or any(ran.sha != sha for ran in deploys[-1:]):
        kind = "double" if len(deploys) > wanted else "lost"
        yield f"{kind}: {job.name} was deployed {len(deploys)} times, wanted {wanted}, the last at {sha}"
    if len(rollbacks) != wanted - 1 or any(ran.sha == sha for ran in rollbacks):
        kind = "double" if len(rollbacks) >= wanted else "lost"
        yield f"{kind}: {job.name} was rolled back {len(rollbacks)} times, wanted {wanted - 1}, never from {sha}"


# --- each repository


def _main(whole: Whole, name: str, seen: Seen) -> Iterator[str]:
    """Every movement of main has one cause, and there is one movement for each."""
    causes = {str(one.precondition.get("headSHA")) for _, one in intents(whole, whole.of(name), MERGED)}
    causes |= {sha for job in whole.of(name) for sha in job.merged_by_hand}
    for sha, count in Counter(seen.found.moves).items():
        if count > 1:
            yield f"double: main of {name} was put to {sha} {count} times"
        if sha not in causes and seen.subjects[sha] not in (OTHERS, BEGIN):
            yield f"double: main of {name} was put to {sha}, which nobody has intended: {seen.subjects[sha]}"


def _branches(whole: Whole, name: str, seen: Seen) -> Iterator[str]:
    cut = {one.branch for _, one in intents(whole, whole.of(name), CUT)}
    for branch in set(seen.found.branches) - cut:
        yield f"double: branch {branch} of {name}, which nobody has intended"
    cancelled = [job for job in whole.of(name) if whole.audit.status(job.name).get("stage") == "cancelled"]
    kept = {one.branch for _, one in intents(whole, cancelled, CUT)}
    for pull in seen.found.pulls:
        if not pull["merged"] and pull["head"]["ref"] not in kept:
            yield f"half: pull request #{pull['number']} of {name} is {pull['state']} and not merged"
