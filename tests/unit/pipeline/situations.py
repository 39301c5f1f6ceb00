"""Items and facts by the thousand: each variant of an item with every combination of the facts it would read."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from conveyor.api.answers import Verdict
from conveyor.api.objects import Repository, WorkItem
from conveyor.api.repository import EffectiveFreeze, Freeze
from conveyor.api.stages import ROLE_OF_STAGE, TERMINAL, Stage
from conveyor.api.workitem import Cause, Effect, HistoryEntry, Monitor, StalledReason, TransitionJob
from conveyor.pipeline.case import Case, Facts
from conveyor.pipeline.facts import ChangedFile, JobState, ProbeFact
from conveyor.pipeline.lane import DependencyFact, DependencyState, Lane
from conveyor.pipeline.wants import Want, wants
from tests.unit.pipeline.builders import (
    AUTO,
    BASE,
    CHANGE,
    DEVELOPER,
    FILES,
    HEAD,
    MISSING,
    NOW,
    OPEN_LANE,
    PERSON,
    POLICY,
    STATES,
    TICKET,
    UNKNOWN,
    active_run,
    approval,
    attempts,
    gate,
    green,
    item,
    job,
    last_run,
    merged_pull,
    pull,
    repository,
    review,
    seen,
    sha,
    stalled,
    ticket,
    transition,
)
from tests.unit.pipeline.landing_situations import COVERED, landing_variants

PASS = '{"conveyor": 1, "uid": "%s", "run": "%s", "token": "token", "verdict": "pass", "sha": "%s"}'


def ended(stage: Stage) -> Any:
    run = active_run(stage)
    return job(message=PASS % (item(stage).metadata.uid, run.name, HEAD))


VALUES: Mapping[Want, tuple[Any, ...]] = {
    Want.RUN_JOB: (
        MISSING,
        UNKNOWN,
        job(JobState.ACTIVE),
        job(JobState.DELETING),
        job(),
        job(reason="DeadlineExceeded", complete=False),
        job(JobState.ACTIVE, item_uid="another"),
        *(ended(stage) for stage in (Stage.ANALYSIS, Stage.REVIEW)),
    ),
    Want.EFFECT_JOB: (
        MISSING,
        UNKNOWN,
        job(JobState.ACTIVE),
        job(JobState.DELETING),
        job(),
        job(complete=False, reason="BackoffLimitExceeded"),
        job(item_uid="another"),
        job(uid="another"),
    ),
    Want.TICKET: (
        TICKET,
        UNKNOWN,
        None,
        ticket("To Analyse"),
        ticket("Approved"),
        ticket("Rejected"),
        ticket("Approved", text="edited"),
        ticket("Done"),
        ticket("Cancelled"),
    ),
    Want.STATES: (STATES, UNKNOWN),
    Want.BRANCH: (HEAD, UNKNOWN, None, BASE),
    Want.BASE: (BASE, UNKNOWN, None, sha("newer base")),
    Want.CHANGED: (FILES, UNKNOWN, (), (ChangedFile("src/cart.py", "added"),)),
    Want.PULL: (
        pull(),
        UNKNOWN,
        None,
        pull(state="closed"),
        merged_pull(),
        merged_pull(DEVELOPER),
        pull(head_sha=sha("foreign")),
        pull(base="release"),
        pull(head="refs/pull/7/head"),
    ),
    Want.CHANGE_ID: (CHANGE, UNKNOWN, sha("another change")),
    Want.STATUSES: ((green(),), UNKNOWN, (), (green("failure"),), (green("pending"),)),
    Want.REVIEWS: ((review(),), UNKNOWN, (), (review("REQUEST_CHANGES"),), (review(commit=sha("older")),)),
    Want.HEAD_IN_BASE: (False, UNKNOWN, True),
    Want.BASE_IN_HEAD: (True, UNKNOWN, False),
}
"""Per fact a value as good as can be, first, and those that differ in what they mean."""

FREEZES = {
    scope: EffectiveFreeze.model_validate(
        {"reason": "audit", "source": "Annotation", "scope": scope, "sinceTime": NOW, "untilTime": None}
    )
    for scope in ("admission", "merge")
}


def needs(state: DependencyState) -> Lane:
    return replace(OPEN_LANE, dependencies=(DependencyFact("shop-et-3", state),))


LANES = (
    OPEN_LANE,
    Lane(),
    replace(OPEN_LANE, freeze=FREEZES["admission"]),
    replace(OPEN_LANE, freeze=FREEZES["merge"]),
    replace(OPEN_LANE, first=False),
    replace(OPEN_LANE, occupied_by="shop-et-3"),
    replace(OPEN_LANE, watched_until=NOW + timedelta(minutes=1)),
    replace(OPEN_LANE, cycle=("shop-et-17", "shop-et-3")),
    *(needs(state) for state in DependencyState),
)


Variant = tuple[str, WorkItem]


def variants(stage: Stage | None) -> Iterator[Variant]:
    """Items in a stage, the plain one first, each unlike it in one way that decisions look at."""
    yield "plain", item(stage)
    yield "of a ticket", item(stage, source=True, tracker=seen())
    yield "to be cancelled", item(stage, spec={"cancel": True})
    yield "suspended", item(stage, spec={"suspend": True})
    yield "without a record of the ticket", item(stage, source=True)
    if stage is None:
        return
    yield "told to retry", item(stage, annotations={"request.conveyor.dev/retry": "1"})
    yield "told to send it back", item(stage, annotations={"request.conveyor.dev/rework": "1 by=lead no"})
    yield "told to release its Leases", item(stage, annotations={"request.conveyor.dev/release-lease": "1"})
    for end in (Stage.DEVELOPMENT, Stage.DEPLOY, Stage.DONE):
        yield f"told to be in {end}", told_to_be_in(end, item(stage))
    yield "with budgets used up", item(stage, attempts=attempts(**{cause.value: 3 for cause in Cause}))
    yield "with a newer operator's effect", item(stage, transition=transition(Effect.ROLLBACK))
    yield from _runs(stage)
    yield from _verdicts(stage)
    yield from _gates(stage)
    yield from landing_variants(stage)
    yield from _watches(stage)
    yield from ((f"Stalled {reason.value}", stalled(item(stage), reason)) for reason in StalledReason)


def told_to_be_in(end: Stage, whole: WorkItem) -> WorkItem:
    """By a person who breaks the glass."""
    annotations = {"request.conveyor.dev/override": f"1 by=lead {whole.status.stage}>{end} by hand"}
    return whole.model_copy(update={"metadata": whole.metadata.model_copy(update={"annotations": annotations})})


def _runs(stage: Stage) -> Iterator[Variant]:
    if stage not in ROLE_OF_STAGE:
        return
    yield "with a run claimed", item(stage, active_run=active_run(stage))
    yield "with a run at work", item(stage, active_run=active_run(stage, uid="job-uid"))
    long_ago = NOW - timedelta(hours=3)
    yield "with a run past its time", item(stage, active_run=active_run(stage, uid="job-uid", started_time=long_ago))
    at_work = item(stage, active_run=active_run(stage, uid="job-uid"))
    yield "with a run at work told to be in deploy-staging", told_to_be_in(Stage.DEPLOY_STAGING, at_work)
    yield (
        "with a run at work to be cancelled",
        item(stage, active_run=active_run(stage), spec={"cancel": True}),
    )


def _verdicts(stage: Stage) -> Iterator[Variant]:
    if stage not in ROLE_OF_STAGE:
        return
    yield "whose role has not worked", item(stage, last_run=None)
    for verdict in set(Verdict) - {Verdict.PASS}:
        yield f"whose role said {verdict.value}", item(stage, last_run=last_run(stage, verdict))
    asks = last_run(stage, Verdict.BLOCKED, question="which one?")
    yield "that asks", item(stage, last_run=asks)
    yield "of a ticket that asks", item(stage, last_run=asks, source=True, tracker=seen("Needs Input"))
    later = last_run(stage, Verdict.RETRY, not_before_time=NOW + timedelta(minutes=1))
    yield "whose role waits", item(stage, last_run=later)
    yield "whose role passed another commit", item(stage, last_run=last_run(stage, sha=sha("older")))
    if stage not in (Stage.ANALYSIS, Stage.ARCHITECTURE):
        yield "without a pull request", item(stage, pull_request=None)


def _gates(stage: Stage) -> Iterator[Variant]:
    name = {Stage.ANALYSIS: "analysis_approved", Stage.DEPLOY_STAGING: "deploy_approved"}.get(stage)
    if name is None:
        return
    yield "that asks a person", item(stage, approval=approval(name, text_digest=""))
    yield "of a ticket that asks a person", item(stage, approval=approval(name), source=True, tracker=seen())
    produced = CHANGE if stage == Stage.DEPLOY_STAGING else ""
    words = (gate(name, change_id=produced), gate("review_approved"), gate("tests_passed"))
    yield "approved", item(stage, gates=words)
    yield "approved for another commit", item(stage, gates=(gate(name, head_sha=sha("older"), change_id=""),))
    yield "told yes", item(stage, approval=approval(name), annotations={"request.conveyor.dev/approve": "1"})
    yield "told no", item(stage, approval=approval(name), annotations={"request.conveyor.dev/reject": "1"})
    yield "never tested", item(stage, last_run=None, gates=())


def _watches(stage: Stage) -> Iterator[Variant]:
    if stage not in TERMINAL:
        return
    for verdict in ("Watching", "Healthy", "Degraded"):
        for failures in (0, 1, 2, 3):
            for left in (60, 0):
                found = Monitor.model_validate(
                    {"untilTime": NOW + timedelta(seconds=left), "verdict": verdict, "failures": failures}
                )
                yield f"watched: {verdict} {failures}, {left} s left", item(stage, monitor=found, history=DEPLOYED)


LANDS = (Stage.DEPLOY_STAGING, Stage.DEPLOY)


def intents() -> Iterator[Variant]:
    for effect, stage in (
        (Effect.CUT_BRANCH, Stage.CREATED),
        (Effect.OPEN_PULL_REQUEST, Stage.DEVELOPMENT),
        (Effect.REBASE, Stage.DEPLOY_STAGING),
        (Effect.MERGE, Stage.DEPLOY_STAGING),
        (Effect.RATCHET, Stage.DEPLOY),
        (Effect.PRODUCTION, Stage.DEPLOY),
    ):
        changes: dict[str, dict[str, Any]] = {
            "under way": {},
            "left behind": {"holder": "another"},
            "parked": {"phase": "Unknown"},
            "past its time": {"deadline_time": NOW - timedelta(seconds=1)},
            "long past its time": {"deadline_time": NOW - timedelta(hours=1)},
        }
        if effect == Effect.PRODUCTION:
            created = TransitionJob(name="shop-et-17-production-0123456789", uid="job-uid")
            changes["with its Job"] = {"job": created}
        produced: dict[str, Any] = {"branch": "feature/ET-17-a-cart"} if effect == Effect.CUT_BRANCH else {}
        produced |= {"last_run": last_run(Stage.TESTING, coverage=82.0)} if stage in LANDS else {}
        for how, fields in changes.items():
            whole = item(stage, transition=transition(effect, **fields), **produced)
            yield f"{effect.value} {how}", whole
            yield f"{effect.value} {how}, told to be in review", told_to_be_in(Stage.REVIEW, whole)
            yield (
                f"{effect.value} {how}, to be cancelled",
                whole.model_copy(update={"spec": whole.spec.model_copy(update={"cancel": True})}),
            )


WATCH = {"windowSeconds": 600, "failureThreshold": 3, "probes": [{"url": "https://shop.example/healthz"}]}
WATCHED = repository(monitor=WATCH)
DEPLOYED = (
    HistoryEntry(
        from_stage=Stage.DEPLOY, to_stage=Stage.DONE, time=NOW, actor="conveyor", cause="deployed", transition_id="d"
    ),
)


def frozen(of: Repository) -> Repository:
    """By the deploy of `DEPLOYED`."""
    freeze = Freeze(id="d", reason="degraded", item="shop-et-17", since_time=NOW)
    return of.model_copy(update={"status": of.status.model_copy(update={"freezes": (freeze,)})})


REPOSITORIES: Mapping[str, Repository] = {
    "no person asked": AUTO,
    "a person asked": PERSON,
    "not admitted": repository(active=False),
    "nothing to deploy": repository(deploy={}),
    "coverage counted": COVERED,
    "watched": WATCHED,
    "watched for the alert only": repository(monitor=WATCH | {"onDegraded": "AlertOnly"}),
    "watched and frozen": frozen(WATCHED),
}
PROBES = (
    None,
    (ProbeFact("page", healthy=True), ProbeFact("query", healthy=True)),
    (ProbeFact("page", healthy=True), ProbeFact("query", healthy=False, reason="the result is 0")),
)


def in_full(name: str, lane: Lane) -> bool:
    """The plain item meets every combination; the others every two facts that are not as they should be."""
    return name == "plain" and lane is OPEN_LANE


def cases_in(stage: Stage | None) -> Iterator[tuple[str, Case]]:
    """Every situation of a stage, with the item's part of its name; `oddities` is the facts' part."""
    found = list(variants(stage)) + [(name, whole) for name, whole in intents() if whole.status.stage == stage]
    for name, whole in found:
        for kind, of in _repositories(stage, name):
            for lane in _lanes(stage, name):
                for look in (False, True) if whole.spec.source is not None else (False,):
                    wanted = wants(whole, of, lane, look_at_ticket=look)
                    for known in _facts(wanted, lane, whole, full=in_full(name, lane)):
                        yield f"{stage}, {name}, {kind}", Case(whole, of, known, POLICY, NOW)


def _repositories(stage: Stage | None, name: str) -> list[tuple[str, Repository]]:
    asking = stage in (Stage.ANALYSIS, Stage.DEPLOY_STAGING) and ("a person" in name or "approved" in name)
    told = name in ("told yes", "told no")
    admission = stage == Stage.CREATED and name == "plain"
    deploys = stage == Stage.DEPLOY
    kinds = ["no person asked"]
    kinds += ["a person asked"] if asking or told else []
    kinds += ["not admitted"] if admission else []
    kinds += ["nothing to deploy"] if deploys else []
    kinds += ["coverage counted"] if name.startswith(("covered", "Merge ", "Ratchet ")) else []
    kinds += ["watched"] if deploys else []
    kinds += ["watched", "watched for the alert only", "watched and frozen"] if name.startswith("watched") else []
    return [(kind, REPOSITORIES[kind]) for kind in kinds]


def _lanes(stage: Stage | None, name: str) -> tuple[Lane, ...]:
    if stage == Stage.CREATED:
        return LANES
    frozen = stage == Stage.DEPLOY_STAGING and name in ("plain", "approved")
    return LANES[:1] + LANES[2:4] if frozen else LANES[:1]


def _facts(wanted: frozenset[Want], lane: Lane, whole: WorkItem, *, full: bool) -> Iterator[Facts]:
    names = sorted(wanted)
    claims = whole.status.stage not in TERMINAL and whole.status.stage != Stage.DEPLOY
    for chosen in _combinations(names, full=full):
        for slot in (True, False) if claims and _few(chosen) else (True,):
            for probes in PROBES if whole.status.monitor is not None else (None,):
                yield Facts(**chosen, lane=lane, slot_free=slot, nonce="00ff", probes=probes)


def _few(chosen: Mapping[str, Any]) -> bool:
    return sum(value is not VALUES[Want(name)][0] for name, value in chosen.items()) <= 1


def _combinations(names: list[Want], *, full: bool) -> Iterator[dict[str, Any]]:
    if full:
        for values in itertools.product(*(VALUES[name] for name in names)):
            yield dict(zip((name.value for name in names), values, strict=True))
        return
    good = {name.value: VALUES[name][0] for name in names}
    yield good
    for name in names:
        for value in VALUES[name][1:]:
            yield good | {name.value: value}
    for one, two in itertools.combinations(names, 2):
        for first, second in itertools.product(VALUES[one][1:], VALUES[two][1:]):
            yield good | {one.value: first, two.value: second}


def oddities(known: Facts) -> str:
    """Which facts are not as good as can be."""
    odd = [f"{want.value}={str(getattr(known, want.value))[:90]}" for want in Want if _is_odd(known, want)]
    return ", ".join(odd) + ("" if known.slot_free else ", no slot")


def _is_odd(known: Facts, want: Want) -> bool:
    value = getattr(known, want.value)
    return value is not VALUES[want][0] and getattr(value, "reason", "") != "not read"
