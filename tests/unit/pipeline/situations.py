"""Items and facts by the thousand: each variant of an item with every combination of the facts it would read."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from conveyor.api.objects import Repository, WorkItem
from conveyor.api.repository import EffectiveFreeze, Freeze, Production
from conveyor.api.stages import TERMINAL, Stage
from conveyor.pipeline.case import Case, Facts
from conveyor.pipeline.ended import may_be_merged_late
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
    IMAGE,
    MISSING,
    NOW,
    OLD_IMAGE,
    OPEN_LANE,
    PERSON,
    POLICY,
    STATES,
    TICKET,
    UNKNOWN,
    active_run,
    green,
    item,
    job,
    merged_pull,
    on_record,
    pull,
    repository,
    review,
    sha,
    ticket,
)
from tests.unit.pipeline.landing_situations import COVERED
from tests.unit.pipeline.variants import WITH_JOBS, intents, variants

PASS = '{"conveyor": 1, "uid": "%s", "run": "%s", "token": "token", "verdict": "pass", "sha": "%s"}'


def ended(stage: Stage) -> Any:
    run = active_run(stage)
    return job(message=PASS % (item(stage).metadata.uid, run.name, HEAD))


BUILT = f'{{"conveyor": 1, "verdict": "pass", "image": "{IMAGE}"}}'
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
        job(JobState.ACTIVE, suspended=True, unstarted=True),
        job(JobState.DELETING),
        job(),
        job(complete=False, reason="BackoffLimitExceeded"),
        job(complete=False, reason="NodeLost", disrupted=True),
        job(pod_gone=True),
        job(message=BUILT),
        job(message='{"conveyor": 1, "verdict": "fail"}'),
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
        merged_pull("operator"),
        merged_pull(base="release"),
        pull(head_sha=sha("foreign")),
        pull(base="release"),
        pull(head="refs/pull/7/head"),
    ),
    Want.CHANGE_ID: (CHANGE, UNKNOWN, sha("another change")),
    Want.STATUSES: ((green(),), UNKNOWN, (), (green("failure"),), (green("pending"),)),
    Want.REVIEWS: ((review(),), UNKNOWN, (), (review("REQUEST_CHANGES"),), (review(commit=sha("older")),)),
    Want.HEAD_IN_BASE: (False, UNKNOWN, True),
    Want.BASE_IN_HEAD: (True, UNKNOWN, False),
    Want.MERGE_IN_PRODUCTION: (False, UNKNOWN, True),
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


WATCH = {"windowSeconds": 600, "failureThreshold": 3, "probes": [{"url": "https://shop.example/healthz"}]}
WATCHED = repository(monitor=WATCH)


def frozen(of: Repository) -> Repository:
    """By the deploy of `variants.DEPLOYED`."""
    freeze = Freeze(id="d", reason="degraded", item="shop-et-17", since_time=NOW)
    return of.model_copy(update={"status": of.status.model_copy(update={"freezes": (freeze,)})})


POD = {"spec": {"containers": [{"name": "work", "image": "work:1"}]}}
JOBS = repository(
    gates={"approval": {"analysis": "Auto", "deploy": "Auto"}, "image": {"enabled": True, "template": POD}},
    staging={"template": POD},
    deploy={"template": POD, "rollbackTemplate": POD},
)
NAMED = Production(image=IMAGE, sha=HEAD, revision=HEAD, item="shop-et-17")
BEFORE = Production(image=OLD_IMAGE, sha=sha("before"), item="shop-et-3")
FROZEN = Freeze(id="0123456789abcdef", reason="the deploy failed", item="shop-et-17", since_time=NOW)
REPOSITORIES: Mapping[str, Repository] = {
    "no person asked": AUTO,
    "a person asked": PERSON,
    "nothing to deploy": repository(deploy={}),
    "coverage counted": COVERED,
    "watched": WATCHED,
    "watched for the alert only": repository(monitor=WATCH | {"onDegraded": "AlertOnly"}),
    "watched and frozen": frozen(WATCHED),
    WITH_JOBS: on_record(JOBS, production=BEFORE, freezes=(FROZEN,)),
    "deployed": on_record(JOBS, production=NAMED),
    "deployed without an image": on_record(JOBS, production=NAMED.model_copy(update={"image": ""})),
    "to be held": on_record(
        repository(deploy={"template": POD, "rollbackTemplate": POD, "onFailure": "Hold"}),
        production=BEFORE,
        freezes=(FROZEN,),
    ),
    "with nothing to go back to": on_record(AUTO, freezes=(FROZEN,)),
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
                    may_be_merged = may_be_merged_late(whole, now=NOW)
                    wanted = wants(whole, of, lane, look_at_ticket=look, may_be_merged=may_be_merged)
                    for known in _facts(wanted, lane, whole, full=in_full(name, lane)):
                        yield f"{stage}, {name}, {kind}", Case(whole, of, known, POLICY, NOW)


def _repositories(stage: Stage | None, name: str) -> list[tuple[str, Repository]]:
    asking = stage in (Stage.ANALYSIS, Stage.DEPLOY_STAGING) and ("a person" in name or "approved" in name)
    told = name in ("told yes", "told no")
    deploys = stage == Stage.DEPLOY
    jobs = deploys or WITH_JOBS in name or name.startswith(("Image", "Staging"))
    kinds = ["no person asked"]
    kinds += ["a person asked"] if asking or told else []
    kinds += ["nothing to deploy", "deployed", "deployed without an image"] if deploys else []
    kinds += ["to be held", "with nothing to go back to"] if deploys else []
    kinds += [WITH_JOBS] if jobs else []
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
                yield Facts(**chosen, lane=lane, slot_free=slot, nonce="00ff", probes=probes, admitted=slot)


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
