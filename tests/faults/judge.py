"""What must be true of one item in the end, and what is not: findings in words, each with the kind of wrong it is.

| kind | |
|---|---|
| double | an effect happened more often than it was to |
| half | something was begun and is neither ended nor visibly waiting for a person |
| rule | a write that must not be: an illegal edge, a counter that went down, an unconditional write |
| error | the operator met what it did not expect |
| lost | an effect that should have happened did not, or another one did |
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.faults.agents import Ran
from tests.faults.audit import Audit, purpose
from tests.faults.project import Found

Object = dict[str, Any]
FINALIZER = "conveyor.dev/result"
WAY = ("created", "analysis", "architecture", "development", "review", "testing", "deploy-staging", "deploy", "done")
ROLES = ("analyst", "architect", "developer", "reviewer", "tester")


@dataclass(frozen=True)
class Expected:
    """The end of the undisturbed way, which must be that of every disturbed one."""

    jobs: tuple[str, ...] = (*ROLES, "Production")
    """What there was a Job for, once each."""
    commits: tuple[str, ...] = tuple(f"Work of the {role}" for role in ROLES[:3])
    moves: int = 1
    """How often main was put somewhere."""
    stages: tuple[str, ...] = WAY
    stalled: str = ""
    """Why it stays where it is, for a person to decide; "" for an item that is done."""
    coverage: bool = False
    """Whether the Repository's mark is this item's afterwards."""
    deployed: bool = True
    """Whether this item's commit is what is on record as in production; else it is what was there before."""


@dataclass(frozen=True)
class Evidence:
    """All that is known of one case from outside, once it has ended."""

    audit: Audit
    name: str
    found: Found
    """What was added to the forge."""
    ran: Sequence[Ran]
    offences: Sequence[str] = ()
    """What the proxies and the watch of Repositories found."""
    log: str = ""
    coverage: float = 0.0
    """What the tester found, in percent."""


def unfinished(audit: Audit, name: str, expected: Expected) -> Iterator[str]:
    """What is still under way or was left over; nothing, once the item has come to its end."""
    status = audit.status(name)
    if (status.get("stage"), _stalled(status)) != (expected.stages[-1], expected.stalled):
        waiting = status.get("waiting") or {}
        yield f"the item is in {status.get('stage')}: {waiting.get('reason', '')} {waiting.get('message', '')}".strip()
    if (status.get("monitor") or {}).get("verdict") == "Watching":
        yield "the deploy is still being watched"
    if status.get("transition"):
        yield f"intent {status['transition']['effect']} is still on record"
    if status.get("activeRun"):
        yield f"run {status['activeRun']['name']} is still on record"
    story = audit.items.get(name)
    if story is not None and not expected.stalled and story.now["metadata"].get("finalizers"):
        yield f"the item is still held by {', '.join(story.now['metadata']['finalizers'])}"
    for job in audit.jobs_there(name):
        if FINALIZER in (job["metadata"].get("finalizers") or []):
            yield f"Job {job['metadata']['name']} is still held by our finalizer"
        if began(job) and "ttlSecondsAfterFinished" not in job["spec"]:
            yield f"Job {job['metadata']['name']} was never given an end"
    for lease in audit.owned_leases():
        yield f"Lease {lease}"


def _stalled(status: Object) -> str:
    return next(
        (
            one["reason"]
            for one in status.get("conditions") or []
            if one["type"] == "Stalled" and one["status"] == "True"
        ),
        "",
    )


def findings(evidence: Evidence, expected: Expected) -> Iterator[str]:
    """What is wrong, one line each; none for a case that went as it should."""
    for line in unfinished(evidence.audit, evidence.name, expected):
        yield f"half: {line}"
    yield from _rules(evidence)
    yield from _jobs(evidence, expected)
    yield from _forge(evidence, expected)
    yield from _repository(evidence, expected)
    yield from errors(evidence.log)


def _rules(evidence: Evidence) -> Iterator[str]:
    story = evidence.audit.items.get(evidence.name)
    for line in [*(story.offences if story is not None else ()), *evidence.offences]:
        yield f"rule: {line}"


def _jobs(evidence: Evidence, expected: Expected) -> Iterator[str]:
    jobs = [job for job in evidence.audit.jobs.get(evidence.name, []) if began(job)]
    for name, count in Counter(job["metadata"]["name"] for job in jobs).items():
        if count > 1:
            yield f"double: Job {name} was created {count} times"
    yield from _compared("Job", Counter(map(purpose, jobs)), Counter(expected.jobs))
    yield from _compared("pod", Counter(ran.purpose for ran in evidence.ran), Counter(expected.jobs))
    for intent, count in Counter(ran.intent for ran in evidence.ran if ran.intent).items():
        if count > 1:
            yield f"double: the Job of intent {intent} ran {count} times"


def began(job: Object) -> bool:
    """One that was created suspended, too late, and never let begin, does nothing."""
    return "startTime" in job.get("status", {})


def _compared(what: str, there: Counter[str], wanted: Counter[str]) -> Iterator[str]:
    for purpose_ in sorted(there.keys() | wanted.keys()):
        count, due = there[purpose_], wanted[purpose_]
        if count != due:
            yield f"{'double' if count > due else 'lost'}: {count} times {what} {purpose_}, wanted {due}"


def _forge(evidence: Evidence, expected: Expected) -> Iterator[str]:
    found, status = evidence.found, evidence.audit.status(evidence.name)
    if len(found.moves) != expected.moves:
        kind = "double" if len(found.moves) > expected.moves else "lost"
        yield f"{kind}: main was moved {len(found.moves)} times, wanted {expected.moves}"
    if found.commits != expected.commits:
        yield f"lost: main has {', '.join(found.commits)}; wanted {', '.join(expected.commits)}"
    if status.get("mergeSHA") != found.main:
        yield f"lost: the item says that {status.get('mergeSHA')} was merged, main is at {found.main}"
    if len(found.branches) != 1:
        yield f"{'double' if found.branches else 'lost'}: branches {', '.join(found.branches) or 'none'}"
    if len(found.pulls) != 1:
        yield f"{'double' if found.pulls else 'lost'}: {len(found.pulls)} pull requests"
    for pull in found.pulls:
        if not pull["merged"]:
            yield f"half: pull request #{pull['number']} is {pull['state']} and not merged"
    story = evidence.audit.items.get(evidence.name)
    if story is not None and tuple(story.stages) != expected.stages:
        yield f"lost: it went by {', '.join(story.stages)}"


def _repository(evidence: Evidence, expected: Expected) -> Iterator[str]:
    """What the effects have left on the Repository's record."""
    status, merged = evidence.audit.repository(), evidence.audit.status(evidence.name).get("mergeSHA")
    production = status.get("production") or {}
    if expected.deployed and (production.get("item"), production.get("sha")) != (evidence.name, merged):
        yield f"lost: in production is said to be {production}, wanted {merged} of {evidence.name}"
    if not expected.deployed and production.get("item") == evidence.name:
        yield f"lost: in production is said to be {production}, which was rolled back"
    mark = status.get("coverage") or {}
    if expected.coverage and (mark.get("percent"), mark.get("sha")) != (evidence.coverage, merged):
        yield f"lost: the coverage mark is {mark}, wanted {evidence.coverage} of {merged}"
    standing = [freeze for freeze in status.get("freezes") or [] if not freeze.get("clearedTime")]
    if [freeze["item"] for freeze in standing] != ([evidence.name] if expected.stalled else []):
        yield f"{'double' if standing else 'lost'}: automatic freezes {standing}"


def errors(log: str) -> Iterator[str]:
    """What an operator must not write into its log, whatever happens to it."""
    for line in log.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            if "Traceback" in line or "Error:" in line:
                yield f"error: {line[:300]}"
            continue
        if isinstance(entry, dict) and _is_bad(entry):
            yield f"error: {line[:400]}"


def _is_bad(entry: Object) -> bool:
    text = f"{entry.get('error', '')} {entry.get('message', '')}"
    return entry.get("level") in ("error", "critical") or "rejects the next status" in text or "circles" in text
